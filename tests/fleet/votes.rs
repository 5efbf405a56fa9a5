//! Who opens the circuit for all, and who does not.

use std::time::Duration;

use super::{caller::Caller, machine};
use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup},
    local::{free_address, wait_until},
};

/// Waits until the heart of so many instances has been heard, so that they are the fleet.
pub(super) fn wait_for_hearts(database: &Database<'_>, count: usize) {
    let alive = "select count(*) from sidecar_instance where alive_until > now()";
    database.wait_for(alive, &count.to_string());
}

#[test]
fn one_instance_with_a_broken_route_never_opens_the_others() {
    /// After all were asked: longer than a round of voting needs.
    const LONG_ENOUGH: Duration = Duration::from_secs(3);
    let _turn = machine::shared();
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let refused = format!("http://{}", free_address());
    let [sick, one, other] = [&refused, &upstream.url(), &upstream.url()].map(|url| {
        let breaker = "breaker: { key: shared, quorum: majority }";
        Setup::payments(url, &[breaker]).database(&database.url).start()
    });
    wait_for_hearts(&database, 3);
    let well: [&Fusebox; 2] = [&one, &other];
    let _callers = [&sick, &one, &other].map(Caller::of);
    sick.wait_for_state("payments", "OPEN", PATIENCE);
    let votes = "select vote, count(*) from circuit_breaker_vote group by vote order by vote";
    database.wait_for(votes, "bad|1\ngood|2");
    let opened = fusebox::clock::now();
    wait_until("it was open for long enough", PATIENCE, || {
        for fusebox in well {
            assert_eq!(fusebox.state("payments"), "CLOSED");
        }
        (fusebox::clock::now().duration_since(opened) > LONG_ENOUGH).then_some(())
    });
    assert_eq!(sick.state("payments"), "OPEN", "it protects itself");
    assert_eq!(database.query("select count(*) from circuit_breaker_event"), "0");
}
