//! Several instances around one store in memory that really compares and sets, with paused time.

mod degraded;
mod dissent;
mod orders;
mod store;
mod together;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};

use super::{Fleet, Status, SyncMode};
use crate::{
    breakers::{Breakers, Circuit},
    clock,
    domain::{
        breaker::{Cause, Mode, Policy, Scope, State},
        fleet::word::Word,
        order::{Act, Order, Signature, Wish},
        quorum::Quorum,
    },
};
use store::{Handle, Made, Mood, Store};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// One instance with one circuit.
struct Node {
    name: String,
    breakers: Arc<Breakers>,
    circuit: Arc<Circuit>,
    knew_the_fleet: bool,
    status: watch::Receiver<Status>,
    /// Dropped, it stops the task.
    _stop: oneshot::Sender<()>,
}

impl Node {
    async fn start(store: &Arc<Store>) -> Self {
        Self::start_with(store, Policy { ramp: Duration::ZERO, ..Policy::default() }).await
    }

    async fn start_with(store: &Arc<Store>, policy: Policy) -> Self {
        let upstream = (Arc::from("payments"), "payments-key".to_owned(), policy);
        let breakers = Breakers::new([upstream].into_iter(), true);
        let circuit = breakers.of("payments").unwrap();
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("node-{}", STARTED.fetch_add(1, Relaxed));
        let handle = Handle(Arc::clone(store), name.clone());
        let mut fleet = Fleet::new(&breakers, Arc::new(handle) as _);
        let status = fleet.status();
        let knew_the_fleet = fleet.adopt_at_start().await;
        let (_stop, stopped) = oneshot::channel();
        tokio::spawn(fleet.run(async { drop::<Result<(), _>>(stopped.await) }));
        Self { name, breakers, circuit, knew_the_fleet, status, _stop }
    }

    fn check(&self, ok: bool, times: u32) {
        (0..times).for_each(|_| self.circuit.check(ok, clock::now()));
    }

    fn steer(&self, act: Act, reach: Scope) {
        self.breakers.steer(&self.circuit, act, reach, clock::now()).unwrap();
    }

    fn order(&self, mode: Mode, reach: Scope) {
        let wish = Wish { mode, reason: "the ledger moves", by: Some("ann"), ttl: None };
        self.steer(Act::Order(Order::new(wish, clock::now()).unwrap()), reach);
    }

    fn lift(&self) {
        self.steer(Act::Lift(Signature::new(None, "done").unwrap()), Scope::Fleet);
    }

    fn reset(&self) {
        self.steer(Act::Reset(Signature::new(None, "done").unwrap()), Scope::Fleet);
    }

    /// Checks succeed, one after the other.
    async fn recover(&self) {
        for _ in 0..2 {
            self.check(true, 1);
            sleep(SECOND).await;
        }
    }

    fn trip(&self) {
        self.check(false, 5);
        assert_eq!(self.state(), State::Open);
    }

    fn state(&self) -> State {
        self.circuit.snapshot(clock::now()).state
    }

    fn epoch(&self) -> u64 {
        self.circuit.snapshot(clock::now()).epoch
    }

    fn retry_after(&self) -> Duration {
        self.circuit.snapshot(clock::now()).retry_after
    }

    fn status(&self) -> Status {
        self.status.borrow().clone()
    }
}

/// Waits until it is so.
async fn wait_for(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(MS).await;
        }
    };
    tokio::time::timeout(60 * SECOND, waiting).await.expect("it comes to be so");
}

#[tokio::test(start_paused = true)]
async fn an_idle_instance_opens_when_another_trips() {
    for (gives_hints, mode, within) in
        [(true, SyncMode::Listen, 60 * MS), (false, SyncMode::Poll, 1_300 * MS)]
    {
        let store = Store::new(gives_hints);
        let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
        sleep(10 * SECOND).await;
        assert_eq!(idle.status().mode, mode);
        busy.trip();
        sleep(within).await;
        assert_eq!((idle.state(), idle.epoch()), (State::Open, 1));
        let snapshot = idle.circuit.snapshot(clock::now());
        assert_eq!((snapshot.failure_count, snapshot.cause), (5, Some(Cause::Fleet)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_adopted_is_the_remaining_time() {
    let store = Store::new(true);
    let first = Node::start(&store).await;
    first.trip();
    sleep(20 * SECOND).await;
    let late = Node::start(&store).await;
    let remaining = late.retry_after();
    assert!((39 * SECOND..=40 * SECOND).contains(&remaining), "{remaining:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_knows_the_fleet_before_it_is_ready() {
    let store = Store::new(true);
    let first = Node::start(&store).await;
    first.trip();
    sleep(SECOND).await;
    drop(first);
    let second = Node::start(&store).await;
    assert!(second.knew_the_fleet);
    assert_eq!(second.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_a_start_by_half_a_second_at_most() {
    for mood in [Mood::Away, Mood::Stuck] {
        let (store, began) = (Store::new(true), clock::now());
        store.be(mood);
        let node = Node::start(&store).await;
        assert!(!node.knew_the_fleet && node.status().is_away);
        assert!(clock::now() - began <= 501 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_is_shared_as_the_outage_was() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    busy.trip();
    sleep(SECOND).await;
    busy.recover().await;
    assert_eq!((busy.state(), idle.state()), (State::Closed, State::Closed));
    assert_eq!(
        store.moves(),
        [
            (State::Closed, State::Open),
            (State::Open, State::HalfOpen),
            (State::HalfOpen, State::Closed)
        ]
    );
    assert_eq!((busy.epoch(), idle.epoch()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_is_shared_and_ends_everywhere_without_traffic() {
    let store = Store::new(true);
    let policy = Policy::default();
    let busy = Node::start_with(&store, policy.clone()).await;
    let idle = Node::start_with(&store, policy).await;
    busy.trip();
    sleep(SECOND).await;
    busy.recover().await;
    assert_eq!((busy.state(), idle.state()), (State::Ramping, State::Ramping));
    sleep(12 * SECOND).await;
    assert_eq!((busy.state(), idle.state()), (State::Closed, State::Closed));
    assert_eq!(store.row("payments-key").map(|row| row.state), Some(State::Closed));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_trip_at_once_one_makes_the_move_and_the_other_adopts() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    one.trip();
    other.trip();
    sleep(SECOND).await;
    assert_eq!(store.moves(), [(State::Closed, State::Open)]);
    assert_eq!((one.epoch(), other.epoch()), (1, 1));
    assert_eq!(one.status().published + other.status().published, 1);
}

#[tokio::test(start_paused = true)]
async fn what_still_holds_is_published_when_the_store_comes_back() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    store.be(Mood::Away);
    busy.trip();
    sleep(20 * SECOND).await;
    assert!(busy.status().is_away && idle.state() == State::Closed);
    assert_eq!(busy.state(), State::Open, "an instance without the store protects itself");
    store.be(Mood::Well);
    sleep(30 * SECOND).await;
    assert_eq!((busy.state(), idle.state()), (State::Open, State::Open));
    assert!(!busy.status().is_away && busy.status().mode == SyncMode::Listen);
    assert!(idle.retry_after() <= 40 * SECOND, "an outage is never made longer by being told");
}

#[tokio::test(start_paused = true)]
async fn what_was_over_before_the_store_came_back_is_nobodys_business() {
    let store = Store::new(true);
    let busy = Node::start(&store).await;
    sleep(SECOND).await;
    store.be(Mood::Stuck);
    busy.trip();
    sleep(10 * SECOND).await;
    busy.check(true, 2);
    store.be(Mood::Well);
    sleep(20 * SECOND).await;
    assert_eq!((busy.state(), store.moves()), (State::Closed, vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_was_cut_off_adopts_what_the_others_went_on_to() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    busy.trip();
    sleep(SECOND).await;
    assert_eq!(idle.state(), State::Open);
    store.be(Mood::Away);
    sleep(90 * SECOND).await;
    assert_eq!(idle.state(), State::HalfOpen, "open is honoured to its end and never longer");
    busy.check(true, 2);
    store.be(Mood::Well);
    sleep(6 * SECOND).await;
    assert_eq!((busy.state(), idle.state()), (State::Closed, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_the_fleet_again_for_longer() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    busy.trip();
    sleep(64 * SECOND).await;
    assert_eq!((idle.state(), idle.epoch()), (State::HalfOpen, 2), "it has had calls, and tries");
    busy.check(false, 1);
    sleep(SECOND).await;
    assert_eq!((idle.state(), idle.epoch()), (State::Open, 3));
    // Nobody else has anything to try with, so after a while the first opinion stands.
    sleep(25 * SECOND).await;
    assert_eq!((idle.state(), idle.epoch()), (State::Open, 4));
    assert!(idle.retry_after() > 60 * SECOND, "{:?}", idle.retry_after());
}

#[tokio::test(start_paused = true)]
async fn a_lost_line_is_replaced_and_what_was_missed_is_read() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    store.cut_lines();
    busy.trip();
    sleep(SECOND).await;
    assert_eq!((idle.state(), idle.status().mode), (State::Open, SyncMode::Listen));
}

#[tokio::test(start_paused = true)]
async fn hints_in_a_burst_cost_few_reads() {
    let store = Store::new(true);
    let idle = Node::start(&store).await;
    sleep(SECOND).await;
    let before = store.reads.load(Relaxed);
    for _ in 0..100 {
        store.hint();
        sleep(MS).await;
    }
    let reads = store.reads.load(Relaxed) - before;
    assert!((1..=4).contains(&reads), "{reads} reads in 100 ms");
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_more_and_more_rarely() {
    let store = Store::new(false);
    let node = Node::start(&store).await;
    store.be(Mood::Away);
    sleep(60 * SECOND).await;
    let reads = store.reads.load(Relaxed);
    assert!((10..60).contains(&reads), "{reads} reads in a minute");
    assert_eq!(node.status().lag(clock::now()).map(|lag| lag > 55 * SECOND), Some(true));
    let error = node.status().last_error;
    assert_eq!(error.as_deref(), Some("the store is unavailable: connection refused"));
}

#[tokio::test(start_paused = true)]
async fn every_instance_says_now_and_then_that_it_lives() {
    let store = Store::new(true);
    let node = Node::start(&store).await;
    sleep(60 * SECOND).await;
    let beats = store.beats.load(Relaxed);
    assert!((12..=16).contains(&beats), "{beats} beats in a minute");
    assert_eq!(node.status().live, 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_of_this_instance_alone_is_not_shared() {
    let store = Store::new(true);
    let node =
        Node::start_with(&store, Policy { scope: Scope::Instance, ..Policy::default() }).await;
    node.trip();
    sleep(10 * SECOND).await;
    assert_eq!((store.moves(), store.reads.load(Relaxed)), (vec![], 0));
    assert_eq!(node.status().mode, SyncMode::Off);
}

#[tokio::test(start_paused = true)]
async fn what_a_circuit_only_would_do_is_not_shared() {
    let store = Store::new(true);
    let node = Node::start_with(&store, Policy { mode: Mode::Shadow, ..Policy::default() }).await;
    node.check(false, 5);
    sleep(10 * SECOND).await;
    assert_eq!(store.moves(), []);
}

#[tokio::test(start_paused = true)]
async fn a_move_carries_the_numbers_behind_it() {
    let store = Store::new(true);
    let policy = Policy { consecutive_failures: NonZeroU32::new(3).unwrap(), ..Policy::default() };
    let node = Node::start_with(&store, policy).await;
    node.check(false, 3);
    sleep(SECOND).await;
    let made = store.made();
    let [Made { said, .. }] = &*made else { panic!("{made:?}") };
    assert_eq!((said.key.as_str(), said.upstream.as_str()), ("payments-key", "payments"));
    assert_eq!(said.word, Word::Trip { quorum: Quorum::Majority });
    let row = store.row("payments-key").unwrap();
    assert_eq!((row.epoch, row.failure_count, row.step), (1, 3, 1));
    assert_eq!((row.cause, row.by_connection), (Cause::ConsecutiveFailures, true));
    assert!(row.open_for > 58 * SECOND);
}
