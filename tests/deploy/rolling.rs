//! A rolling deployment of ten sidecars under load: nobody's call fails, no row is lost.
//!
//! Old and new are the same binary, unless `FUSEBOX_PREVIOUS` is the path of one of a version before.

use std::{path::PathBuf, time::Duration};

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, run},
    local::wait_until,
    rotation::{Callers, Rotation},
};

const SIDECARS: usize = 10;
const CALLERS: usize = 4;
/// How many calls pass between two replacements.
const BETWEEN: usize = 200;

/// The binary of the version before, where there is one.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn previous() -> Option<PathBuf> {
    std::env::var("FUSEBOX_PREVIOUS").ok().map(PathBuf::from)
}

fn sidecar(upstream: &ScriptedUpstream, database: &Database<'_>, version: u32) -> Setup {
    let setup = Setup::payments(&upstream.url(), &[]).database(&database.url);
    setup.with(&format!("version: \"{version}\"\nlogs: {{ calls: none }}\nworkers: 1"))
}

fn old(upstream: &ScriptedUpstream, database: &Database<'_>) -> Fusebox {
    let setup = sidecar(upstream, database, 1);
    match previous() {
        Some(program) => setup.by_previous(&program).start(),
        None => setup.start(),
    }
}

#[test]
fn ten_sidecars_are_replaced_under_load_and_nobody_notices() {
    let (database, upstream) = (Database::new(), ScriptedUpstream::start());
    let mut fleet: Vec<_> = (0..SIDECARS).map(|_| old(&upstream, &database)).collect();
    let rotation = Rotation::of(fleet.iter().map(|fusebox| fusebox.proxy));
    let callers = Callers::start(&rotation, CALLERS);
    // First the tables, while all are at work.
    let migrated = run(&["migrate", "up"], &[("DATABASE_URL", &database.url)]);
    assert_eq!(migrated.code, Some(0), "{}", migrated.text);
    eprintln!("{}", migrated.text);
    for (at, place) in fleet.iter_mut().enumerate() {
        let target = rotation.passed() + BETWEEN;
        wait_until("calls pass", PATIENCE, || (rotation.passed() >= target).then_some(()));
        // As ECS does it: the new one is ready, the old one leaves the load balancer, then it is
        // told to stop, while calls are under way on it.
        let new = sidecar(&upstream, &database, 2).start();
        rotation.replace(at, new.proxy);
        let mut old = std::mem::replace(place, new);
        assert!(old.terminate().success(), "number {at} ends in peace");
    }
    let target = rotation.passed() + BETWEEN;
    wait_until("calls pass", PATIENCE, || (rotation.passed() >= target).then_some(()));
    let (passed, failed) = callers.stop();
    for fusebox in &mut fleet {
        assert!(fusebox.terminate().success());
    }
    eprintln!("{passed} calls while {SIDECARS} sidecars were replaced");
    assert_eq!(failed, 0, "of {passed} calls");
    assert_eq!(upstream.hits(), passed, "each was sent on once");
    let rows = "select count(*), count(distinct id), count(*) filter (where outcome = 'success'), \
                count(distinct version) from task_history";
    let expected = format!("{passed}|{passed}|{passed}|2");
    wait_until("every row is there", Duration::from_secs(30), || {
        (database.query(rows) == expected).then_some(())
    });
}
