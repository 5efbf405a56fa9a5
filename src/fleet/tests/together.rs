//! What is decided together: votes, and one prober at a time.

use tokio::time::sleep;

use super::{
    MS, Node, SECOND,
    store::{Mood, Store},
};
use crate::{
    clock,
    domain::breaker::{Mode, Scope, State},
};

#[tokio::test(start_paused = true)]
async fn one_that_fails_alone_stays_open_alone() {
    let store = Store::new(true);
    let (sick, well) = (Node::start(&store).await, Node::start(&store).await);
    for _ in 0..60 {
        sick.check(false, 1);
        well.check(true, 1);
        sleep(SECOND).await;
    }
    assert_eq!((sick.state(), well.state()), (State::Open, State::Closed));
    assert_eq!(store.moves(), []);
}

#[tokio::test(start_paused = true)]
async fn when_most_fail_the_others_open_too() {
    let store = Store::new(true);
    let nodes = [Node::start(&store).await, Node::start(&store).await, Node::start(&store).await];
    nodes[2].check(true, 1);
    sleep(SECOND).await;
    nodes[0].trip();
    sleep(SECOND).await;
    assert_eq!(nodes[2].state(), State::Closed);
    nodes[1].trip();
    sleep(100 * MS).await;
    assert_eq!(nodes.each_ref().map(Node::state), [State::Open; 3]);
    assert_eq!(store.moves(), [(State::Closed, State::Open)]);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_needs_one_failure_to_agree_and_one_success_not_to() {
    for (heard, expected) in [(&[false][..], State::Open), (&[true, false], State::Closed)] {
        let store = Store::new(true);
        let (first, asked) = (Node::start(&store).await, Node::start(&store).await);
        asked.check(true, 1);
        sleep(SECOND).await;
        first.trip();
        sleep(SECOND).await;
        assert_eq!(asked.state(), State::Closed, "it was well when it last heard");
        for &ok in heard {
            asked.check(ok, 1);
            sleep(200 * MS).await;
        }
        assert_eq!(asked.state(), expected, "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_opinion_may_be_a_better_one() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(64 * SECOND).await;
    one.check(false, 1);
    sleep(SECOND).await;
    for _ in 0..3 {
        other.check(true, 1);
        sleep(SECOND).await;
    }
    assert_eq!((one.state(), other.state()), (State::Closed, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_dies_is_followed_by_another() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(64 * SECOND).await;
    assert!(store.row("payments-key").unwrap().hold.is_some());
    drop(one);
    for _ in 0..15 {
        other.check(true, 1);
        sleep(SECOND).await;
    }
    assert_eq!(other.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_order_reaches_all_instances_and_its_end_too() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(100 * MS).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Open));
    let order = other.circuit.snapshot(clock::now()).order.expect("it is told");
    let signature = order.signature;
    assert_eq!((&*signature.by, &*signature.reason), ("ann", "the ledger moves"));
    let late = Node::start(&store).await;
    assert_eq!(late.state(), State::Open, "one that starts later knows it before it is ready");
    other.lift();
    sleep(100 * MS).await;
    assert_eq!([&one, &other, &late].map(Node::state), [State::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_order_for_one_instance_is_nobody_elses() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.order(Mode::ForcedOpen, Scope::Instance);
    sleep(10 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_store_could_not_be_told_is_told_when_it_is_back() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    store.be(Mood::Away);
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(10 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Closed));
    store.be(Mood::Well);
    sleep(10 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Open));
}

#[tokio::test(start_paused = true)]
async fn a_reset_closes_the_circuit_everywhere() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(SECOND).await;
    assert_eq!(other.state(), State::Open);
    other.reset();
    sleep(100 * MS).await;
    assert_eq!((one.state(), other.state()), (State::Closed, State::Closed));
    assert_eq!(store.moves().last(), Some(&(State::Open, State::Closed)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_does_not_make_one_sick_instance_the_majority() {
    let store = Store::new(true);
    let (sick, well) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    store.be(Mood::Away);
    for second in 0..60 {
        if second == 25 {
            store.be(Mood::Well);
        }
        sick.check(false, 1);
        well.check(true, 1);
        sleep(SECOND).await;
    }
    assert_eq!((sick.state(), well.state()), (State::Open, State::Closed));
    assert_eq!(store.moves(), []);
}
