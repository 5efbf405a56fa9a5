//! What a whole call costs where nothing is captured, beside one of which something is.
//!
//! Two processes that differ in one thing: in the second, a route captures. Calls of a route that
//! does not are to cost the same in both. All three are measured in turns, round by round, so that
//! what else the machine does falls on each of them; what counts is the difference within a round.

use std::{
    error::Error,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    caller::{call, upstream},
    local::{free_address, wait_until},
};

/// Calls of each kind in a round, on one connection.
const CALLS: u64 = 1_000;
/// Rounds; odd, so that one is in the middle.
const ROUNDS: usize = 41;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

const TASK: &str = "task: { params: { bpm: { from: request.json, pointer: /bpm, type: int },
          genre: { from: request.json, pointer: /genre, type: enum },
          seconds: { from: request.json, pointer: /seconds, type: float },
          team: { from: request.header, name: x-team, type: enum } } }";

/// Prints processor time per call, and what more it is than without any capturing.
///
/// # Errors
/// A process does not start, or a call fails.
pub(crate) fn tell() -> Result<(), Box<dyn Error>> {
    let backend = free_address();
    upstream(backend)?;
    let (without, with) = (Running::start("", backend)?, Running::start(TASK, backend)?);
    let (plain, captured) = (request("/v1/charges"), request("/v1/beats"));
    let kinds = [
        ("no route captures", &without, &plain),
        ("off: another route captures", &with, &plain),
        ("on: four parameters of 1 KiB", &with, &captured),
    ];
    for (what, process, request) in &kinds {
        process.is_answered(request).map_err(|error| format!("{what}: {error}"))?;
    }
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for round in 0..=ROUNDS {
        for turn in 0..kinds.len() {
            let at = (round + turn) % kinds.len();
            let (_, process, request) = kinds[at];
            let per_call = process.per_call(request)?;
            // The first round fills pools, caches and maps.
            if round > 0 {
                rounds[at].push(per_call);
            }
        }
    }
    println!(
        "\na whole call, µs of processor time of the process, {ROUNDS} rounds of {CALLS} calls"
    );
    println!("{:<44}{:>10}{:>10}{:>18}", "", "median", "more", "95 % interval");
    for ((what, ..), own) in kinds.iter().zip(&rounds) {
        let mut more: Vec<f64> = own.iter().zip(&rounds[0]).map(|(own, none)| own - none).collect();
        let mut own = own.clone();
        own.sort_by(f64::total_cmp);
        more.sort_by(f64::total_cmp);
        let (low, high) = (more[ENDS], more[ROUNDS - 1 - ENDS]);
        let interval = format!("{low:.1} to {high:.1}");
        let (median, more) = (own[ROUNDS / 2], more[ROUNDS / 2]);
        println!("{what:<44}{median:>10.1}{more:>10.1}{interval:>18}");
    }
    Ok(())
}

/// Between the differences with so many others below them and so many above lies the median of all,
/// in 95 of 100 cases: B(41, 1/2) is below 14 with 1.4 %.
const ENDS: usize = 13;

fn request(path: &str) -> Vec<u8> {
    let lyrics = "la ".repeat(320);
    let body =
        format!("{{\"bpm\":120,\"genre\":\"jazz\",\"seconds\":1.5,\"lyrics\":\"{lyrics}\"}}");
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nx-team: a\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A process of Fusebox with a directory of its own, both gone in the end.
struct Running {
    process: Child,
    listen: SocketAddr,
    home: PathBuf,
}

impl Running {
    /// Starts one whose second route has this task.
    fn start(task: &str, backend: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let (listen, admin) = (free_address(), free_address());
        let name = format!("fusebox-capture-{}-{}", std::process::id(), listen.port());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home)?;
        let comma = if task.is_empty() { "" } else { "," };
        let config = format!(
            "service: bench
workers: 1
admin: {{ listen: \"{admin}\" }}
data_dir: {}
database: {{ url: \"\" }}
logs: {{ calls: none }}
listeners:
  egress:
    listen: \"{listen}\"
    routes:
      - {{ match: {{ path_prefix: /v1/charges }}, upstream: backend }}
      - {{ match: {{ path_prefix: /v1/beats }}, upstream: backend{comma} {task} }}
upstreams: {{ backend: {{ endpoints: [\"http://{backend}\"] }} }}
",
            home.join("data").display()
        );
        fs::write(home.join("fusebox.yaml"), config)?;
        let process = Command::new(env!("CARGO_BIN_EXE_fusebox"))
            .args(["run", "--config", "fusebox.yaml"])
            .current_dir(&home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let running = Self { process, listen, home };
        wait_until("Fusebox takes calls", PATIENCE, || TcpStream::connect(listen).ok());
        Ok(running)
    }

    /// Whether a call gets to the upstream and back: one that is refused would be cheap.
    fn is_answered(&self, request: &[u8]) -> Result<(), Box<dyn Error>> {
        const GOOD: &[u8] = b"HTTP/1.1 200 ";
        let (mut stream, mut head) = (TcpStream::connect(self.listen)?, [0; GOOD.len()]);
        stream.write_all(request)?;
        stream.read_exact(&mut head)?;
        if head == GOOD { Ok(()) } else { Err(String::from_utf8_lossy(&head).into()) }
    }

    /// Makes the calls of a round; what one took, in µs.
    fn per_call(&self, request: &[u8]) -> Result<f64, Box<dyn Error>> {
        let before = self.on_processor()?;
        call(self.listen, request, CALLS)?;
        let took = self.on_processor()? - before;
        Ok(took.as_secs_f64() * 1e6 / CALLS as f64)
    }

    /// How long all its threads have been on a processor, as Linux counts it.
    fn on_processor(&self) -> Result<Duration, Box<dyn Error>> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            // One that has ended meanwhile is gone.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
            sum += Duration::from_nanos(ns.unwrap_or_default());
        }
        Ok(sum)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All three fail only when it is gone already.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.home));
    }
}
