//! A journal in a real directory, whose processes die without a word.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{
    Found, Journal, KEPT, Limits, Tail,
    home::{Home, HomeError},
    inspect,
    lot::Lot,
};
use crate::{
    clock,
    domain::{
        outcome::{Outcome, Reason},
        task::{CallRecord, Origin, TaskId},
    },
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

#[test]
fn a_row_is_read_as_it_was_written() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let site = samples::site("payments");
    let mut calls = vec![samples::success(&site), samples::failure(&site), samples::refused(&site)];
    calls[1].parent_id = Some(calls[0].id);
    let again = calls[0].attempts[0].clone();
    calls[1].attempts.push(again);
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
    assert_eq!(next.found().interrupted, 2);
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
    let far = super::Position::new(1 << 38, 0).to_cursor();
    let new = next.calls(2);
    next.journal.spool.rewind(&BTreeMap::from([(0, far)])).unwrap();
    assert_eq!(ids(&next.rows()), ids(&new));
}

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
    assert_eq!(directory.segments().len(), 2, "the one that is written, and the next");
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

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn a_flipped_byte_costs_the_end_of_one_row_at_most(place in any::<proptest::sample::Index>(), flip in 1_u8..) {
        let directory = Directory::new();
        let mut process = Process::start(&directory);
        let calls = process.calls(50);
        let used = inspect::report(&directory.0).unwrap().segments[0].used_bytes;
        let first = process.journal.spool.first_record();
        drop(process);
        let file = &directory.segments()[0];
        let place = first + place.index(usize::try_from(used).unwrap() - first);
        damage(file, place, flip);
        let mut next = Process::start(&directory);
        let (closed, ended): (Vec<_>, Vec<_>) =
            next.rows().into_iter().partition(|row| row.outcome == Outcome::Interrupted);
        let found = ids(&ended);
        let left: Vec<_> = ids(&calls).into_iter().filter(|id| found.contains(id)).collect();
        prop_assert_eq!(&found[..], &left[..], "in their order, each once");
        prop_assert_eq!(found.len() + closed.len(), 50, "a row without its end is interrupted");
        prop_assert!(closed.len() <= 1);
    }
}

fn damage(path: &Path, place: usize, flip: u8) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place as u64).unwrap();
    file.write_all_at(&[byte[0] ^ flip], place as u64).unwrap();
}

#[test]
fn a_segment_that_was_cut_off_gives_the_rows_before_the_cut() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let calls = process.calls(100);
    let used = inspect::report(&directory.0).unwrap().segments[0].used_bytes;
    drop(process);
    let file = OpenOptions::new().write(true).open(&directory.segments()[0]).unwrap();
    file.set_len(used - 10).unwrap();
    let mut next = Process::start(&directory);
    let rows = next.rows();
    assert_eq!(ids(&rows), ids(&calls), "the last one is closed as interrupted");
    assert_eq!(rows[99].outcome, Outcome::Interrupted);
}

#[test]
fn files_that_are_no_segments_are_told_and_left_alone() {
    let directory = Directory::new();
    let calls = Process::start(&directory).calls(10);
    let segment = directory.segments()[0].clone();
    let put = |name: &str, content: &[u8]| {
        let path = directory.0.join("journal").join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let mut newer = fs::read(&segment).unwrap();
    newer[7] = 2;
    let mut headless = fs::read(&segment).unwrap();
    headless[30] ^= 1;
    let odd = [
        put("000-00000000001.journal", &newer),
        put("000-00000000002.journal", b"not a journal, but long enough to be looked at"),
        put("000-00000000003.journal", &headless),
        put("000-00000000004.journal", b"short"),
    ];
    let blank = put("000-00000000005.journal", &[0; 4096]);
    let mut next = Process::start(&directory);
    assert_eq!(ids(&next.rows()), ids(&calls));
    let told: BTreeMap<_, _> = next.found().unreadable.iter().cloned().collect();
    let why = |path: &PathBuf| told[&path.display().to_string()].as_str();
    assert!(why(&odd[0]).contains("format 2 and this version reads format 1"), "{told:?}");
    assert_eq!(why(&odd[1]), "it is no journal of Fusebox");
    assert_eq!(why(&odd[2]), "its header is damaged");
    assert_eq!(why(&odd[3]), "it is no journal of Fusebox");
    assert!(odd.iter().all(|path| path.exists()) && !blank.exists());
}

#[test]
fn a_directory_has_one_user_and_keeps_its_id() {
    let directory = Directory::new();
    let home = Home::claim(&directory.0).unwrap();
    let id = home.journal_id().to_owned();
    assert!(matches!(Home::claim(&directory.0), Err(HomeError::InUse)));
    assert!(inspect::report(&directory.0).unwrap().is_in_use);
    drop(home);
    assert_eq!(Home::claim(&directory.0).unwrap().journal_id(), id);
    fs::write(directory.0.join("journal_id"), "nonsense").unwrap();
    assert!(matches!(Home::claim(&directory.0), Err(HomeError::NoId(_))));
    fs::write(directory.0.join("journal_id"), "").unwrap();
    assert_ne!(Home::claim(&directory.0).unwrap().journal_id(), id, "a kill came in between");
}

#[test]
fn a_directory_that_is_freed_in_time_is_waited_for() {
    let directory = Directory::new();
    let home = Home::claim(&directory.0).unwrap();
    let path = directory.0.clone();
    let waiting = std::thread::spawn(move || Home::claim_within(&path, Duration::from_secs(20)));
    drop(home);
    assert!(waiting.join().unwrap().is_ok());
}

#[test]
fn what_a_neighbour_left_behind_is_found_when_it_was_for_the_same_store() {
    let parent = Directory::new();
    let home = |name: &str, place: &str| {
        let directory = Directory(parent.0.join(name));
        let process = Process::start(&directory);
        process.journal.home.mark(place).unwrap();
        (directory, process)
    };
    let (own, _own) = home("own", "db-1");
    let (_gone, mut gone) = home("gone", "db-1");
    let (_alive, _alive_process) = home("alive", "db-1");
    let (_other, other) = home("other", "db-2");
    gone.calls(3);
    let journal_id = gone.journal.id.clone();
    drop((gone, other));
    let found = Home::orphans(&own.0, "db-1");
    let ids: Vec<_> = found.iter().map(Home::journal_id).collect();
    assert_eq!(ids, [journal_id]);
}

#[test]
fn nobody_else_may_read_a_journal() {
    let directory = Directory::new();
    drop(Process::start(&directory).calls(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.segments()[0]), 0o600);
    assert_eq!(mode(&directory.0.join("journal")), 0o700);
    assert_eq!(mode(&directory.0.join("journal_id")), 0o600);
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
fn a_dump_tells_what_began_and_what_ended() {
    let directory = Directory::new();
    let mut process = Process::start(&directory);
    let [call] = &process.calls(1)[..] else { panic!("one call") };
    let ticket = process.begin(&samples::success(&samples::site("slow")));
    let mut lines = Vec::new();
    inspect::dump(&directory.0, |line| lines.push(line)).unwrap();
    let told: Vec<_> = lines.iter().map(|line| line["record"].as_str().unwrap()).collect();
    assert_eq!(told, ["began", "ended", "began"]);
    assert_eq!(lines[1]["call"]["taskId"], call.id.to_string());
    let report = inspect::report(&directory.0).unwrap();
    assert_eq!((report.under_way, report.segments[0].rows), (1, 1));
    drop(ticket);
}
