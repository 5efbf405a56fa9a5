//! The one who tries the upstream for all dies while it does.

use std::time::Duration;

use super::{Caller, wait_for_hearts};
use crate::{
    harness::{Database, PATIENCE, ScriptedUpstream, Setup, stall, status},
    local::wait_until,
};

/// Two leases of a prober.
const TWO_LEASES: Duration = Duration::from_secs(20);

#[test]
fn a_killed_prober_is_followed_by_another() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let mut fleet = [(), ()].map(|()| {
        let breaker = "breaker: { open_for: 1s, open_for_max: 1s, ramp: 0s }";
        Setup::payments(&upstream.url(), &[breaker]).database(&database.url).start()
    });
    wait_for_hearts(&database, fleet.len());
    let _callers = fleet.each_ref().map(Caller::of);
    upstream.answer(status(500));
    for fusebox in &fleet {
        fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    }
    upstream.answer(stall());
    let before = upstream.hits();
    let held = "select state, lease_by is not null from circuit_breaker_state";
    wait_until("a probe hangs", PATIENCE, || {
        (upstream.hits() > before && database.query(held) == "half_open|t").then_some(())
    });
    let path = upstream.last().line.split(' ').nth(1).map(|path| path[1..].to_owned());
    let is_prober = |pid: u32| path.as_deref() == Some(&pid.to_string());
    let prober = fleet.iter().position(|fusebox| is_prober(fusebox.pid())).expect("one of them");
    fleet[prober].kill9();
    upstream.answer(status(200));
    let killed = fusebox::clock::now();
    fleet[1 - prober].wait_for_state("payments", "CLOSED", TWO_LEASES);
    let took = fusebox::clock::now().duration_since(killed);
    eprintln!("closed {took:?} after the prober was killed");
    assert_eq!(database.query("select state from circuit_breaker_state"), "closed");
}
