//! One run under callgrind, and what it counted.

use std::{
    error::Error,
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
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

/// Starts Fusebox under callgrind, makes so many calls and stops it: the instructions of each
/// thread, in the order in which they began.
///
/// # Errors
/// valgrind is not there, or Fusebox does not run under it.
pub(crate) fn count(scene: &Scene, calls: u64) -> Result<Vec<u64>, Box<dyn Error>> {
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
    valgrind.arg(env!("CARGO_BIN_EXE_fusebox")).args(["run", "--config"]).arg(config);
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

/// Reads what callgrind left: a file a thread.
fn read(home: &Path) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut files: Vec<PathBuf> = fs::read_dir(home)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.display().to_string().contains("out-"))
        .collect();
    files.sort();
    let total = |file: &PathBuf| -> Option<u64> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
        line.trim().parse().ok()
    };
    let threads: Vec<u64> = files.iter().filter_map(total).collect();
    if threads.is_empty() { Err("callgrind counted nothing".into()) } else { Ok(threads) }
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
        let home = std::env::temp_dir().join(name);
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
