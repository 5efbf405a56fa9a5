//! What happens when there is no room.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use super::{Directory, Process, ids};
use crate::{
    clock,
    domain::{
        learn::{
            histogram::Histogram,
            rollup::{Ledger, Rollup, RollupKey},
        },
        task::{CallRecord, Origin},
    },
    history::{
        journal::{Journal, KEPT, Limits, Tail, home::Home},
        samples,
    },
};

#[test]
fn committed_segments_go_after_a_minute_and_others_stay() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 16 << 20);
    process.calls(20_000);
    let before = directory.segments().len();
    process.rows();
    let now = clock::now();
    process.journal.spool.settled(now);
    process.journal.spool.forget_committed(now + Duration::from_secs(59));
    assert_eq!(directory.segments().len(), before);
    process.journal.spool.forget_committed(now + KEPT);
    assert_eq!(directory.segments().len(), 3, "the one that is written, and the next two");
}

#[test]
fn what_does_not_fit_is_added_up_before_it_goes() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 4 << 20);
    let calls = process.calls(40_000);
    let mut dropped = 0;
    while let Some(going) = process.journal.spool.next_to_go().unwrap() {
        process.tail.lose(going.number, &going.sums);
        // A kill here is the worst moment: it is told, and still there.
        if dropped == 0 {
            drop(process);
            process = Process::start_within(&directory, 4 << 20);
            process.journal.spool.rewind(&BTreeMap::new()).unwrap();
        }
        process.journal.spool.remove(going.worker, going.number);
        dropped += going.dropped.rows;
    }
    assert!(process.journal.spool.bytes() <= 4 << 20);
    process.collect();
    let (mut rows, mut lost) = (Vec::new(), 0);
    loop {
        let lot = process.journal.spool.next(1_000).unwrap();
        if lot.is_empty() {
            break;
        }
        lost += lot.sums.iter().map(|(_, sum)| sum.count).sum::<u64>();
        rows.extend(ids(&lot.rows));
    }
    assert_eq!(lost, dropped);
    assert_eq!(rows, ids(&calls)[usize::try_from(dropped).unwrap()..]);
}

#[test]
fn rows_without_any_room_are_added_up_and_told_when_there_is_some() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 16 << 20);
    let site = samples::site("payments");
    let calls: Vec<_> = (0..500_000).map(|_| samples::success(&site)).collect();
    // Nobody makes pages meanwhile, so that memory is used up too.
    calls.iter().for_each(|call| process.tail.end(None, call));
    let kept = process.tail.rows();
    assert!((1..500_000).contains(&kept), "{kept} rows");
    process.collect();
    process.tail.end(None, &calls[0]);
    assert_eq!(process.tail.tell_lost(), 500_000 - kept);
    process.collect();
    let (mut rows, mut lost) = (0, 0);
    loop {
        let lot = process.journal.spool.next(1_000).unwrap();
        if lot.is_empty() {
            break;
        }
        rows += lot.rows.len() as u64;
        lost += lot.sums.iter().map(|(_, sum)| sum.count - sum.stored).sum::<u64>();
    }
    assert_eq!((rows, lost), (kept + 1, 500_000 - kept));
}

#[test]
fn where_no_directory_can_be_had_rows_wait_in_memory() {
    let directory = Directory::new();
    let file = directory.0.join("file");
    fs::write(&file, "").unwrap();
    let home = Home::claim(&file.join("data")).unwrap();
    assert!(home.segments().unwrap_err().contains("Not a directory"));
    let limits = Limits { spool_max_bytes: 16 << 20, kept: KEPT };
    let journal = Journal::open(home, Origin::default(), 1, limits);
    let tail = Tail::new(0, Arc::clone(&journal.supply));
    let mut process = Process { journal, tail };
    let calls = process.calls(10_000);
    assert_eq!(ids(&process.rows()), ids(&calls));
    assert!(process.journal.supply.why_in_memory().is_some());
}

#[test]
fn a_segment_that_the_store_lost_again_stays_until_it_has_it_again() {
    let directory = Directory::new();
    let mut process = Process::start_within(&directory, 16 << 20);
    let calls = process.calls(20_000);
    assert_eq!(process.rows().len(), 20_000);
    let now = clock::now();
    process.journal.spool.settled(now);
    // A copy that has nothing of it takes over.
    process.journal.spool.rewind(&BTreeMap::new()).unwrap();
    process.journal.spool.forget_committed(now + KEPT);
    assert_eq!(ids(&process.rows()), ids(&calls));
    process.journal.spool.settled(now + KEPT);
    process.journal.spool.forget_committed(now + 2 * KEPT);
    assert_eq!(directory.segments().len(), 3);
}

#[test]
fn a_segment_that_cannot_be_read_holds_up_no_other_worker_and_loses_no_row() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let calls = process.calls(150);
    let mut other = Tail::new(1, Arc::clone(&process.journal.supply));
    other.give(process.journal.supply.page(1).unwrap());
    other.end(None, &samples::success(&samples::site("payments")));
    process.journal.spool.take_in(1, &mut other);
    let broken = directory.segments().pop().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&broken).unwrap();
    let whole = fs::read(&broken).unwrap();
    file.set_len(100).unwrap();
    let mut rows = ids(&process.journal.spool.next(100).unwrap().rows);
    rows.extend(ids(&process.journal.spool.next(100).unwrap().rows));
    assert_eq!(rows, ids(&calls));
    assert!(process.journal.spool.next(100).is_err());
    fs::write(&broken, whole).unwrap();
    assert_eq!(process.journal.spool.next(100).unwrap().rows.len(), 1);
}

#[test]
fn what_is_in_memory_goes_on_in_a_file_as_soon_as_there_is_one() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    process.tail = Tail::new(0, Arc::clone(&process.journal.supply));
    let site = samples::site("payments");
    let (early, late) = (samples::success(&site), samples::success(&site));
    let ticket = process.begin(&early);
    assert_eq!(process.journal.supply.in_memory(), 1, "nobody has made a page yet");
    process.collect();
    process.tail.end(None, &late);
    drop((process, ticket));
    let mut next = Process::start(&directory);
    let mut rows = ids(&next.rows());
    rows.sort_unstable();
    let mut expected = [early.id, late.id];
    expected.sort_unstable();
    assert_eq!(rows, expected, "what was open is told again in the file");
}

#[test]
fn sums_of_every_duration_there_is_reach_the_store() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let durations = Histogram::from_bins((0..400).map(|bin| (bin, 1)));
    let sums: Vec<_> = (0..50)
        .map(|minute| {
            let key = RollupKey { minute, ..rollup_key(&samples::success(&samples::site("a"))) };
            (key, Rollup { count: 400, durations: durations.clone(), ..Rollup::default() })
        })
        .collect();
    process.tail.lose(7, &sums);
    process.collect();
    let (mut told, mut lots) = (Vec::new(), 0);
    while let Some(lot) = Some(process.journal.spool.next(1_000).unwrap()).filter(|l| !l.is_empty())
    {
        told.extend(lot.sums);
        lots += 1;
    }
    assert_eq!(told, sums);
    assert!(lots < 10, "{lots} records for {} sums", sums.len());
}

fn rollup_key(call: &CallRecord) -> RollupKey {
    let mut ledger = Ledger::default();
    ledger.add_lost("orders", call);
    ledger.into_sums().remove(0).0
}
