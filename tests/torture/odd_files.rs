//! Files that are no journal, or not any more, in the directory of the journal.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    callers::{Call, End},
    disk::SOME,
    harness::run,
    world::World,
};

/// A world whose Fusebox is dead and has left a journal.
struct Left {
    world: World,
    calls: Vec<Call>,
    journal: PathBuf,
}

fn left() -> Left {
    let mut world = World::new(&[]);
    world.server.stop();
    let callers = world.callers(SOME);
    world.wait_for_calls(&callers, 300);
    let calls = world.runtime.block_on(callers.finish());
    world.fusebox.kill9();
    let journal = world.fusebox.data_dir().join("journal");
    Left { world, calls, journal }
}

/// The segments that hold rows, as `journal status` tells them.
fn status(directory: &Path) -> Value {
    let directory = directory.display().to_string();
    let finished = run(&["journal", "status", "--json", "--data-dir", &directory], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    serde_json::from_str(&finished.text).expect("JSON")
}

impl Left {
    fn status(&self) -> Value {
        status(self.world.fusebox.data_dir())
    }

    /// A segment with rows, and where its last record ends.
    fn segment(&self) -> (PathBuf, u64) {
        let status = self.status();
        let segments = status["segments"].as_array().expect("a list");
        let used = segments.iter().find(|segment| segment["rows"].as_u64() > Some(10));
        let used = used.expect("one with rows");
        let path = used["path"].as_str().expect("a path").into();
        (path, used["usedBytes"].as_u64().expect("a number"))
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.journal.join(name), content).expect("it is written");
    }

    /// Puts one file of each odd kind there; returns what is said of them.
    fn put_odd_files(&self) -> [&'static str; 4] {
        let content = fs::read(self.segment().0).expect("it is there");
        let mut newer = content.clone();
        newer[7] = 9;
        let mut headless = content.clone();
        headless[40] ^= 0xff;
        self.put("000-00000000001.journal", &newer);
        self.put("000-00000000002.journal", &headless);
        self.put("000-00000000003.journal", b"#!/bin/sh\necho not a journal\n");
        self.put("000-00000000004.journal", &content[..5]);
        self.put("000-00000000005.journal", b"");
        self.put("notes.txt", b"nobody reads this");
        ["has format 9", "its header is damaged", "is no journal of Fusebox", "is no journal"]
    }

    /// What the store has of the calls.
    fn stored(&self) -> String {
        self.world.query("select count(*), count(distinct id) from task_history")
    }

    fn all(&self) -> String {
        let is_answered = |call: &&Call| matches!(call.end, End::Answered { .. });
        let calls = self.calls.iter().filter(is_answered).count();
        format!("{calls} {calls}")
    }
}

#[test]
fn odd_files_are_told_and_left_and_their_neighbours_rows_arrive() {
    let mut left = left();
    let told = left.put_odd_files();
    left.world.server.resume();
    left.world.fusebox.restart();
    left.world.wait_until_stored();
    assert_eq!(left.stored(), left.all());
    let said = left.world.fusebox.lines().join("\n");
    for what in told {
        assert!(said.contains(what), "{what}: {said}");
    }
    let is_there =
        |number: u32| left.journal.join(format!("000-0000000000{number}.journal")).exists();
    assert_eq!([1, 2, 3, 4, 5].map(is_there), [true, true, true, true, false]);
}

#[test]
fn a_cut_and_a_flipped_byte_cost_one_row_each_at_most() {
    let mut left = left();
    let (path, used) = left.segment();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).expect("it opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, used / 2).expect("it is there");
    file.write_all_at(&[!byte[0]], used / 2).expect("it is written");
    file.set_len(used - 3).expect("it is cut");
    drop(file);
    let status = left.status();
    let damaged = status["segments"].as_array().expect("a list").iter().map(|s| &s["damaged"]);
    assert_eq!(damaged.filter_map(Value::as_u64).sum::<u64>(), 1, "{status}");
    left.world.server.resume();
    left.world.fusebox.restart();
    left.world.wait_until_stored();
    assert_eq!(left.stored(), left.all(), "a call without its end is interrupted");
    let interrupted = "select count(*) from task_history where outcome = 'interrupted'";
    let interrupted: u64 = left.world.query(interrupted).parse().expect("a number");
    assert!((1..=2).contains(&interrupted), "{interrupted}");
}

#[test]
fn commands_show_a_journal_with_odd_files_and_bring_it_in() {
    let left = left();
    let directory = left.world.fusebox.data_dir().display().to_string();
    let calls = left.all().split(' ').next().expect("a number").to_owned();
    let told = left.put_odd_files();
    let status = run(&["journal", "status", "--data-dir", &directory], &[]);
    let dump = run(&["journal", "dump", "--data-dir", &directory], &[]);
    left.world.server.resume();
    let config = left.world.fusebox.config();
    let replay = run(&["journal", "replay", "--config", &config], &[]);
    let codes = [&status, &dump, &replay].map(|finished| finished.code);
    assert_eq!(codes, [Some(0), Some(1), Some(1)], "{}", replay.text);
    for (text, what) in [&status, &dump, &replay].into_iter().zip([told; 3]) {
        what.iter().for_each(|what| assert!(text.text.contains(what), "{what}: {}", text.text));
    }
    let ended = dump.text.lines().filter(|line| line.contains("\"record\":\"ended\"")).count();
    assert_eq!(ended.to_string(), calls);
    assert!(replay.text.contains(&format!("{calls} rows brought to the store")), "{}", replay.text);
    assert_eq!(left.stored(), left.all());
    let again = run(&["journal", "replay", "--config", &config], &[]);
    assert!(again.text.contains("0 rows brought"), "{}", again.text);
    assert_eq!(left.stored(), left.all());
    let nowhere = run(&["journal", "status", "--data-dir", "/nowhere"], &[]);
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.text);
}
