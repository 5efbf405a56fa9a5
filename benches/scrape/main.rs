//! What a scrape of `/metrics` takes: `cargo bench --bench scrape`.
//!
//! A real Fusebox with so many upstreams that a scrape has 10,000 series, each with calls behind it,
//! asked again and again. Prints a table and never fails for what it says.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

#[path = "../../tests/support/local.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod local;

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use local::{free_address, wait_until};

const UPSTREAMS: usize = 200;
const SCRAPES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scrape: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> Result<(), Box<dyn Error>> {
    let home = std::env::temp_dir().join(format!("fusebox-scrape-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let (listen, admin, backend) = (free_address(), free_address(), free_address());
    answer_all(backend)?;
    let config = home.join("fusebox.yaml");
    fs::write(&config, configuration(listen, admin, backend)?)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
    command.args(["run", "--config"]).arg(config).current_dir(&home);
    let _running = Running(command.stdout(Stdio::null()).spawn()?);
    wait_until("Fusebox is ready", PATIENCE, || TcpStream::connect(admin).ok());
    for number in 0..UPSTREAMS {
        get(listen, &format!("/{number}/"), "")?;
    }
    println!("{SCRAPES} scrapes, {UPSTREAMS} upstreams, one after the other\n");
    for (format, accept) in [("text", ""), ("OpenMetrics", "application/openmetrics-text")] {
        let mut took = Vec::new();
        let mut scrape = String::new();
        for _ in 0..SCRAPES {
            let began = now();
            scrape = get(admin, "/metrics", accept)?;
            took.push(now().duration_since(began));
        }
        took.sort();
        let series = scrape.lines().filter(|line| !line.starts_with('#')).count();
        let (median, worst) = (took[SCRAPES / 2], took[SCRAPES - 1]);
        println!(
            "{format:<12} {series} series, {} KiB: median {median:.1?}, worst {worst:.1?}",
            scrape.len() >> 10
        );
    }
    println!("\nwanted: 10,000 series or more, in less than 50 ms");
    fs::remove_dir_all(&home)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark takes the time")]
fn now() -> Instant {
    Instant::now()
}

fn configuration(
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "admin: {{ listen: \"{admin}\" }}\ndatabase: {{ url: \"\" }}\nlogs: {{ calls: none }}\n\
         listeners:\n  egress:\n    listen: \"{listen}\"\n    routes:\n"
    );
    for number in 0..UPSTREAMS {
        writeln!(text, "      - {{ match: {{ path_prefix: /{number} }}, upstream: u{number} }}")?;
    }
    text.push_str("upstreams:\n");
    for number in 0..UPSTREAMS {
        writeln!(text, "  u{number}: {{ endpoints: [\"http://{backend}\"] }}")?;
    }
    Ok(text)
}

/// Answers every call with nothing.
fn answer_all(at: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(at)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || -> std::io::Result<()> {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line)? > 0 {
                    if line == "\r\n" {
                        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
                    }
                    line.clear();
                }
                Ok(())
            });
        }
    });
    Ok(())
}

fn get(to: SocketAddr, path: &str, accept: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
