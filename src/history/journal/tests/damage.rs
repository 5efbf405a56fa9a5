//! Files that are not as they were written.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Directory, Process, ids};
use crate::{
    domain::outcome::Outcome,
    history::{journal::inspect, samples},
};

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
    let outcomes: Vec<_> = lines.iter().map(|line| line["call"].get("outcome").is_some()).collect();
    assert_eq!(outcomes, [false, true, false], "what began has none yet");
    let report = inspect::report(&directory.0).unwrap();
    assert_eq!((report.under_way, report.segments[0].rows), (1, 1));
    drop(ticket);
}
