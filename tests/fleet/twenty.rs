//! Twenty instances lose their upstream: one decision, one event, one probe at a time.

use std::{thread, time::Duration};

use serde_json::Value;

use super::{caller::Caller, guests::GuestBook, machine};
use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status},
    local::wait_until,
    pooler::Pooler,
    postgres::Server,
};

const INSTANCES: usize = 20;
/// Short, so that the upstream is tried several times, and as short again after each try.
const BREAKER: &str = "breaker: { open_for: 2s, open_for_max: 2s, ramp: 1s }";
/// As many probes as several rounds make.
const SEVERAL: usize = 6;
/// For what needs several rounds.
const ROUNDS: Duration = Duration::from_secs(40);

/// With LISTEN: five times what is promised, for this machine runs other tests meanwhile.
const TOLD: Duration = Duration::from_millis(250);
/// Without: one poll interval with its jitter, and what the look itself may take here.
const POLLED: Duration = Duration::from_millis(1_200 + 800);

/// All instances; the first alone at first, for it makes the tables.
fn start(upstream: &ScriptedUpstream, url: &str) -> Vec<Fusebox> {
    let one = || {
        let quiet = "logs: { calls: none }";
        Setup::payments(&upstream.url(), &[BREAKER]).with(quiet).database(url).start()
    };
    let first = one();
    thread::scope(|scope| {
        let others: Vec<_> = (1..INSTANCES).map(|_| scope.spawn(one)).collect();
        let others = others.into_iter().map(|other| other.join().expect("it starts"));
        [first].into_iter().chain(others).collect()
    })
}

/// Waits until all know of all, and hear of changes in this way.
fn wait_until_ready(fleet: &[Fusebox], sync_mode: &str) {
    for fusebox in fleet {
        wait_until(&format!("all are there, and {sync_mode}"), PATIENCE, || {
            let store = fusebox.ask("/api/v1/status")["store"].take();
            (store["instances"] == INSTANCES && store["syncMode"] == sync_mode).then_some(())
        });
    }
}

/// Calls through each, all the time. The upstream has heard of them when this returns.
fn call_through_all(fleet: &[Fusebox], upstream: &ScriptedUpstream) -> Vec<Caller> {
    let callers = fleet.iter().map(Caller::of).collect();
    wait_until("all make calls", PATIENCE, || (upstream.hits() > 5 * INSTANCES).then_some(()));
    callers
}

/// When an instance took over that the fleet is open, in microseconds of the wall clock.
fn adopted_at(fusebox: &Fusebox) -> i64 {
    let line = fusebox.wait_for_line("the fleet's opening", |line| {
        line["message"] == "the circuit moved" && line["to"] == "open" && line["cause"] == "fleet"
    });
    micros(&line["timestamp"])
}

fn micros(timestamp: &Value) -> i64 {
    let at: jiff::Timestamp = timestamp.as_str().expect("a text").parse().expect("a time");
    at.as_microsecond()
}

/// Waits until all have opened. The median and the longest time from the deciding vote, by the
/// database's clock, until an instance had heard of it. One host, one clock.
fn delays(fleet: &[Fusebox], database: &Database<'_>) -> [Duration; 2] {
    database.wait_for("select count(*) from circuit_breaker_event where epoch = 1", "1");
    wait_until_all_read(fleet, "OPEN", PATIENCE);
    let at = "select (extract(epoch from at) * 1000000)::bigint from circuit_breaker_event \
              where epoch = 1";
    let decided: i64 = database.query(at).parse().expect("there is one");
    let delay = |fusebox| u64::try_from(adopted_at(fusebox) - decided).unwrap_or(0);
    let mut delays: Vec<_> =
        fleet.iter().map(|fusebox| Duration::from_micros(delay(fusebox))).collect();
    delays.sort();
    let [median, most] = [INSTANCES / 2, INSTANCES - 1].map(|at| delays[at]);
    eprintln!("from the deciding vote to all {INSTANCES}: median {median:?}, max {most:?}");
    [median, most]
}

fn wait_until_all_read(fleet: &[Fusebox], state: &str, limit: Duration) {
    for fusebox in fleet {
        fusebox.wait_for_state("payments", state, limit);
    }
}

/// Every transition is one event, and each begins where the one before ended.
fn assert_one_event_each(database: &Database<'_>) {
    let events = "select count(*) > 3, count(*) = max(epoch), count(distinct epoch) = max(epoch), \
                  min(epoch), count(*) filter (where from_state = 'closed'), \
                  count(*) filter (where to_state = 'closed') from circuit_breaker_event";
    assert_eq!(database.query(events), "t|t|t|1|1|1", "{}", told(database));
    let gaps = "select count(*) from circuit_breaker_event a \
                join circuit_breaker_event b on b.epoch = a.epoch + 1 \
                where a.to_state <> b.from_state";
    assert_eq!(database.query(gaps), "0", "{}", told(database));
}

fn told(database: &Database<'_>) -> String {
    database.query(
        "select epoch, from_state, to_state, cause, at::time, detail from circuit_breaker_event \
         order by id",
    )
}

#[test]
fn twenty_instances_open_at_once_try_one_at_a_time_and_close() {
    let _turn = machine::alone();
    let (server, mut upstream) = (Server::start(), ScriptedUpstream::start());
    let database = Database::on(&server);
    let fleet = start(&upstream, &database.url);
    wait_until_ready(&fleet, "listen");
    let _callers = call_through_all(&fleet, &upstream);

    upstream.stop();
    let [median, _] = delays(&fleet, &database);
    assert!(median < TOLD, "{median:?}");

    let book = GuestBook::default();
    upstream.answer(book.answer(500));
    upstream.resume();
    wait_until("it was tried several times", ROUNDS, || {
        (book.guests().ever >= SEVERAL).then_some(())
    });
    upstream.answer_next([book.answer(200), book.answer(200)]);
    upstream.answer(status(200));
    wait_until_all_read(&fleet, "CLOSED", ROUNDS);
    // Each ends the ramp by its own clock, and one of them tells the store a little later.
    database.wait_for("select state from circuit_breaker_state", "closed");
    let guests = book.guests();
    eprintln!("{guests:?} until it was well");
    assert_eq!(guests.most, 1, "{guests:?}: {}", told(&database));
    assert_one_event_each(&database);
    eprintln!("{}", told(&database));
}

#[test]
fn behind_a_pooler_all_open_within_a_poll() {
    let _turn = machine::alone();
    let (server, mut upstream) = (Server::start(), ScriptedUpstream::start());
    let (database, pooler) = (Database::on(&server), Pooler::of(&server));
    let fleet = start(&upstream, &pooler.url(&database.url));
    wait_until_ready(&fleet, "poll");
    let _callers = call_through_all(&fleet, &upstream);
    upstream.stop();
    let [_, most] = delays(&fleet, &database);
    assert!(most < POLLED, "{most:?}");
    let opened = "select count(*) from circuit_breaker_event where to_state = 'open' and \
                  from_state = 'closed'";
    assert_eq!(database.query(opened), "1", "{}", told(&database));
}
