//! One run under callgrind, and what it counted.

use std::{
    env,
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    Failure,
    caller::{call, upstream},
    local::{free_address, signal, wait_until},
};

/// How long anything may take under callgrind, which is some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);

const GET: &str = "GET /v1/charges/4711?expand=customer HTTP/1.1\r\nhost: payments.internal\r\n\
                   user-agent: bench\r\naccept: */*\r\n\r\n";
const POST: &str = "POST /v1/charges HTTP/1.1\r\nhost: payments.internal\r\n\
                    user-agent: bench\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\
                    x-correlation-id: req-0123456789abcdef\r\n\r\n{\"amount\":1}";

/// What is called.
pub(crate) struct Scene {
    pub(crate) what: &'static str,
    request: &'static str,
    /// Somebody is there; else the circuit opens with the first call.
    is_up: bool,
}

impl Scene {
    pub(crate) const ALL: [Self; 3] = [
        Self { what: "a GET that is carried", request: GET, is_up: true },
        Self { what: "a POST that is carried", request: POST, is_up: true },
        Self { what: "a GET that is refused", request: GET, is_up: false },
    ];
}

/// What a run executes, in instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    /// The thread that executes the most, which is the one that carries the calls.
    pub(crate) carrying: u64,
    /// All threads.
    pub(crate) all: u64,
}

impl Count {
    /// The lower of each.
    pub(crate) fn least(self, other: Self) -> Self {
        Self { carrying: self.carrying.min(other.carrying), all: self.all.min(other.all) }
    }

    /// For each of so many calls that this run had more than the other.
    pub(crate) const fn per_call(self, other: Self, calls: u64) -> Self {
        Self {
            carrying: self.carrying.saturating_sub(other.carrying) / calls,
            all: self.all.saturating_sub(other.all) / calls,
        }
    }
}

/// Starts Fusebox under callgrind, makes so many calls and stops it.
///
/// # Errors
/// valgrind is not there, or Fusebox does not run under it.
pub(crate) fn count(scene: &Scene, calls: u64) -> Result<Count, Failure> {
    let home = Home::new()?;
    let (listen, admin, backend) = (free_address(), free_address(), free_address());
    if scene.is_up {
        upstream(backend)?;
    }
    let config = home.0.join("fusebox.yaml");
    fs::write(&config, configuration(&home.0, listen, admin, backend))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--separate-threads=yes", "--quiet"]);
    valgrind.arg(format!("--callgrind-out-file={}", home.0.join("out").display()));
    valgrind.arg(fusebox()).args(["run", "--config"]).arg(config);
    valgrind.current_dir(&home.0).stdin(Stdio::null());
    valgrind.stdout(fs::File::create(home.0.join("log"))?).stderr(Stdio::null());
    let started = valgrind.spawn().map_err(|error| format!("valgrind does not start: {error}"));
    let mut process = Running(started?);
    wait_until("Fusebox takes calls", PATIENCE, || TcpStream::connect(listen).ok());
    call(listen, scene.request.as_bytes(), calls)?;
    signal(process.0.id(), "TERM");
    let ended = wait_until("Fusebox ends", PATIENCE, || process.0.try_wait().ok().flatten());
    if !ended.success() {
        return Err(format!("Fusebox ended with {ended} under valgrind").into());
    }
    read(&home.0)
}

/// The binary that is counted.
fn fusebox() -> OsString {
    env::var_os("FUSEBOX_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_fusebox").into())
}

/// Reads what callgrind left: a file a thread.
fn read(home: &Path) -> Result<Count, Failure> {
    let total = |file: PathBuf| -> Option<u64> {
        let is_threads = file.file_name()?.to_str()?.starts_with("out-");
        let text = is_threads.then(|| fs::read_to_string(file).ok())??;
        text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
    };
    let threads: Vec<u64> =
        fs::read_dir(home)?.filter_map(|entry| total(entry.ok()?.path())).collect();
    let carrying = *threads.iter().max().ok_or("callgrind counted nothing")?;
    Ok(Count { carrying, all: threads.iter().sum() })
}

fn configuration(
    home: &Path,
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
) -> String {
    format!(
        "service: bench
workers: 1
admin: {{ listen: \"{admin}\" }}
data_dir: {}
database: {{ url: \"\" }}
listeners:
  egress:
    listen: \"{listen}\"
    routes:
      - {{ match: {{ host: payments.internal }}, upstream: payments }}
upstreams:
  payments:
    endpoints: [\"http://{backend}\"]
    breaker: {{ consecutive_failures: 1, open_for: 10m }}
",
        home.join("data").display()
    )
}

/// A directory of one run, removed in the end.
struct Home(PathBuf);

impl Home {
    fn new() -> std::io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("fusebox-instructions-{}-{number}", std::process::id());
        let home = env::temp_dir().join(name);
        fs::create_dir_all(&home)?;
        Ok(Self(home))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
