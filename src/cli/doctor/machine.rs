//! What can be said without asking anybody else: files, directories, ports.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use super::finding::{Finding, subject};
use crate::{
    cli::client::{Address, Client},
    config::{Config, Listen},
    tls::Tls,
};

/// A certificate that expires sooner is to be replaced.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// How long a Fusebox may take to say that it lives.
const LIVE_WITHIN: Duration = Duration::from_secs(2);

/// Whether the data directory can be written: by a file that is removed at once.
pub(super) fn data_dir(config: &Config) -> Finding {
    let shown = config.data_dir.display().to_string();
    match written(&config.data_dir) {
        Ok(()) => Finding::good(subject::DATA_DIR, shown),
        Err(error) => Finding::bad(subject::DATA_DIR, format!("{shown}: {error}")),
    }
}

fn written(directory: &Path) -> std::io::Result<()> {
    if !directory.exists() {
        // It is made when it is missing: what counts is the nearest that is there.
        let parent = directory.ancestors().skip(1).find(|parent| parent.exists());
        return written(parent.unwrap_or_else(|| Path::new(".")));
    }
    let probe = directory.join(format!(".fusebox-doctor-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

/// Whether ports can be listened on, or a Fusebox has them already.
pub(super) async fn ports(config: &Config) -> Vec<Finding> {
    let client = Client::new(Address::of(config.admin.listen), None, LIVE_WITHIN);
    let runs = client.get("/live").await.is_ok_and(|(status, _)| status.is_success());
    let listeners = config.listeners.iter().map(|one| (one.name.as_str(), one.listen.clone()));
    let all = [("admin", Listen::Tcp(config.admin.listen))].into_iter().chain(listeners);
    all.map(|(name, listen)| port(name, &listen, runs)).collect()
}

fn port(name: &str, listen: &Listen, runs: bool) -> Finding {
    let Listen::Tcp(address) = listen else {
        return Finding::good(subject::PORT, format!("{name} {listen}"));
    };
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(subject::PORT, format!("{name} {listen}")),
        Err(error) if runs && error.kind() == std::io::ErrorKind::AddrInUse => {
            Finding::good(subject::PORT, format!("{name} {listen}, in use while a Fusebox runs"))
        }
        Err(error) => Finding::bad(subject::PORT, format!("{name} {listen}: {error}")),
    }
}

/// Whether files of TLS can be used, and for how long.
pub(super) fn certificates(config: &Config, now: jiff::Timestamp) -> Vec<Finding> {
    let tls = match Tls::new(config) {
        Ok((tls, _)) => tls,
        Err(faults) => {
            let bad = |fault| Finding::bad(subject::FILES, format!("{fault}"));
            return faults.iter().map(bad).collect();
        }
    };
    let remarks = tls.remarks().into_iter();
    let mut findings: Vec<_> =
        remarks.map(|remark| Finding::doubtful(subject::FILES, remark.to_string())).collect();
    if findings.is_empty() {
        let count = tls.certificates().len();
        findings.push(Finding::good(subject::FILES, format!("{count} of our own")));
    }
    findings.extend(tls.certificates().iter().map(|certificate| {
        let place = &certificate.place;
        let Some(not_after) = certificate.not_after else {
            return Finding::doubtful(subject::EXPIRY, format!("{place}: cannot be read"));
        };
        let detail = format!("{place}: until {not_after}");
        let left = not_after.duration_since(now);
        match Duration::try_from(left) {
            Err(_) => Finding::bad(subject::EXPIRY, detail),
            Ok(left) if left < SOON => Finding::doubtful(subject::EXPIRY, detail),
            Ok(_) => Finding::good(subject::EXPIRY, detail),
        }
    }));
    findings
}
