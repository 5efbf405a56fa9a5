//! A host whose clock is set an hour ahead and an hour back: it plays no part.

use std::{fs, path::PathBuf};

use super::{
    machine,
    pair::{Pair, store},
};
use crate::{
    harness::{Database, Fusebox, PATIENCE},
    local::wait_until,
};

const HOUR: i64 = 3_600;
const OPENED: &str = "select count(*) from circuit_breaker_event \
                      where from_state = 'closed' and to_state = 'open'";

/// The clock of one process, which Debian's `faketime` reads from a file.
struct Clock(PathBuf);

impl Clock {
    fn new() -> Self {
        let name = format!("fusebox-clock-{}", std::process::id());
        let clock = Self(std::env::temp_dir().join(name));
        clock.set(0);
        clock
    }

    /// So many seconds ahead of the others, from now on.
    fn set(&self, ahead: i64) {
        let beside = self.0.with_extension("new");
        fs::write(&beside, format!("{ahead:+}s\n")).expect("it is written");
        fs::rename(&beside, &self.0).expect("it changes at once");
    }

    fn library() -> String {
        let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut libraries = places
            .map(|place| place.path().join("faketime/libfaketime.so.1"))
            .filter(|it| it.exists());
        libraries.next().expect("faketime is installed").display().to_string()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// What a process takes for the time, in seconds: when it began, and for how long it has run.
fn time(fusebox: &Fusebox) -> i64 {
    let status = fusebox.ask("/api/v1/status");
    let began = status["startedAt"].as_str().expect("a time");
    let began: jiff::Timestamp = began.parse().expect("a time");
    began.as_second() + status["uptimeMs"].as_i64().expect("a number") / 1_000
}

#[test]
fn a_clock_that_jumps_by_an_hour_moves_no_circuit() {
    let _turn = machine::shared();
    let (database, clock) = (Database::new(), Clock::new());
    let pair = Pair::with(&database, "open_for: 2s, open_for_max: 2s, ramp: 0s", &|setup| {
        let file = clock.0.display().to_string();
        let setup = setup.env("LD_PRELOAD", &Clock::library()).env("FAKETIME_NO_CACHE", "1");
        // Only what people call the time jumps, as on a host whose clock is set.
        setup.env("FAKETIME_TIMESTAMP_FILE", &file).env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    });
    for (outage, ahead) in [HOUR, -HOUR].into_iter().enumerate() {
        pair.upstream_is_well(false);
        pair.wait_for("OPEN", PATIENCE);
        clock.set(ahead);
        wait_until("its clock has jumped", PATIENCE, || {
            let [right, jumped] = pair.each.each_ref().map(time);
            ((jumped - right - ahead).abs() < 60).then_some(())
        });
        for fusebox in &pair.each {
            let breaker = fusebox.breaker("payments");
            let left = breaker["retryAfterMs"].as_u64().expect("a number");
            assert!(breaker["state"] != "CLOSED" && left <= 2_000, "{breaker}");
        }
        pair.upstream_is_well(true);
        pair.wait_for("CLOSED", PATIENCE);
        assert_eq!(database.query(OPENED), (outage + 1).to_string(), "one decision an outage");
        for fusebox in &pair.each {
            assert_eq!(store(fusebox)["instances"], 2);
        }
        pair.passes(10);
    }
}
