//! What a process left open when it died: calls become rows that say so, and rows that stood for
//! many calls become what they were going to be.
//!
//! Each worker's journal gets more segments, of the dead process, with the rows that it owes. A kill
//! in the middle of this leaves some of them written, which the next start sees.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use super::{
    codec,
    frame::Kind,
    position::{MAX_SEGMENT, Numbers},
    scan::Contents,
    segment::{Header, Page, Segment},
    tail::Tail,
    vocabulary::Vocabulary,
};
use crate::{
    clock,
    domain::{
        outcome::Outcome,
        task::{CallRecord, TaskId},
    },
};

/// What was found in the segments that one process wrote for one worker.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Calls that were under way.
    pub(super) interrupted: u64,
    /// Segments whose rows are known to be dropped, so that they are not dropped twice.
    pub(super) dropped: Vec<u64>,
}

/// Closes what a dead process left open in a worker's segments, which come oldest first. The rows
/// go to new segments in the directory, which are added to the others.
///
/// # Errors
/// A segment cannot be read, or the new one not be written.
pub(super) fn close(
    directory: &Path,
    numbers: &Numbers,
    segments: &mut Vec<Segment>,
) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let Some(last) = segments.last() else { return Ok(recovered) };
    let Header { worker, origin, .. } = last.header.clone();
    let rows = open_rows(segments, &mut recovered)?;
    if rows.is_empty() {
        return Ok(recovered);
    }
    for rows in rows.chunks(ROWS_PER_SEGMENT) {
        let header =
            Header { worker, number: numbers.next(clock::wall_us()), origin: Arc::clone(&origin) };
        segments.push(write(directory, header, rows)?);
        let was_under_way = |row: &&CallRecord| row.outcome == Outcome::Interrupted;
        recovered.interrupted += rows.iter().filter(was_under_way).count() as u64;
    }
    Ok(recovered)
}

/// Writes a segment with these rows.
fn write(directory: &Path, header: Header, rows: &[CallRecord]) -> io::Result<Segment> {
    let page = Page::create(directory, header, ROOM + rows.len() * ROOM_PER_ROW)?;
    let path = page.segment.path.clone().unwrap_or_default();
    let mut tail = Tail::over(page);
    rows.iter().for_each(|row| tail.end(None, row));
    if tail.rows() < rows.len() as u64 {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Segment::open(&path).map_err(io::Error::other)
}

/// The rows of what began and has not ended, as they stand at the end of the journal.
fn open_rows(segments: &[Segment], recovered: &mut Recovered) -> io::Result<Vec<CallRecord>> {
    let mut open: HashMap<TaskId, CallRecord> = HashMap::new();
    let mut last_seen_us = i64::MIN;
    for segment in needed(segments)? {
        let contents = Contents::read(segment, segment.length)?;
        let mut words = segment.words.clone();
        let mut scan = contents.scan();
        while let Some(frame) = scan.next() {
            let record = frame.payload;
            match frame.kind {
                Kind::Site => drop(words.learn_site(record)),
                Kind::Text => drop(words.learn_text(record)),
                Kind::Began | Kind::Fold => {
                    let Some(call) = opened(frame.kind, record, &words) else { continue };
                    last_seen_us = last_seen_us.max(call.started_at_us);
                    open.insert(call.id, call);
                }
                Kind::Ended => {
                    codec::id_of(record).and_then(|id| open.remove(&id));
                    let ended_us = codec::ended(record, &words)
                        .map(|call| call.started_at_us.saturating_add_unsigned(call.duration_us));
                    last_seen_us = last_seen_us.max(ended_us.unwrap_or(i64::MIN));
                }
                Kind::Lost => {
                    let lost = codec::lost(record, &words).map(|lost| lost.segment);
                    recovered.dropped.extend(lost.filter(|&segment| segment != 0));
                }
                Kind::Header | Kind::Carried => {}
            }
        }
    }
    let mut rows: Vec<_> = open.into_values().collect();
    rows.sort_by_key(|row| (row.started_at_us, row.id));
    for row in rows.iter_mut().filter(|row| row.outcome == Outcome::Interrupted) {
        // It lived at least until the last thing that was heard of its process.
        row.duration_us = u64::try_from(last_seen_us - row.started_at_us).unwrap_or(0);
    }
    Ok(rows)
}

fn opened(kind: Kind, record: &[u8], words: &Vocabulary) -> Option<CallRecord> {
    match kind {
        Kind::Fold => codec::fold(record, words),
        _ => codec::began(record, words),
    }
}

/// The segments that tell of everything that is open: from the last place on at which all of it
/// was told again.
fn needed(segments: &[Segment]) -> io::Result<&[Segment]> {
    for segment in segments.iter().rev() {
        let contents = Contents::read(segment, segment.length)?;
        let mut scan = contents.scan();
        while let Some(frame) = scan.next() {
            if frame.kind == Kind::Carried
                && let Ok(since) = frame.payload.try_into().map(u64::from_le_bytes)
            {
                let first = segments.iter().position(|s| s.header.number >= since).unwrap_or(0);
                return Ok(&segments[first..]);
            }
        }
    }
    Ok(segments)
}

/// What a segment needs besides its rows, names included.
const ROOM: usize = 1 << 20;
/// More than a row takes.
const ROOM_PER_ROW: usize = 1 << 12;
/// As many rows as surely fit a segment: a place beyond its bounds has no position.
const ROWS_PER_SEGMENT: usize = (MAX_SEGMENT / 2 - ROOM) / ROOM_PER_ROW;
