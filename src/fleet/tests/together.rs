//! What is decided together: votes, and one prober at a time.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::sleep;

use super::{
    MS, Node, SECOND,
    store::{Mood, Store},
};
use crate::domain::{
    breaker::{Mode, Scope, State},
    order::{Act, Signature},
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
async fn one_that_believes_itself_alone_does_not_decide_alone() {
    let store = Store::new(true);
    let sick = Node::start(&store).await;
    let others = [Node::start(&store).await, Node::start(&store).await];
    sick.trip();
    others.iter().for_each(|other| other.check(true, 1));
    sleep(10 * SECOND).await;
    assert_eq!(store.moves(), [], "whether it is the first or all start at once");
    assert_eq!(others.each_ref().map(Node::state), [State::Closed; 2]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_in_the_middle_of_a_vote_was_not_counted_and_has_none() {
    let store = Store::new(true);
    let sick = Node::start(&store).await;
    let others = [Node::start(&store).await, Node::start(&store).await];
    sleep(SECOND).await;
    others.iter().for_each(|other| other.check(true, 1));
    sick.trip();
    sleep(SECOND).await;
    let late = Node::start(&store).await;
    late.trip();
    sleep(20 * SECOND).await;
    assert_eq!(store.moves(), [], "two of four are not most");
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
async fn in_a_large_fleet_without_hints_nobody_hears_last_for_having_looked_during_the_vote() {
    let (store, mut fleet) = (Store::new(false), Vec::new());
    for _ in 0..300 {
        fleet.push(Node::start(&store).await);
        sleep(3 * MS).await;
    }
    sleep(60 * SECOND).await;
    let reads = store.reads.load(Relaxed);
    fleet.iter().step_by(5).for_each(Node::trip);
    // A poll of everybody and its spread. Those who look while the voters do, and only then, would
    // need another.
    sleep(1_120 * MS).await;
    let open = fleet.iter().filter(|node| node.state() == State::Open).count();
    assert_eq!(open, 300);
    let reads = store.reads.load(Relaxed) - reads;
    assert!(reads < 3 * 300, "{reads} reads");
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
async fn who_was_away_when_a_vote_began_was_not_counted_and_has_none() {
    let store = Store::new(true);
    let (sick, away) = (Node::start(&store).await, Node::start(&store).await);
    let well = [Node::start(&store).await, Node::start(&store).await];
    sleep(10 * SECOND).await;
    store.lose(&away.name);
    sleep(60 * SECOND).await;
    well.iter().for_each(|well| well.check(true, 1));
    sick.trip();
    sleep(2 * SECOND).await;
    away.trip();
    store.find(&away.name);
    sleep(10 * SECOND).await;
    assert_eq!(store.moves(), [], "two of four are not most");
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

#[tokio::test(start_paused = true)]
async fn one_that_was_reset_alone_does_not_speak_for_the_upstream() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(SECOND).await;
    other.steer(Act::Reset(Signature::new(None, "done").unwrap()), Scope::Instance);
    assert_eq!(other.state(), State::Closed);
    sleep(90 * SECOND).await;
    assert_eq!(store.moves()[..2], [(State::Closed, State::Open), (State::Open, State::HalfOpen)]);
    assert!(!store.moves().contains(&(State::HalfOpen, State::Closed)), "{:?}", store.moves());
}

#[tokio::test(start_paused = true)]
async fn one_that_only_looks_on_has_no_vote() {
    let store = Store::new(true);
    let nodes = [Node::start(&store).await, Node::start(&store).await, Node::start(&store).await];
    for looking_on in &nodes[1..] {
        looking_on.order(Mode::Shadow, Scope::Instance);
        looking_on.check(true, 1);
    }
    sleep(20 * SECOND).await;
    nodes[0].trip();
    sleep(SECOND).await;
    assert_eq!(store.moves(), [(State::Closed, State::Open)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_own_opening_stands_although_it_was_closed_long_ago() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(SECOND).await;
    one.recover().await;
    sleep(600 * SECOND).await;
    let late = Node::start(&store).await;
    assert_eq!(late.epoch(), one.epoch());
    other.check(true, 1);
    one.check(true, 1);
    late.trip();
    sleep(SECOND).await;
    assert_eq!((late.state(), other.state()), (State::Open, State::Closed));
}
