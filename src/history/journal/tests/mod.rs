//! A journal in a real directory, whose processes die without a word.

mod damage;
mod directory;
mod former;
mod recovery;
mod room;
mod worth;

use std::{fs, path::PathBuf, sync::Arc};

use super::{Found, Journal, KEPT, Limits, Tail, home::Home, lot::Lot};
use crate::{
    domain::task::{CallRecord, Origin, TaskId},
    history::samples,
};

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("fusebox-journal-{}", TaskId::mint(0, fastrand::u128(..)));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The files of its segments, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("journal")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Best effort: a test that fails has more to say than this.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A process with one worker. Dropping it is a kill: nothing is written on the way out.
struct Process {
    journal: Journal,
    tail: Tail,
}

impl Process {
    fn start(directory: &Directory) -> Self {
        Self::start_within(directory, 64 << 20)
    }

    fn start_within(directory: &Directory, spool_max_bytes: u64) -> Self {
        let limits = Limits { spool_max_bytes, kept: KEPT };
        let origin = Origin {
            service: "orders".into(),
            instance: TaskId::mint(0, fastrand::u128(..)).to_string(),
            ..Origin::default()
        };
        let journal = Journal::open(Home::claim(&directory.0).unwrap(), origin, 1, limits);
        let tail = Tail::new(0, Arc::clone(&journal.supply));
        let mut process = Self { journal, tail };
        process.collect();
        process
    }

    /// What the writer does four times a second.
    fn collect(&mut self) {
        self.journal.spool.take_in(0, &mut self.tail);
        if self.tail.wants_spare()
            && let Some(page) = self.journal.supply.page(0)
        {
            self.tail.give(page);
        }
    }

    /// A call that is sent on.
    fn begin(&mut self, call: &CallRecord) -> super::Ticket {
        self.tail.begin(call, &"payments:8080".into())
    }

    /// Calls that were sent on and have ended.
    fn calls(&mut self, count: usize) -> Vec<CallRecord> {
        let site = samples::site("payments");
        let calls: Vec<_> = (0..count).map(|_| samples::success(&site)).collect();
        for some in calls.chunks(500) {
            for call in some {
                let ticket = self.begin(call);
                self.tail.end(Some(ticket), call);
            }
            self.collect();
        }
        calls
    }

    /// Every row that is there to read.
    fn rows(&mut self) -> Vec<CallRecord> {
        self.collect();
        let mut rows = Vec::new();
        loop {
            let Lot { rows: some, .. } = self.journal.spool.next(100).unwrap();
            if some.is_empty() {
                return rows;
            }
            rows.extend(some);
        }
    }

    fn found(&self) -> &Found {
        &self.journal.found
    }
}

fn ids(rows: &[CallRecord]) -> Vec<TaskId> {
    rows.iter().map(|row| row.id).collect()
}
