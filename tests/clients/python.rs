//! Python's libraries: scripts that are callers and upstreams.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
};

use crate::peer::{PATIENCE, Peer, script, started};

/// More lines than any program here prints unread.
const LINES: usize = 64;

/// Where `tests/run` puts Python and what it needs.
pub(crate) fn peers() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target");
    target.join("peers")
}

/// A script of theirs for the Python that `tests/run` sets up beside what Cargo builds.
pub(crate) fn python(name: &str) -> Command {
    let mut command = Command::new(peers().join("bin/python"));
    command.arg(script(name));
    command
}

/// A program that one talks with: it prints a line, waits for its input to end, and prints another.
pub(crate) struct Talk {
    peer: Peer,
    lines: Receiver<String>,
}

impl Talk {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut peer = Peer(started(command.stdin(Stdio::piped()).stdout(Stdio::piped())));
        let stdout = BufReader::new(peer.0.stdout.take().expect("it is piped"));
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody listens any more when the test is over.
                drop(sender.send(line));
            }
        });
        Self { peer, lines }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Ends its input, and returns what it says to that.
    pub(crate) fn end(mut self) -> String {
        drop(self.peer.0.stdin.take());
        self.line()
    }
}
