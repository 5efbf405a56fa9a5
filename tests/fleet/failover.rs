//! A database that fails over to a copy that lagged: what was decided since is lost there, and known
//! to the instances.

use super::{machine, pair::Pair};
use crate::{
    harness::{Database, PATIENCE},
    local::wait_until,
    postgres::Server,
};

const STATE: &str = "select state, epoch from circuit_breaker_state";
#[cfg(feature = "long-tests")]
const RESTORED: &str = "select count(*) from circuit_breaker_event where detail ? 'restored'";

/// How much open time is left here and there; none where it is not open.
#[cfg(feature = "long-tests")]
fn left(pair: &Pair) -> [Option<u64>; 2] {
    pair.each.each_ref().map(|fusebox| {
        let breaker = fusebox.breaker("payments");
        breaker["retryAfterMs"].as_u64().filter(|_| breaker["state"] == "OPEN")
    })
}

#[cfg(feature = "long-tests")]
#[test]
fn an_outage_that_the_copy_does_not_know_goes_on_to_its_end() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, "open_for: 15s, open_for_max: 15s, ramp: 0s");
    server.copy();
    pair.upstream_is_well(false);
    database.wait_for(STATE, "open|1");
    pair.wait_for("OPEN", PATIENCE);
    let before = left(&pair);
    server.fail_over();
    wait_until("what was lost is put back", PATIENCE, || {
        let now = left(&pair);
        for at in 0..2 {
            assert!(now[at] <= before[at] && now[at].is_some(), "{before:?}, then {now:?}");
        }
        (database.query(STATE) == "open|1").then_some(())
    });
    assert_eq!(database.query(RESTORED), "1", "by one of them");
    pair.upstream_is_well(true);
    pair.wait_for("CLOSED", std::time::Duration::from_secs(30));
    pair.wait_for_store();
    database.wait_for(STATE, "closed|3");
}

#[test]
fn a_recovery_that_the_copy_does_not_know_is_not_undone() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, "open_for: 1s, open_for_max: 1s, ramp: 0s");
    pair.upstream_is_well(false);
    database.wait_for("select state in ('open', 'half_open') from circuit_breaker_state", "t");
    pair.wait_for("OPEN", PATIENCE);
    server.copy();
    pair.upstream_is_well(true);
    pair.wait_for("CLOSED", PATIENCE);
    let known = pair.each[0].breaker("payments")["epoch"].as_u64().expect("a number");
    database.wait_for("select state from circuit_breaker_state", "closed");
    pair.passes(10);
    let refused = pair.refused();
    server.fail_over();
    wait_until("what was lost is put back", PATIENCE, || {
        let row = database.query(STATE);
        let (state, epoch) = row.split_once('|')?;
        (state == "closed" && epoch.parse().is_ok_and(|epoch: u64| epoch >= known)).then_some(())
    });
    pair.wait_for_store();
    pair.passes(20);
    assert_eq!(pair.refused(), refused, "nobody is refused");
}

/// As the guide says that orders are given with SQL.
const ORDER: &str = "
    insert into circuit_breaker_state (namespace, key, upstream, epoch, state, cause, changed_by,
        override, override_by, override_reason, override_until)
    select distinct namespace, unnest(breaker_keys), 'payments', 0, 'closed', 'override', 'ann',
        'forced_open', 'ann', 'the ledger moves', now() + interval '2 hours' from sidecar_instance";
const ORDERED: &str = "select override, override_number, override_until from circuit_breaker_state";

#[test]
fn an_order_that_the_copy_does_not_know_is_put_back() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, "");
    server.copy();
    database.query(ORDER);
    pair.wait_for("OPEN", PATIENCE);
    let before = database.query(ORDERED);
    server.fail_over();
    wait_until("what was lost is put back", PATIENCE, || {
        for fusebox in &pair.each {
            assert_eq!(fusebox.breaker("payments")["mode"], "forced_open");
        }
        (database.query(ORDERED) == before).then_some(())
    });
    database.query("update circuit_breaker_state set override = null");
    pair.wait_for("CLOSED", PATIENCE);
}
