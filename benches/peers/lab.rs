//! The lab: which core does what, a directory for the run, and processes that end with it.
//!
//! The proxy under test has a core to itself. Everything else, this program, wrk, the backend and
//! Postgres included, shares another one, so that it never takes time from the proxy.

use std::{
    error::Error,
    fs::{self, File},
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::local::{free_address, wait_until};

const PROXY_CORE: &str = "0";
const LOAD_CORE: &str = "1";
const CORES: usize = 2;

/// How long a process may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// One run of the benchmark.
pub(crate) struct Lab {
    home: PathBuf,
    /// Where the backend listens.
    pub(crate) backend: SocketAddr,
    /// Where it speaks TLS.
    pub(crate) tls_backend: SocketAddr,
    _backend: Process,
}

impl Lab {
    /// Moves this program to the load's core and starts the backend there.
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        for tool in ["taskset", "wrk", "nginx", "openssl"] {
            find(tool).ok_or_else(|| format!("{tool} is needed and not installed"))?;
        }
        let cores = std::thread::available_parallelism()?.get();
        if cores < CORES {
            return Err(format!("{CORES} cores are needed, there is {cores}").into());
        }
        let own = std::process::id().to_string();
        let mut pin = Command::new("taskset");
        pin.args(["--cpu-list", "--pid", LOAD_CORE, &own]).stdout(Stdio::null());
        if !pin.status()?.success() {
            return Err("taskset cannot pin this program".into());
        }
        let home = std::env::temp_dir().join(format!("fusebox-peers-{own}"));
        fs::create_dir_all(&home)?;
        let backend = free_address();
        let file = home.join("backend.conf");
        let tls_backend = free_address();
        make_certificate(&home)?;
        fs::write(&file, backend_config(&home, backend, tls_backend))?;
        let mut nginx = Command::new("nginx");
        nginx.arg("-c").arg(file).stderr(Stdio::null());
        let process = Process::listening(nginx, backend)?;
        Ok(Self { home, backend, tls_backend, _backend: process })
    }

    /// Where this run keeps its files.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// A new directory of this run.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        static MADE: AtomicU32 = AtomicU32::new(0);
        self.home.join(format!("{name}-{}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    /// A command on the proxy's core.
    pub(crate) fn as_proxy(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", PROXY_CORE]).arg(program.as_ref()).current_dir(&self.home);
        command
    }

    /// A command on the load's core, which is this program's own.
    pub(crate) fn beside_proxy(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.home);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.home));
    }
}

/// A certificate for `localhost` and its key, for whoever speaks TLS here.
fn make_certificate(home: &Path) -> Result<(), Box<dyn Error>> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    // An authority's own certificate is not taken for a server's.
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", KEY, "-out", CERTIFICATE]).current_dir(home);
    let made = openssl.stderr(Stdio::null()).status()?.success();
    if made { Ok(()) } else { Err("openssl made no certificate".into()) }
}

/// The files of [`make_certificate`].
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

/// A small body from memory, connections kept open for ever, with TLS and without.
fn backend_config(home: &Path, plain: SocketAddr, tls: SocketAddr) -> String {
    let (frame, home) = (nginx_frame(home, "backend"), home.display());
    format!(
        "{frame}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {{
    listen {plain} backlog=4096;
    listen {tls} ssl backlog=4096;
    ssl_certificate {home}/{CERTIFICATE};
    ssl_certificate_key {home}/{KEY};
    location / {{ default_type text/plain; return 200 'hello from the backend, in a few bytes\\n'; }}
  }}
}}
"
    )
}

/// What every nginx of this benchmark begins with: one process that is told where its files are.
pub(crate) fn nginx_frame(home: &Path, name: &str) -> String {
    let home = home.display();
    format!(
        "daemon off;
master_process off;
pid {home}/{name}.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}"
    )
}

/// Where a program is, looked for as a shell would.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    const ELSEWHERE: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
    let path = setting("PATH").unwrap_or_default();
    path.split(':')
        .chain(ELSEWHERE)
        .map(|folder| Path::new(folder).join(program))
        .find(|file| file.is_file())
}

/// An environment variable of this benchmark.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A process that does not outlive its owner.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> std::io::Result<Self> {
        command.stdin(Stdio::null()).spawn().map(Self)
    }

    /// Starts it and waits until it listens.
    pub(crate) fn listening(command: Command, on: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let what = format!("{command:?} listens on {on}");
        let mut process = Self::start(command)?;
        let gone = wait_until(&what, START_LIMIT, || {
            if TcpStream::connect(on).is_ok() {
                return Some(None);
            }
            process.0.try_wait().ok().flatten().map(Some)
        });
        match gone {
            None => Ok(process),
            Some(status) => Err(format!("it ended ({status}), so not: {what}").into()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What it printed until it ended by itself; `meanwhile` is called again and again.
    pub(crate) fn output_within(
        &mut self,
        limit: Duration,
        meanwhile: &mut impl FnMut(),
    ) -> Result<String, Box<dyn Error>> {
        wait_until("a process ends", limit, || {
            meanwhile();
            self.0.try_wait().ok().flatten()
        });
        let mut text = String::new();
        self.0.stdout.take().ok_or("its output is not piped")?.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An open file that a process logs to.
pub(crate) fn log_file(path: &Path) -> std::io::Result<Stdio> {
    Ok(File::create(path)?.into())
}
