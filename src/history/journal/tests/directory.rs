//! Whose a directory is.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use super::{Directory, Process};
use crate::history::journal::{
    home::{Home, HomeError},
    inspect,
};

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
    let (gone_directory, mut gone) = home("gone", "db-1");
    let (_alive, _alive_process) = home("alive", "db-1");
    let (_other, other) = home("other", "db-2");
    gone.calls(3);
    let journal_id = gone.journal.id.clone();
    drop((gone, other));
    let mut found = Home::orphans(&own.0, "db-1");
    drop(Home::claim(&gone_directory.0).expect("it is nobody's before its turn"));
    let first = found.next().unwrap();
    assert_eq!(first.journal_id(), journal_id);
    assert!(matches!(Home::claim(&gone_directory.0), Err(HomeError::InUse)));
    assert!(found.next().is_none());
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
