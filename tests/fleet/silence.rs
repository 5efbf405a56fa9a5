//! A connection over which everything comes but notifications, and nobody says so.

use std::time::Duration;

use super::{
    machine,
    muffler::Muffler,
    pair::{Pair, is_told, wait_for_store},
};
use crate::harness::{Database, PATIENCE};
use crate::postgres::Server;

/// One poll with its jitter, and what this machine may add.
const POLLED: Duration = Duration::from_millis(2_400 + 1_600);

#[test]
fn a_line_that_dies_in_silence_is_noticed_told_and_mended() {
    let _turn = machine::shared();
    let server = Server::start();
    let database = Database::on(&server);
    let muffler = Muffler::to(server.port());
    let [direct, muffled] = [server.port(), muffler.address.port()].map(|port| format!(":{port}/"));
    let through = database.url.replace(&direct, &muffled);
    let breaker = "open_for: 1s, open_for_max: 1s, ramp: 0s, quorum: any";
    let pair = Pair::with(&database, breaker, &|setup| setup.database(&through));
    let [busy, deaf] = &pair.each;
    muffler.swallow(true);
    pair.upstream_is_well(false);
    busy.wait_for_state("payments", "OPEN", PATIENCE);
    deaf.wait_for_state("payments", "OPEN", POLLED);
    let seen = wait_for_store(deaf, |store| store["syncMode"] == "poll");
    assert!(seen["reachable"] == true && !seen["syncReason"].is_null(), "{seen}");
    assert!(seen["lagMs"].as_u64().is_some_and(|lag| lag < 5_000), "{seen}");
    pair.upstream_is_well(true);
    pair.wait_for("CLOSED", PATIENCE);
    muffler.swallow(false);
    wait_for_store(deaf, is_told);
}
