//! What the next process makes of what the last one left.

use std::{collections::BTreeMap, fs, time::Duration};

use super::{Directory, Process, ids};
use crate::{
    clock,
    domain::{
        outcome::{Outcome, Reason},
        task::{Attempt, CallRecord},
    },
    history::{
        journal::{KEPT, Position},
        samples,
    },
};

#[test]
fn a_row_is_read_as_it_was_written() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let site = samples::site("payments");
    let mut calls = vec![samples::success(&site), samples::failure(&site), samples::refused(&site)];
    calls[1].parent_id = Some(calls[0].id);
    let again = calls[0].attempts[0].clone();
    calls[1].attempts.push(Attempt { instead: Some("standby".into()), ..again });
    calls[0].grpc_status = Some(0);
    calls[1].grpc_status = Some(14);
    calls[2].weight = 7;
    calls.iter().for_each(|call| process.tail.end(None, call));
    let rows = process.rows();
    assert_eq!(format!("{rows:?}"), format!("{calls:?}"));
}

#[test]
fn what_a_killed_process_left_open_is_closed_by_the_next_start_and_once() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let ended = process.calls(3);
    let site = samples::site("payments");
    let open: Vec<_> = (0..2)
        .map(|at| {
            let started_at_us = samples::STARTED_AT_US - 1_000 + at;
            CallRecord { started_at_us, ..samples::success(&site) }
        })
        .collect();
    let tickets: Vec<_> = open.iter().map(|call| process.begin(call)).collect();
    drop(process);
    drop(tickets);
    let mut next = Process::start(&directory);
    assert_eq!(next.found().interrupted, 2);
    let rows = next.rows();
    assert_eq!(ids(&rows), ids(&[ended, open].concat()));
    let [.., last] = &rows[..] else { panic!("no rows") };
    assert_eq!((last.outcome, last.reason), (Outcome::Interrupted, Some(Reason::Crashed)));
    assert_eq!(last.duration_us, 2_000 - 1, "up to the last sign of life");
    drop(next);
    let mut third = Process::start(&directory);
    assert_eq!((third.found().interrupted, third.rows().len()), (0, 5));
}

#[test]
fn a_row_that_was_growing_has_all_its_calls() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let row = samples::refused(&samples::site("payments"));
    let ticket = process.tail.fold(&row, [1, 10, 100, 1_000]);
    process.tail.count(&ticket, [50, 100, 200, 300]);
    drop((process, ticket));
    let mut next = Process::start(&directory);
    let rows = next.rows();
    assert_eq!(ids(&rows), [row.id]);
    let row = &rows[0];
    assert_eq!((row.outcome, row.weight, row.duration_us), (Outcome::Refused, 50, 2));
    assert_eq!((row.request_bytes, row.response_bytes), (4, 6));
}

#[test]
fn what_stays_open_is_told_again_in_each_segment() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 16 << 20);
    let site = samples::site("slow");
    let long = samples::success(&site);
    let growing = samples::refused(&site);
    let tickets = (process.begin(&long), process.tail.fold(&growing, [1, 0, 0, 0]));
    let first = directory.segments()[0].clone();
    for calls in 0..30 {
        process.calls(1_000);
        process.tail.count(&tickets.1, [calls + 2, 0, 0, 0]);
    }
    drop((process, tickets));
    assert!(directory.segments().len() > 4, "{:?}", directory.segments());
    fs::remove_file(first).unwrap();
    let mut next = Process::start(&directory);
    assert_eq!(next.found().interrupted, 1, "a row that grows is no call");
    let rows = next.rows();
    let [.., a, b] = &rows[..] else { panic!("no rows") };
    let mut last = [(a.id, a.weight), (b.id, b.weight)];
    last.sort();
    let mut expected = [(long.id, 1), (growing.id, 31)];
    expected.sort();
    assert_eq!(last, expected);
}

#[test]
fn reading_goes_on_behind_the_cursor() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let calls = process.calls(250);
    let lot = process.journal.spool.next(100).unwrap();
    let reached = lot.reach(0..70);
    drop(process);
    let mut next = Process::start(&directory);
    let cursors: BTreeMap<_, _> = reached.iter().map(|(w, p)| (*w, p.to_cursor())).collect();
    next.journal.spool.rewind(&cursors).unwrap();
    let more = next.calls(3);
    assert_eq!(ids(&next.rows()), ids(&[&calls[70..], &more].concat()));
}

#[test]
fn a_cursor_beyond_all_segments_means_that_they_are_old() {
    let directory = Directory::new();
    drop(Process::start(&directory).calls(10));
    let mut next = Process::start(&directory);
    let far = Position::new(1 << 38, 0).to_cursor();
    let new = next.calls(2);
    next.journal.spool.rewind(&BTreeMap::from([(0, far)])).unwrap();
    assert_eq!(ids(&next.rows()), ids(&new));
}

#[test]
fn more_calls_than_a_segment_has_room_for_are_closed_each_once() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let site = samples::site("slow");
    let open: Vec<_> =
        (0..5_000).map(|at| CallRecord { started_at_us: at, ..samples::success(&site) }).collect();
    let tickets: Vec<_> = open.iter().map(|call| process.begin(call)).collect();
    drop((process, tickets));
    let mut next = Process::start(&directory);
    assert_eq!(next.found().interrupted, 5_000);
    let (mut rows, limit) = (Vec::new(), 100);
    while rows.len() <= open.len() {
        let lot = next.journal.spool.next(limit).unwrap();
        if lot.is_empty() {
            break;
        }
        rows.extend(ids(&lot.rows));
    }
    assert_eq!(rows, ids(&open));
    drop(next);
    assert_eq!(Process::start(&directory).found().interrupted, 0);
}

#[test]
fn behind_a_cursor_that_is_ahead_no_row_of_this_process_is_passed_over() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 16 << 20);
    let far = BTreeMap::from([(0, Position::new(1 << 38, 0).to_cursor())]);
    let calls = process.calls(10_000);
    assert!(directory.segments().len() > 2);
    process.journal.spool.rewind(&far).unwrap();
    assert_eq!(ids(&process.rows()), ids(&calls));
}

#[test]
fn a_row_grows_where_it_lies_although_more_is_open_than_a_segment_holds() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 8 << 20);
    let site = samples::site("slow");
    let growing = samples::refused(&site);
    let ticket = process.tail.fold(&growing, [1, 0, 0, 0]);
    let open: Vec<_> = (0..12_000)
        .map(|_| {
            let ticket = process.begin(&samples::success(&site));
            process.collect();
            ticket
        })
        .collect();
    assert!(directory.segments().len() > 3);
    process.tail.count(&ticket, [77, 0, 0, 0]);
    process.collect();
    drop((process, ticket, open));
    let mut next = Process::start_within(&directory, 64 << 20);
    assert_eq!(next.found().interrupted, 12_000, "the row that grew was no call under way");
    let rows = next.rows();
    assert_eq!(rows.iter().find(|row| row.id == growing.id).map(|row| row.weight), Some(77));
    assert_eq!(next.journal.spool.damaged(), 0);
}

#[test]
fn what_a_start_cannot_close_is_closed_by_a_later_one() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let ended = process.calls(3);
    let open = samples::success(&samples::site("slow"));
    let ticket = process.begin(&open);
    drop((process, ticket));
    // Nothing can be made for the next minute.
    let now = clock::wall_us() / 100_000;
    let taken =
        (now..now + 600).map(|at| directory.0.join(format!("journal/000-{at:011}.journal")));
    let taken: Vec<_> = taken.filter(|path| fs::create_dir(path).is_ok()).collect();
    let mut next = Process::start(&directory);
    assert_eq!(next.found().interrupted, 0);
    assert!(next.journal.supply.why_in_memory().is_some());
    taken.iter().for_each(|path| fs::remove_dir(path).unwrap());
    let more = next.calls(3);
    assert_eq!(ids(&next.rows()), ids(&[ended, more].concat()));
    let cursor = BTreeMap::from([(0, next.journal.spool.position(0).to_cursor())]);
    next.journal.spool.rewind(&cursor).unwrap();
    next.journal.spool.settled(clock::now());
    next.journal.spool.forget_committed(clock::now() + KEPT + Duration::from_secs(1));
    drop(next);
    let mut third = Process::start(&directory);
    third.journal.spool.rewind(&cursor).unwrap();
    assert_eq!((third.found().interrupted, ids(&third.rows())), (1, vec![open.id]));
}
