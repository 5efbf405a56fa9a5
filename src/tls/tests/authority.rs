//! Certificates of every kind, made for a test, and a folder to put them in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// From which year until which one a certificate holds.
pub(crate) type Years = (i32, i32);

pub(crate) const NOW: Years = (2020, 2090);
pub(crate) const PAST: Years = (2001, 2002);
pub(crate) const FUTURE: Years = (2090, 2091);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for these hosts and addresses.
    pub(crate) fn issue(&self, names: &[&str], years: Years) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, years).signed_by(&key, &self.0).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

/// A certificate that no other signed; one that may sign others is what `openssl req -x509` makes.
pub(crate) fn self_signed(name: &str, may_sign: bool) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = params(&[name], NOW);
    if may_sign {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn params(names: &[&str], (from, until): Years) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.extended_key_usages = both.to_vec();
    params
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("fusebox-tls-{}", fastrand::u128(..)));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file there as careful tools do: written aside, then renamed.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let aside = self.0.join(format!(".{name}"));
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.0.join(name)).unwrap();
    }

    /// Puts a certificate and its key there: `NAME.crt` and `NAME.key`.
    pub(crate) fn put_issued(&self, name: &str, issued: &Issued) {
        self.put(&format!("{name}.crt"), &issued.certificate);
        self.put(&format!("{name}.key"), &issued.key);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: a test that fails has more to say than this.
        drop(fs::remove_dir_all(&self.0));
    }
}
