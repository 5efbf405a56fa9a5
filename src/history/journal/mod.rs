//! The journal: what is told of a call before anybody waits for a store, and what survives a kill.
//!
//! One directory, in it the segments of each worker. A worker appends through its `Tail`
//! and waits for nothing; the writer reads the same segments through the `Spool`, as far as
//! they are written, and goes back to the store's cursor whenever it is not sure. So the journal is
//! also where rows wait while the store is away. What was open when a process died is closed by the
//! next one, at its start.
//!
//! # The format, version 1
//!
//! A segment is `FUSEBOX` and the version's byte, then frames: a CRC-32 of what follows, begun from
//! the segment's number; one byte of kind and three of length; the payload. Numbers are little-endian.
//! The first frame is the header: worker, number, namespace, service, version, instance, and the
//! names of the codes that the records use. Zeros follow the last frame.

mod bytes;
mod captured;
mod codec;
mod frame;
pub mod home;
pub mod inspect;
mod lot;
mod map;
mod names;
mod open;
mod position;
mod recover;
mod scan;
mod segment;
mod spool;
mod supply;
mod tail;
#[cfg(test)]
mod tests;
mod track;
mod vocabulary;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use crate::domain::task::Origin;
use home::Home;
use position::{MAX_SEGMENT, Numbers};
use segment::{EXTENSION, Segment, Unreadable};
use supply::Supply;

pub(super) use lot::Lot;
pub use open::Ticket;
pub(super) use position::Position;
pub(super) use spool::{Dropped, Spool};
pub(super) use tail::Tail;

/// How large a journal may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of all segments together.
    pub spool_max_bytes: u64,
    /// How long a segment stays after its rows are committed.
    pub kept: Duration,
}

/// How long a segment stays after its rows are committed: longer than a failover takes.
pub const KEPT: Duration = Duration::from_secs(60);

/// A journal that is open: see the module docs.
#[derive(Debug)]
pub struct Journal {
    pub(super) id: String,
    pub(super) spool: Spool,
    pub(super) supply: Arc<Supply>,
    /// What was found and done at the start.
    pub(super) found: Found,
    /// Held as long as the journal is.
    pub(super) home: Home,
}

/// What a start found in its journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Segments with records.
    pub segments: usize,
    /// Calls that were under way when the last process died.
    pub interrupted: u64,
    /// Files that could not be read, and why; they are left as they are.
    pub unreadable: Vec<(String, String)>,
}

impl Journal {
    /// Opens the journal of a home for a process with so many workers, and closes what the last
    /// process left open. Where there is no directory to be had, the journal is in memory.
    pub fn open(home: Home, origin: Origin, workers: usize, limits: Limits) -> Self {
        let mut found = Found::default();
        let segments = match home.segments() {
            Ok(directory) => read_directory(directory, &mut found),
            Err(_) => Vec::new(),
        };
        let last = segments.iter().map(|segment| segment.header.number).max().unwrap_or(0);
        let numbers = Numbers::after(last);
        let (segments, owing) = match home.segments() {
            Ok(directory) => recover_all(directory, &numbers, segments, &mut found),
            Err(_) => (segments, BTreeSet::new()),
        };
        found.segments = segments.len();
        let directory = home.segments().map(Path::to_path_buf).map_err(str::to_owned);
        let lanes = workers.max(1);
        let segment_bytes = segment_bytes(limits.spool_max_bytes, lanes);
        let memory = ((MEMORY_BYTES / segment_bytes).max(4 * lanes), lanes);
        let supply = Supply::new(directory, Arc::new(origin), numbers, segment_bytes, memory);
        let supply = Arc::new(supply);
        let bounds = (limits.spool_max_bytes, limits.kept);
        let spool = Spool::new((segments, owing), Arc::clone(&supply), bounds);
        Self { id: home.journal_id().to_owned(), spool, supply, found, home }
    }
}

impl Journal {
    /// What was found and done at the start.
    pub const fn found(&self) -> &Found {
        &self.found
    }
}

#[cfg(test)]
impl Journal {
    /// A journal without a directory.
    pub(crate) fn in_memory(workers: usize) -> Self {
        let limits = Limits { spool_max_bytes: 16 << 20, kept: KEPT };
        let origin = Origin { service: "orders".into(), ..Origin::default() };
        Self::open(Home::nowhere("a test".into()), origin, workers, limits)
    }
}

/// Large enough to be turned rarely, and small enough that every worker's two leave most of the
/// bound for rows that wait.
fn segment_bytes(spool_max_bytes: u64, workers: usize) -> usize {
    let share = usize::try_from(spool_max_bytes).unwrap_or(usize::MAX) / (workers * 8);
    let longest = usize::try_from(home::longest_file()).unwrap_or(usize::MAX);
    share.clamp(MIN_SEGMENT, USUAL_SEGMENT).min(longest.max(LEAST_SEGMENT))
}

fn read_directory(directory: &Path, found: &mut Found) -> Vec<Segment> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            found.unreadable.push((directory.display().to_string(), error.to_string()));
            return Vec::new();
        }
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut segments = Vec::new();
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == EXTENSION)) {
        match Segment::open(&path) {
            Ok(segment) => segments.push(segment),
            Err(Unreadable::Blank) => drop(fs::remove_file(&path)),
            Err(why) => found.unreadable.push((path.display().to_string(), why.to_string())),
        }
    }
    segments.sort_by_key(|segment| segment.header.number);
    segments
}

/// Closes what each process left open in each worker's segments, and removes those that hold
/// nothing. Returns the others, and the numbers of those that could not be closed.
fn recover_all(
    directory: &Path,
    numbers: &Numbers,
    segments: Vec<Segment>,
    found: &mut Found,
) -> (Vec<Segment>, BTreeSet<u64>) {
    let mut writers: BTreeMap<(u32, String), Vec<Segment>> = BTreeMap::new();
    let mut trouble = |segment: &Segment, error: std::io::Error| {
        let path = segment.path.as_deref().unwrap_or(directory).display().to_string();
        found.unreadable.push((path, error.to_string()));
    };
    for segment in segments {
        match scan::Contents::read(&segment, segment.length) {
            // Made ahead and never needed.
            Ok(contents) if contents.is_empty() => drop(segment.remove()),
            Ok(_) => {
                let writer = (segment.header.worker, segment.header.origin.instance.clone());
                writers.entry(writer).or_default().push(segment);
            }
            Err(error) => trouble(&segment, error),
        }
    }
    let (mut dropped, mut owing) = (BTreeSet::new(), BTreeSet::new());
    for segments in writers.values_mut() {
        match recover::close(directory, numbers, segments) {
            Ok(recovered) => {
                found.interrupted += recovered.interrupted;
                dropped.extend(recovered.dropped);
            }
            Err(error) => {
                owing.extend(segments.iter().map(|segment| segment.header.number));
                let whose = segments.first().map(|segment| &segment.path);
                let whose = whose.cloned().flatten().unwrap_or_default();
                found.unreadable.push((whose.display().to_string(), error.to_string()));
            }
        }
    }
    let mut left: Vec<Segment> = writers.into_values().flatten().collect();
    left.extract_if(.., |segment| dropped.contains(&segment.header.number))
        .for_each(|segment| drop(segment.remove()));
    (left, owing)
}

/// What a segment has when the bound leaves room for it.
const USUAL_SEGMENT: usize = 4 << 20;
/// What it has at least.
const MIN_SEGMENT: usize = 1 << 20;
/// What it has even where files may not be so long: then there is none.
const LEAST_SEGMENT: usize = 1 << 18;
/// The bytes of segments in memory while no file can be had, unless the workers need more.
const MEMORY_BYTES: usize = 64 << 20;

const _: () = assert!(USUAL_SEGMENT <= MAX_SEGMENT, "offsets fit a position");
