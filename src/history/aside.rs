//! Rows that the store does not take: counted, told, and kept in a file for whoever mends them.

use std::{
    collections::HashSet,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use tracing::warn;

use super::{journal::home::longest_file, line::line};
use crate::domain::task::CallRecord;

/// The file, in the data directory: a JSON line for each row.
const FILE: &str = "set-aside.jsonl";

/// The file grows no further than this, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Kinds of bad rows that are told in the log, one line each; more are only counted and kept.
const KINDS_TOLD: usize = 16;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// None where there is no data directory.
    path: Option<PathBuf>,
    told: HashSet<String>,
}

impl Aside {
    /// Keeps rows in a data directory, when there is one.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { path: directory.map(|directory| directory.join(FILE)), told: HashSet::new() }
    }

    /// Sets a row aside, which the store refused for this reason.
    pub(super) fn keep(&mut self, row: &CallRecord, why: &str) {
        let line = line(row);
        let kept = self.append(&line);
        if self.told.len() < KINDS_TOLD && !self.told.contains(why) {
            let kept = kept.map_or_else(|error| error.to_string(), |()| FILE.to_owned());
            warn!(error = why, row = line, kept, "the store does not take a row: it is set aside");
            self.told.insert(why.to_owned());
        }
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let Some(path) = &self.path else { return Err(io::ErrorKind::NotFound.into()) };
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        if file.metadata()?.len() + line.len() as u64 >= MAX_BYTES.min(longest_file()) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        file.write_all(format!("{line}\n").as_bytes())
    }
}
