//! A database that answers late, only reads, or is down.

use super::{machine, pair::Pair};
use crate::{
    harness::{Database, PATIENCE},
    local::wait_until,
    postgres::Server,
};

/// Short, and as short again after each try.
const BREAKER: &str = "open_for: 1s, open_for_max: 1s, ramp: 0s";
/// How often the fleet opened: from closed, each time once.
const OPENED: &str = "select count(*), count(distinct epoch) from circuit_breaker_event \
                      where from_state = 'closed' and to_state = 'open'";

/// What both do while they cannot ask: calls pass, each protects itself, and calls pass again.
fn each_goes_on_alone(pair: &Pair) {
    pair.passes(10);
    pair.upstream_is_well(false);
    pair.wait_for("OPEN", PATIENCE);
    pair.upstream_is_well(true);
    pair.wait_for("CLOSED", PATIENCE);
    pair.passes(10);
}

/// What both do afterwards: they open together, by one decision, and close together.
fn they_share_again(pair: &Pair, database: &Database<'_>) {
    let opened = || database.query(OPENED);
    let before = opened();
    pair.upstream_is_well(false);
    pair.wait_for("OPEN", PATIENCE);
    wait_until("the fleet opens", PATIENCE, || (opened() != before).then_some(()));
    pair.upstream_is_well(true);
    pair.wait_for("CLOSED", PATIENCE);
    database.wait_for("select state from circuit_breaker_state", "closed");
}

#[cfg(feature = "long-tests")]
#[test]
fn a_locked_table_stops_nobody_and_is_told() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, BREAKER);
    pair.passes(10);
    let lock = "lock table circuit_breaker_state; select pg_sleep(6)";
    std::thread::scope(|scope| {
        let locked = scope.spawn(|| database.query(lock));
        pair.wait_for_fault("no answer in time");
        each_goes_on_alone(&pair);
        locked.join().expect("it was locked");
    });
    pair.wait_for_store();
    they_share_again(&pair, &database);
}

#[test]
fn a_database_that_only_reads_is_away_until_it_writes() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, BREAKER);
    let reads_only = |setting: &str| {
        let change = format!("alter system set default_transaction_read_only = {setting}");
        server.psql("postgres", &["-c", &change, "-c", "select pg_reload_conf()"])
    };
    // A slow start may have come back before.
    let came_back = |line: &String| line.contains("the store is back");
    let returns =
        || pair.each.each_ref().map(|it| it.lines().into_iter().filter(came_back).count());
    let before = returns();
    reads_only("on");
    pair.wait_for_fault("database does not allow writes");
    each_goes_on_alone(&pair);
    assert_eq!(returns(), before, "it is away all the time");
    reads_only("off");
    pair.wait_for_store();
    they_share_again(&pair, &database);
}

#[cfg(feature = "long-tests")]
#[test]
fn an_open_circuit_is_honoured_to_its_end_while_the_database_is_down_and_no_longer() {
    /// Nobody can be asked who tries the upstream, so that takes a while.
    const LONG_ENOUGH: std::time::Duration = std::time::Duration::from_secs(60);
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let pair = Pair::start(&database, "open_for: 5s, open_for_max: 5s, ramp: 0s");
    pair.upstream_is_well(false);
    database.wait_for("select state, epoch from circuit_breaker_state", "open|1");
    pair.wait_for("OPEN", PATIENCE);
    server.stop();
    pair.upstream_is_well(true);
    for fusebox in &pair.each {
        let breaker = fusebox.breaker("payments");
        assert!(breaker["retryAfterMs"].as_u64().is_some_and(|left| left <= 5_000), "{breaker}");
    }
    pair.wait_for("CLOSED", LONG_ENOUGH);
    pair.passes(10);
    server.resume();
    pair.wait_for_store();
    database.wait_for("select state from circuit_breaker_state", "closed");
    pair.passes(10);
}
