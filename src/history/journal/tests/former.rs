//! What an earlier version of Fusebox wrote, byte by byte.

use std::fs;

use super::{Directory, Process};
use crate::domain::{
    outcome::{Outcome, Reason, Verdict},
    task::CallRecord,
};

/// Of a process that was killed, before rows had a `grpc_status`: a call that succeeded, one that
/// failed twice, a row that stood for three refused calls and was growing, and a call under way.
const BEFORE_GRPC_STATUS: &[u8] =
    include_bytes!("../../../../tests/data/before_grpc_status.journal");

#[test]
fn rows_from_before_grpc_status_are_read_whole_and_have_none() {
    let directory = Directory::new();
    fs::create_dir(directory.0.join("journal")).unwrap();
    let path = directory.0.join("journal/000-17953698545.journal");
    fs::write(path, BEFORE_GRPC_STATUS).unwrap();
    let mut process = Process::start(&directory);
    let rows = process.rows();
    assert!(process.found().unreadable.is_empty());
    assert!(rows.iter().all(|row| row.grpc_status.is_none()));
    let said = |row: &CallRecord| {
        (row.correlation_id.as_str().to_owned(), row.outcome, row.reason, row.weight)
    };
    let expected = [
        ("req-1", Outcome::Success, None, 1),
        ("req-2", Outcome::Failure, Some(Reason::Http503), 1),
        ("req-3", Outcome::Refused, Some(Reason::BreakerOpen), 3),
        ("req-4", Outcome::Interrupted, Some(Reason::Crashed), 1),
    ]
    .map(|(id, outcome, reason, weight)| (id.to_owned(), outcome, reason, weight));
    assert_eq!(rows.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!((rows[0].status, rows[0].response_bytes), (Some(200), 2));
    let verdicts: Vec<_> = rows[1].attempts.iter().map(|attempt| attempt.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failure; 2]);
    assert_eq!((rows[2].duration_us, rows[2].request_bytes), (10, 100));
}
