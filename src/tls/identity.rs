//! A certificate of ours and its key: whether they belong together, and until when they hold.

use std::{fmt, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use jiff::Timestamp;
use rustls::{
    InconsistentKeys,
    pki_types::CertificateDer,
    sign::{CertifiedKey, SingleCertAndKey},
};
use x509_cert::{der::Decode, time::Time};

use super::{
    fault::{Cause, Fault, Faults},
    pem, provider,
};
use crate::{clock, config::IdentityFiles};

/// Read for the users of others, in the mode of a file.
const READ_BY_OTHERS: u32 = 0o004;

/// What is shown to the other side. See the module docs.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) shown: Arc<SingleCertAndKey>,
    /// When the certificate expires. None when it does not say so legibly.
    pub(super) not_after: Option<Timestamp>,
    pub(super) remarks: Vec<Remark>,
}

/// Something odd about a file that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The key of the configuration: `listeners.egress.tls.key`.
    pub path: String,
    /// What is odd.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

impl Identity {
    /// Reads the files that are named at `place` of the configuration.
    pub(super) fn load(place: &str, files: &IdentityFiles) -> Result<Self, Faults> {
        let (chain, key) = Faults::both(
            pem::certificates(&files.certificate)
                .map_err(|error| Fault::new(place, "certificate", error).into()),
            pem::private_key(&files.key).map_err(|error| Fault::new(place, "key", error).into()),
        )?;
        let key = provider().key_provider.load_private_key(key);
        let key =
            key.map_err(|error| Fault::new(place, "key", Cause::Key(files.key.clone(), error)))?;
        let validity = validity(&chain[0]);
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().or_else(|error| match error {
            // A key that does not tell its public half may still be the right one.
            rustls::Error::InconsistentKeys(InconsistentKeys::Unknown) => Ok(()),
            rustls::Error::InconsistentKeys(_) => {
                let (certificate, key) = (files.certificate.clone(), files.key.clone());
                Err(Fault::new(place, "key", Cause::Mismatch { certificate, key }))
            }
            error => {
                let cause = Cause::Certificate(files.certificate.clone(), error);
                Err(Fault::new(place, "certificate", cause))
            }
        })?;
        let now = Timestamp::from_microsecond(clock::wall_us()).unwrap_or_default();
        let on_dates = validity.and_then(|validity| about_dates(validity, now));
        let on_dates = on_dates.map(|text| (format!("{place}.certificate"), text));
        let on_key = about_key(&files.key).map(|text| (format!("{place}.key"), text));
        let remarks = on_dates.into_iter().chain(on_key);
        Ok(Self {
            shown: Arc::new(SingleCertAndKey::from(certified)),
            not_after: validity.map(|(_, not_after)| not_after),
            remarks: remarks.map(|(path, text)| Remark { path, text }).collect(),
        })
    }
}

/// From when and until when a certificate holds. None when that is not legible.
fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let moment = |time: Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
        Timestamp::from_second(seconds).ok()
    };
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate.validity;
    Some((moment(validity.not_before)?, moment(validity.not_after)?))
}

/// What is odd about the dates of a certificate at this time.
fn about_dates((not_before, not_after): (Timestamp, Timestamp), now: Timestamp) -> Option<String> {
    if now > not_after {
        return Some(format!("the certificate expired at {not_after}; nobody will accept it"));
    }
    (now < not_before).then(|| {
        format!("the certificate does not hold before {not_before}; nobody accepts it yet")
    })
}

/// What is odd about the file of a key. What has become of it since it was read is for the next
/// look.
fn about_key(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & READ_BY_OTHERS != 0).then(|| {
        let path = path.display();
        format!(
            "{path} can be read by every user of this machine; `chmod o= {path}` keeps it private"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::about_dates;

    #[test]
    fn a_certificate_is_odd_outside_its_dates() {
        let dates = ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z");
        let dates = (dates.0.parse().unwrap(), dates.1.parse().unwrap());
        for (now, expected) in [
            ("2025-12-31T23:59:59Z", Some("does not hold before 2026-01-01T00:00:00Z")),
            ("2026-01-01T00:00:00Z", None),
            ("2026-04-01T00:00:00Z", None),
            ("2026-04-01T00:00:01Z", Some("expired at 2026-04-01T00:00:00Z")),
        ] {
            let remark = about_dates(dates, now.parse().unwrap());
            let is_as_expected = match expected {
                None => remark.is_none(),
                Some(part) => remark.as_ref().is_some_and(|text| text.contains(part)),
            };
            assert!(is_as_expected, "{now}: {remark:?}");
        }
    }
}
