//! History and fleet around a real Postgres that is stopped, as by a crash, and started again.

#[path = "store/fixture.rs"]
#[expect(dead_code, reason = "made for the tests of the stores, of which these need a part")]
mod fixture;
#[path = "support/forgetful.rs"]
mod forgetful;
#[path = "support/postgres.rs"]
#[expect(dead_code, reason = "made for the tests of the stores, of which these need a part")]
mod postgres;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use fusebox::{
    breakers::{Breakers, Circuit},
    clock, config,
    domain::breaker::{Policy, State},
    fleet::{Fleet, Status, SyncMode},
    history::{
        Recorder, Writer,
        journal::{Journal, KEPT, Limits, home::Home},
    },
    store::{Stores, migrate, open},
};
use tokio::{
    sync::{oneshot, watch},
    task::spawn_blocking,
    time::timeout,
};

use fixture::{Directory, call, database, identity};
use forgetful::ForgetfulLink;
use postgres::Server;

/// A server of one's own with one database, and the stores of an instance in it.
struct Rig {
    server: Arc<Server>,
    database: config::Database,
    directory: Directory,
}

impl Rig {
    async fn new() -> Self {
        let server = Arc::new(spawn_blocking(Server::start).await.expect("it starts"));
        let (database, directory) = (database(Some(server.database())), Directory::new());
        migrate::up(&database, &directory.0).await.expect("the tables are made");
        Self { server, database, directory }
    }

    /// History through a journal in the directory.
    fn record(&self) -> (Recorder, Writer) {
        let history = config::History {
            retention: Duration::from_secs(86_400),
            spool_max_bytes: 64 << 20,
            refused_per_second: 100,
            sample_successes: NonZeroU32::MIN,
        };
        let home = Home::claim(&self.directory.0).expect("it is ours");
        let limits = Limits { spool_max_bytes: history.spool_max_bytes, kept: KEPT };
        let journal = Journal::open(home, identity("test", "busy").origin(), 1, limits);
        Recorder::new(1, journal, &history, None)
    }

    fn open(&self, instance: &str) -> Stores {
        open(&self.database, &self.directory.0, identity("test", instance)).expect("it opens")
    }

    async fn stop(&self) {
        let server = Arc::clone(&self.server);
        spawn_blocking(move || server.stop()).await.expect("it stops");
    }

    async fn resume(&self) {
        let server = Arc::clone(&self.server);
        spawn_blocking(move || server.resume()).await.expect("it starts");
    }

    fn psql(&self, statement: &str) -> String {
        let url = self.database.url.as_ref().expect("it is Postgres").expose();
        let name = url.rsplit('/').next().and_then(|name| name.split('?').next());
        self.server.psql(name.expect("the URL names it"), &["-c", statement])
    }
}

/// Waits for a condition that others bring about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !condition() {
            looks.tick().await;
        }
    };
    timeout(Duration::from_secs(120), reached).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_missing_after_postgres_was_stopped_under_load() {
    let rig = Rig::new().await;
    let (recorder, writer) = rig.record();
    let (stop, stopped) = oneshot::channel();
    let stop_at = async { stopped.await.expect("the test stops it") };
    let store = rig.open("busy").history;
    let run = tokio::spawn(writer.run(store, stop_at, |row| panic!("{row:?}")));
    let lane = recorder.lane(0);
    let (done, is_done) = oneshot::channel::<()>();
    let load = tokio::spawn(async move {
        let (mut tick, mut is_done) = (tokio::time::interval(Duration::from_millis(2)), is_done);
        let mut calls = 0_u64;
        while is_done.try_recv().is_err() {
            tick.tick().await;
            lane.record(&call(0), None);
            calls += 1;
        }
        calls
    });
    until("rows arrive", || recorder.counters().written() > 200).await;
    rig.stop().await;
    until("the outage is noticed", || !recorder.counters().store_up()).await;
    let waiting = recorder.counters().rows_waiting();
    until("rows wait", || recorder.counters().rows_waiting() > waiting + 500).await;
    rig.resume().await;
    until("rows arrive again", || recorder.counters().store_up()).await;
    done.send(()).expect("the load runs");
    let calls = load.await.expect("the load ends");
    stop.send(clock::now() + Duration::from_secs(20)).expect("the writer runs");
    run.await.expect("every row was written");
    assert_eq!((recorder.counters().written(), recorder.counters().dropped()), (calls, 0));
    let counts = rig.psql("select count(*), count(distinct id) from task_history");
    assert_eq!(counts, format!("{calls}|{calls}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_there_once_however_often_the_answer_to_a_commit_is_lost() {
    const CALLS: u64 = 30_000;
    let rig = Rig::new().await;
    let link = ForgetfulLink::to(rig.server.port()).await;
    let url = rig.database.url.as_ref().expect("it is Postgres").expose();
    let port = |port: u16| format!("127.0.0.1:{port}/");
    let url = url.replace(&port(rig.server.port()), &port(link.address.port()));
    let through = database(Some(url));
    let (recorder, writer) = rig.record();
    let (stop, stopped) = oneshot::channel();
    let stop_at = async { stopped.await.expect("the test stops it") };
    let store = open(&through, &rig.directory.0, identity("test", "busy")).expect("it opens");
    let left = |row: &_| panic!("{row:?}");
    let run = tokio::spawn(writer.run(store.history, stop_at, left));
    let lane = recorder.lane(0);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    for number in 0..CALLS {
        lane.record(&call(0), None);
        if number % 20 == 0 {
            tick.tick().await;
        }
    }
    until("every call is written", || recorder.counters().written() == CALLS).await;
    stop.send(clock::now() + Duration::from_secs(20)).expect("the writer runs");
    run.await.expect("every row was written");
    assert!(link.commits() > 30, "{} commits", link.commits());
    assert!(recorder.counters().batches() < link.commits() as u64, "some came again");
    let counts = "select count(*), count(distinct id), sum(weight) from task_history";
    assert_eq!(rig.psql(counts), format!("{CALLS}|{CALLS}|{CALLS}"));
    let sums = "select sum(calls), sum(stored) from task_rollup";
    assert_eq!(rig.psql(sums), format!("{CALLS}|{CALLS}"));
    let cursor = "select worker, rows_total from journal_cursor";
    assert_eq!(rig.psql(cursor), format!("0|{CALLS}"));
}

/// One instance of a fleet.
struct Node {
    circuit: Arc<Circuit>,
    status: watch::Receiver<Status>,
    _stop: oneshot::Sender<()>,
}

impl Node {
    async fn start(rig: &Rig, instance: &str) -> Self {
        let upstream = ("payments".into(), "payments".to_owned(), Policy::default());
        let breakers = Breakers::new([upstream].into_iter(), true);
        let circuit = breakers.of("payments").expect("it is configured");
        let mut fleet = Fleet::new(&breakers, rig.open(instance).state);
        let status = fleet.status();
        fleet.adopt_at_start().await;
        let (_stop, stopped) = oneshot::channel();
        tokio::spawn(fleet.run(async { drop::<Result<(), _>>(stopped.await) }));
        Self { circuit, status, _stop }
    }

    fn trip(&self) {
        (0..5).for_each(|_| self.circuit.check(false, clock::now()));
    }

    async fn until_open(&self) {
        let is_open = || self.circuit.snapshot(clock::now()).state == State::Open;
        until("the circuit opens", is_open).await;
    }

    async fn until_listening(&self) {
        let listens = || {
            let status = self.status.borrow();
            status.mode == SyncMode::Listen && !status.is_away
        };
        until("hints come", listens).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_instance_and_a_restarted_one_know_at_once_that_a_circuit_is_open() {
    let rig = Rig::new().await;
    let (busy, idle) = (Node::start(&rig, "busy").await, Node::start(&rig, "idle").await);
    busy.until_listening().await;
    idle.until_listening().await;
    let tripped_at = clock::now();
    busy.trip();
    idle.until_open().await;
    let took = clock::now() - tripped_at;
    // For the first half of a second nobody asks for votes: others may be starting too. The rest is
    // for a busy machine, and less than what a missed hint would cost.
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(busy);
    let restarted = Node::start(&rig, "busy-again").await;
    assert_eq!(restarted.circuit.snapshot(clock::now()).state, State::Open);
    assert_eq!(rig.psql("select count(*) from circuit_breaker_event"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_that_opened_while_postgres_was_stopped_is_shared_when_it_is_back() {
    let rig = Rig::new().await;
    let (busy, idle) = (Node::start(&rig, "busy").await, Node::start(&rig, "idle").await);
    busy.until_listening().await;
    rig.stop().await;
    until("the outage is noticed", || busy.status.borrow().is_away).await;
    busy.trip();
    rig.resume().await;
    idle.until_open().await;
    busy.until_listening().await;
    idle.until_listening().await;
    assert_eq!(rig.psql("select state, epoch from circuit_breaker_state"), "open|1");
}
