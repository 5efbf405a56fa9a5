//! A data directory that cannot be written to, or not any more.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    callers::Habits,
    harness::{PATIENCE, get},
    local::wait_until,
    storms::{LONG_IDS, SMALL},
    world::{self, World},
};

/// Callers at a pace that leaves room for others.
pub(crate) const SOME: Habits =
    Habits { callers: 16, every: Duration::from_millis(5), id_length: 0 };

/// A small disk of one's own, or none where nobody may mount.
struct Disk(PathBuf);

impl Disk {
    fn mount(name: &str, size: &str) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("fusebox-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        eprintln!("nothing can be mounted here: not tested");
        drop(fs::remove_dir(&path));
        None
    }

    /// Leaves no room, until [`Disk::empty`].
    fn fill(&self) {
        let block = vec![1; 1 << 16];
        let mut ballast = fs::File::create(self.0.join("ballast")).expect("a file");
        while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(fs::remove_dir(&self.0));
    }
}

fn why_in_memory(world: &World) -> Option<String> {
    let mut status = world.fusebox.ask("/api/v1/status");
    serde_json::from_value(status["history"]["inMemoryBecause"].take()).expect("a text or none")
}

fn is_on_disk(world: &World) -> bool {
    let metrics = get(world.fusebox.admin, "/metrics", &[]);
    let is = |number: &str| {
        let is_it =
            |line: &&str| line.starts_with("fusebox_journal_on_disk") && line.ends_with(number);
        metrics.text().lines().find(is_it).is_some()
    };
    assert!(is(" 0.0") != is(" 1.0"), "{}", metrics.text());
    is(" 1.0")
}

fn says(world: &World, level: &str, what: &str) {
    world.fusebox.wait_for_line(what, |line: &Value| {
        line["level"] == level && line["message"].as_str().is_some_and(|text| text.contains(what))
    });
}

const IN_MEMORY: &str = "the journal is in memory only";
const ON_DISK: &str = "the journal is on disk again";

#[test]
fn a_full_disk_stops_no_call_and_costs_no_row() {
    let Some(disk) = Disk::mount("full", "40m") else { return };
    let mut world = World::with_data_dir(&[SMALL], &disk.0.join("data"));
    assert!(is_on_disk(&world) && why_in_memory(&world).is_none());
    disk.fill();
    let callers = world.callers(SOME);
    // More than the pages that were made before.
    wait_until("memory is used", PATIENCE * 6, || why_in_memory(&world));
    says(&world, "error", IN_MEMORY);
    assert!(!is_on_disk(&world));
    world.wait_for_calls(&callers, 2_000);
    disk.empty();
    wait_until("the disk is used", PATIENCE, || why_in_memory(&world).is_none().then_some(()));
    says(&world, "info", ON_DISK);
    assert!(is_on_disk(&world));
    // What is under way now is on disk, and so is what has ended since.
    world.wait_for_calls(&callers, 500);
    world.wait_until_stored();
    world.kill();
    world.wait_for_calls(&callers, 500);
    world.end(callers, SOME.callers).judge().assert_nothing_is_lost();
}

#[test]
fn what_was_under_way_at_a_kill_has_its_row_although_the_disk_is_full() {
    let Some(disk) = Disk::mount("dead", "40m") else { return };
    let mut world = World::with_data_dir(&[SMALL], &disk.0.join("data"));
    let callers = world.callers(SOME);
    world.wait_for_calls(&callers, 500);
    world.server.stop();
    world.wait_for_calls(&callers, 1_000);
    disk.fill();
    world.kill();
    world.server.resume();
    world.wait_for_calls(&callers, 500);
    world.wait_until_stored();
    disk.empty();
    world.end(callers, SOME.callers).judge().assert_nothing_is_lost();
}

#[test]
fn without_a_directory_rows_wait_in_memory_and_losses_are_counted() {
    let file = std::env::temp_dir().join(format!("fusebox-file-{}", std::process::id()));
    fs::write(&file, "").expect("a file");
    let mut world = World::with_data_dir(&[SMALL], &file.join("data"));
    says(&world, "error", IN_MEMORY);
    assert!(why_in_memory(&world).is_some() && !is_on_disk(&world));
    let callers = world.callers(LONG_IDS);
    world.wait_for_calls(&callers, 1_000);
    world.server.stop();
    wait_until("rows are dropped", world::PATIENCE, || (world.told("dropped") > 0).then_some(()));
    world.server.resume();
    world.wait_for_calls(&callers, 1_000);
    let verdict = world.end(callers, LONG_IDS.callers).judge();
    verdict.assert_losses_are_counted();
    fs::remove_file(&file).expect("it is there");
}

#[test]
fn a_limit_of_the_length_of_files_ends_no_process_and_losses_are_counted() {
    let mut world = World::new(&[SMALL]);
    let callers = world.callers(SOME);
    world.fusebox.limit_file_bytes(100_000);
    wait_until("it is told", world::PATIENCE, || why_in_memory(&world));
    world.wait_for_calls(&callers, 40_000);
    world.fusebox.limit_file_bytes(u64::MAX >> 1);
    world.wait_for_calls(&callers, 1_000);
    world.end(callers, SOME.callers).judge().assert_losses_are_counted();
}
