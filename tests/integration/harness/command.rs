//! Commands of the binary under test: run to their end, or until they are killed.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use super::fusebox::PATIENCE;
use crate::local::wait_until;

/// What a command of the binary left behind.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    /// Both streams, stdout first.
    pub(crate) text: String,
}

/// A command of the binary that goes on until it is killed.
pub(crate) struct Running {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut process =
            binary().args(args).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { process, lines }
    }

    /// What it printed on stdout so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has printed so many lines.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<String> {
        wait_until(&format!("{count} lines"), PATIENCE, || {
            let lines = self.lines();
            (lines.len() >= count).then_some(lines)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs a command of the binary to its end.
pub(crate) fn run(args: &[&str], env: &[(&str, &str)]) -> Finished {
    let mut command = binary();
    command.envs(env.iter().copied());
    finish(command, args)
}

/// The same with this on its standard input.
pub(crate) fn run_on(input: fs::File, args: &[&str]) -> Finished {
    let mut command = binary();
    command.stdin(input);
    finish(command, args)
}

fn finish(mut command: Command, args: &[&str]) -> Finished {
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary starts");
    // Read meanwhile: a pipe holds only so much.
    let out = read_all(process.stdout.take().expect("it is piped"));
    let errors = read_all(process.stderr.take().expect("it is piped"));
    let status = wait_until(&format!("fusebox {args:?} ends"), PATIENCE, || {
        process.try_wait().expect("it is our child")
    });
    let text = [out, errors].map(|stream| stream.join().expect("it prints text")).concat();
    Finished { code: status.code(), text }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it prints text");
        text
    })
}

/// Where the binary under test is.
pub(super) fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fusebox"))
}

fn binary() -> Command {
    bare(&ours())
}

/// A binary with nothing of this environment but the PATH.
pub(super) fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    // The default data directory is a relative one.
    command.current_dir(std::env::temp_dir());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    command
}
