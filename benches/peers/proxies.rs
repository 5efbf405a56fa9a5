//! The proxies: which there are, and how each is started in front of the backend.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    configs::{self, Speech},
    lab::{Lab, Process, find, log_file, setting},
    local::free_address,
    rows::Rows,
};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The backend itself: what a call takes without a proxy.
    Direct,
    /// Copies bytes: nothing that understands HTTP can be cheaper.
    Relay,
    Nginx,
    HaProxy,
    Pingora,
    Envoy,
    Fusebox,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Direct,
        Self::Relay,
        Self::Nginx,
        Self::HaProxy,
        Self::Pingora,
        Self::Envoy,
        Self::Fusebox,
    ];

    /// What the table calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Relay => "byte relay",
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Pingora => "Pingora",
            Self::Envoy => "Envoy",
            Self::Fusebox => "Fusebox",
        }
    }

    /// What it does besides carrying the call.
    pub(crate) const fn does(self) -> &'static str {
        match self {
            Self::Direct => "the backend itself",
            Self::Relay => "copies bytes, no HTTP",
            Self::Nginx => "JSON access log (buffered), request id",
            Self::HaProxy => "JSON access log, unique id",
            Self::Pingora => "nothing: the least that it can be, no log",
            Self::Envoy => "JSON access log, outlier detection, request id",
            Self::Fusebox => "breaker, correlation, trace, metrics, JSON log, a row per call",
        }
    }

    /// The program, or none where it is not installed.
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Direct | Self::Relay => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::HaProxy => find("haproxy"),
            Self::Pingora => pingora(),
            Self::Envoy => setting("ENVOY_BIN")
                .map(PathBuf::from)
                .filter(|bin| bin.is_file())
                .or_else(|| find("envoy")),
            Self::Fusebox => Some(PathBuf::from(env!("CARGO_BIN_EXE_fusebox"))),
        }
    }
}

/// The proxy of the `pingora` folder. Built when it is missing, which takes some minutes, once.
fn pingora() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("pingora");
    let program = target.join("release/pingora-peer");
    if !program.is_file() {
        // One of its libraries is C and built with it.
        find("cmake")?;
        println!("building Pingora, once");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/pingora");
        let mut cargo = Command::new(find("cargo")?);
        cargo.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(&target);
        cargo.arg("--manifest-path").arg(manifest.join("Cargo.toml"));
        cargo.status().ok().filter(std::process::ExitStatus::success)?;
    }
    Some(program)
}

/// A proxy that takes calls.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) listen: SocketAddr,
    /// None for no proxy at all.
    process: Option<Process>,
    /// Where its rows arrive, for the one that writes rows.
    pub(crate) rows: Option<Rows>,
}

impl Proxy {
    /// Starts one, or says with none that it is not installed.
    pub(crate) fn start(
        kind: Kind,
        lab: &Lab,
        speech: Speech,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let Some(program) = kind.program() else { return Ok(None) };
        let listen = free_address();
        let mut command = lab.as_proxy(program);
        match kind {
            Kind::Direct => {
                return Ok(Some(Self { kind, listen: lab.backend, process: None, rows: None }));
            }
            Kind::Fusebox => {
                let config = |database: &str| configs::fusebox(lab, listen, speech, database);
                return Self::fusebox(lab, listen, config).map(Some);
            }
            Kind::Relay => {
                command.args(["relay", &listen.to_string(), &lab.backend.to_string()]);
            }
            Kind::Pingora => {
                command.args([listen.to_string(), lab.backend.to_string()]);
            }
            Kind::Nginx => {
                let config = configs::nginx(lab, listen, speech);
                command.arg("-c").arg(written(lab, "nginx.conf", &config)?);
            }
            Kind::HaProxy => {
                let config = configs::haproxy(lab, listen, speech);
                command.arg("-f").arg(written(lab, "haproxy.cfg", &config)?);
            }
            Kind::Envoy => {
                command.args(["--concurrency", "1", "--disable-hot-restart"]);
                command.args(["--log-level", "error", "--config-path"]);
                command.arg(written(lab, "envoy.yaml", &configs::envoy(lab, listen))?);
            }
        }
        let log = log_file(&lab.file(&format!("{kind:?}.log")))?;
        command.stdout(log).stderr(Stdio::null());
        let process = Some(Process::listening(command, listen)?);
        Ok(Some(Self { kind, listen, process, rows: None }))
    }

    /// Starts a Fusebox with the configuration that is made for its database.
    pub(crate) fn fusebox(
        lab: &Lab,
        listen: SocketAddr,
        config: impl FnOnce(&str) -> String,
    ) -> Result<Self, Box<dyn Error>> {
        let rows = Rows::open()?;
        let file = written(lab, "fusebox.yaml", &config(rows.url()))?;
        let mut command = lab.as_proxy(env!("CARGO_BIN_EXE_fusebox"));
        command.args(["run", "--config"]).arg(file);
        // Its settings are those of the file, whatever this shell exports.
        command.env_clear().env("PATH", setting("PATH").unwrap_or_default());
        command.stdout(log_file(&lab.file("fusebox.log"))?).stderr(Stdio::null());
        let process = Some(Process::listening(command, listen)?);
        rows.wait_for_tables();
        Ok(Self { kind: Kind::Fusebox, listen, process, rows: Some(rows) })
    }

    /// Its process, if there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

fn written(lab: &Lab, name: &str, text: &str) -> std::io::Result<PathBuf> {
    let file = lab.file(name);
    fs::write(&file, text)?;
    Ok(file)
}
