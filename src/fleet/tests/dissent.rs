//! Instances that do not agree: one that fails alone, several that are configured otherwise.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};

use super::{
    Breakers, Fleet, Handle, MS, Node, Policy, SECOND, State, Status, Store, clock, watch,
};
use crate::domain::{breaker::Observed, outcome::Verdict, task::TaskId};

const UPSTREAMS: [&str; 4] = ["ledger", "mail", "payments", "search"];

/// An instance with four circuits.
struct Several {
    breakers: Arc<Breakers>,
    status: watch::Receiver<Status>,
    _stop: oneshot::Sender<()>,
}

impl Several {
    fn start(store: &Arc<Store>, name: &str) -> Self {
        let circuit = |name: &str| (Arc::from(name), name.to_owned(), Policy::default());
        let breakers = Breakers::new(UPSTREAMS.into_iter().map(circuit), true);
        let handle = Handle(Arc::clone(store), name.to_owned());
        let fleet = Fleet::new(&breakers, Arc::new(handle) as _);
        let status = fleet.status();
        let (_stop, stopped) = oneshot::channel();
        tokio::spawn(fleet.run(async { drop::<Result<(), _>>(stopped.await) }));
        Self { breakers, status, _stop }
    }

    fn check(&self, ok: bool, upstreams: &[&str]) {
        for name in upstreams {
            let circuit = self.breakers.of(name).unwrap();
            (0..5).for_each(|_| circuit.check(ok, clock::now()));
        }
    }

    fn sick(&self) -> Option<String> {
        self.status.borrow().sick.as_ref().map(ToString::to_string)
    }
}

/// Three instances; `failing` fails for the first of them, everything works for the others.
async fn with_one_that_fails(failing: &[&str]) -> Vec<Several> {
    let store = Store::new(true);
    let fleet: Vec<_> =
        ["one", "two", "three"].into_iter().map(|name| Several::start(&store, name)).collect();
    sleep(SECOND).await;
    let (sick, well) = fleet.split_first().unwrap();
    well.iter().for_each(|node| node.check(true, &UPSTREAMS));
    sick.check(true, &UPSTREAMS);
    sick.check(false, failing);
    for _ in 0..15 {
        sleep(SECOND).await;
        well.iter().for_each(|node| node.check(true, &UPSTREAMS));
    }
    fleet
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_with_most_upstreams_while_they_work_for_others_is_what_is_broken() {
    let fleet = with_one_that_fails(&["ledger", "mail", "payments"]).await;
    assert_eq!(
        fleet[0].sick().as_deref(),
        Some(
            "3 of the 4 upstreams that are called here fail here and work for others (ledger, \
             mail, payments): it is this instance, not the upstreams"
        )
    );
    assert_eq!(fleet[1].sick(), None);
    let ledger = fleet[1].breakers.of("ledger").unwrap();
    assert_eq!(ledger.snapshot(clock::now()).state, State::Closed, "its votes count, as any");
    // It comes back: the circuits become half-open, and checks succeed.
    sleep(60 * SECOND).await;
    for _ in 0..30 {
        fleet[0].check(true, &UPSTREAMS);
        sleep(SECOND).await;
    }
    assert_eq!(fleet[0].sick(), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_with_one_upstream_may_have_a_bad_way_to_it() {
    let fleet = with_one_that_fails(&["ledger"]).await;
    let ledger = fleet[0].breakers.of("ledger").unwrap();
    assert_eq!(ledger.snapshot(clock::now()).state, State::Open);
    assert_eq!(fleet[0].sick(), None);
}

#[tokio::test(start_paused = true)]
async fn other_rules_are_noticed_by_all_and_forgotten_when_they_are_gone() {
    let store = Store::new(true);
    let usual = || Policy { ramp: Duration::ZERO, ..Policy::default() };
    let (one, two) = (Node::start(&store).await, Node::start_with(&store, usual()).await);
    sleep(30 * SECOND).await;
    assert!(one.status().drifts.is_empty() && two.status().drifts.is_empty());
    assert_eq!(store.asked_for_rules.load(Relaxed), 0, "while all are alike nobody asks more");
    let three = NonZeroU32::new(3).unwrap();
    let odd = Node::start_with(&store, Policy { consecutive_failures: three, ..usual() }).await;
    sleep(30 * SECOND).await;
    for node in [&one, &two, &odd] {
        let drift = node.status().drift("payments", clock::now()).unwrap();
        assert_eq!((drift.count, drift.of), (1, 3), "{drift}");
        assert!(drift.names[0].starts_with("node-"), "{drift}");
    }
    let asked = store.asked_for_rules.load(Relaxed);
    assert!((3..=6).contains(&asked), "{asked} questions of three instances in half a minute");
    drop(odd);
    sleep(60 * SECOND).await;
    assert!(one.status().drifts.is_empty() && two.status().drifts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_move_names_the_calls_behind_it() {
    let store = Store::new(true);
    let node = Node::start(&store).await;
    let ids: Vec<_> = (1..=5).map(TaskId::from_u128).collect();
    for &id in &ids {
        let observed = Observed {
            verdict: Verdict::Failure,
            latency: MS,
            retry_after: None,
            by_connection: false,
        };
        let admission = node.circuit.admit(true, clock::now()).unwrap().of(id);
        admission.record(observed, clock::now()).settle();
    }
    sleep(SECOND).await;
    let made = store.made();
    assert_eq!((made.len(), &made[0].said.task_ids), (1, &ids));
}
