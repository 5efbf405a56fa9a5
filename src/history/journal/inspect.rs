//! A journal as it lies on disk, for people: nothing here changes it, and a running process may go
//! on writing meanwhile.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    codec,
    frame::{Frame, Kind},
    home::{is_in_use, read_id, segments_of},
    scan::Contents,
    segment::{EXTENSION, Segment},
    vocabulary::Vocabulary,
};
use crate::{domain::task::TaskId, history::line};

/// What a data directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The journal's id.
    pub journal_id: Option<String>,
    /// Whether a process has it.
    pub is_in_use: bool,
    /// Calls that began and are not known to have ended.
    pub under_way: usize,
    /// The segments that can be read, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Files that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file.
    pub path: PathBuf,
    /// The worker that wrote it.
    pub worker: u32,
    /// Its number.
    pub number: u64,
    /// The process that wrote it.
    pub instance: String,
    /// What it takes.
    pub bytes: u64,
    /// What of it is written.
    pub used_bytes: u64,
    /// Rows in it, whether they are in the store already or not.
    pub rows: u64,
    /// The calls that these stand for.
    pub calls: u64,
    /// Records that cannot be read.
    pub damaged: u64,
}

/// Looks at a data directory.
///
/// # Errors
/// There is no journal, or it cannot be read.
pub fn report(directory: &Path) -> io::Result<Report> {
    let (segments, unreadable) = open_all(directory)?;
    let mut open = HashSet::new();
    let reports = segments.iter().map(|segment| report_of(segment, &mut open));
    let reports = reports.collect::<io::Result<_>>()?;
    let (journal_id, is_in_use) = (read_id(directory), is_in_use(directory));
    Ok(Report { journal_id, is_in_use, under_way: open.len(), segments: reports, unreadable })
}

/// Gives every record of a call to `say`, as a JSON object: those that began and those that ended.
///
/// # Errors
/// There is no journal, or it cannot be read.
pub fn dump(directory: &Path, mut say: impl FnMut(Value)) -> io::Result<Vec<(PathBuf, String)>> {
    let (segments, unreadable) = open_all(directory)?;
    for segment in &segments {
        walk(segment, |frame, words| {
            let (kind, call) = match frame.kind {
                Kind::Began => ("began", codec::began(frame.payload, words)),
                Kind::Fold => ("growing", codec::fold(frame.payload, words)),
                Kind::Ended => ("ended", codec::ended(frame.payload, words)),
                _ => return true,
            };
            let Some(call) = call else { return false };
            let mut row = serde_json::from_str::<Value>(&line(&call)).unwrap_or_default();
            if frame.kind == Kind::Began
                && let Some(columns) = row.as_object_mut()
            {
                // How it ended stands in another record, if it did.
                columns.retain(|name, _| !AT_THE_END.contains(&name.as_str()));
            }
            let header = &segment.header;
            say(json!({
                "record": kind,
                "worker": header.worker,
                "segment": header.number,
                "offset": frame.end,
                "instance": header.origin.instance,
                "call": row,
            }));
            true
        })?;
    }
    Ok(unreadable)
}

fn report_of(segment: &Segment, open: &mut HashSet<TaskId>) -> io::Result<SegmentReport> {
    let (mut rows, mut calls, mut unread, mut used) = (0, 0, 0, segment.first);
    let damaged = walk(segment, |frame, words| {
        used = frame.end;
        match (frame.kind, codec::id_of(frame.payload)) {
            (Kind::Began, Some(id)) => drop(open.insert(id)),
            (Kind::Ended, Some(id)) => drop(open.remove(&id)),
            _ => {}
        }
        if frame.kind == Kind::Ended {
            let Some(call) = codec::ended(frame.payload, words) else {
                unread += 1;
                return false;
            };
            rows += 1;
            calls += u64::from(call.weight);
        }
        true
    })?;
    Ok(SegmentReport {
        path: segment.path.clone().unwrap_or_default(),
        worker: segment.header.worker,
        number: segment.header.number,
        instance: segment.header.origin.instance.clone(),
        bytes: segment.length as u64,
        used_bytes: used as u64,
        rows,
        calls,
        damaged: damaged + unread,
    })
}

/// Shows every record, with what the numbers in it mean; returns how many were damaged.
fn walk(
    segment: &Segment,
    mut show: impl FnMut(&Frame<'_>, &Vocabulary) -> bool,
) -> io::Result<u64> {
    let contents = Contents::read(segment, segment.length)?;
    let mut words = segment.words.clone();
    let mut scan = contents.scan();
    while let Some(frame) = scan.next() {
        match frame.kind {
            Kind::Site => drop(words.learn_site(frame.payload)),
            Kind::Text => drop(words.learn_text(frame.payload)),
            _ => drop(show(&frame, &words)),
        }
    }
    Ok(scan.damaged)
}

/// What is not known when a call begins.
const AT_THE_END: [&str; 11] = [
    "status",
    "grpcStatus",
    "outcome",
    "failureReason",
    "attempts",
    "durationUs",
    "upstreamUs",
    "firstByteUs",
    "requestBytes",
    "responseBytes",
    "weight",
];

type Opened = (Vec<Segment>, Vec<(PathBuf, String)>);

fn open_all(directory: &Path) -> io::Result<Opened> {
    let (mut segments, mut unreadable) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(segments_of(directory))? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != EXTENSION) {
            continue;
        }
        match Segment::open(&path) {
            Ok(segment) => segments.push(segment),
            Err(why) => unreadable.push((path, why.to_string())),
        }
    }
    segments.sort_by_key(|segment| segment.header.number);
    Ok((segments, unreadable))
}
