//! What is ordered for all, also where the store forgets.

use tokio::time::sleep;

use super::{
    MS, Node, SECOND,
    store::{Mood, Store},
    wait_for,
};
use crate::{
    clock,
    domain::{
        breaker::{Mode, Scope, State},
        order::Reach,
    },
};

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
async fn an_order_that_the_store_has_forgotten_is_put_back() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    let copy = store.copy();
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(100 * MS).await;
    store.go_back(copy);
    sleep(5 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Open));
    let late = Node::start(&store).await;
    assert_eq!(late.state(), State::Open, "the store knows it again");
    one.lift();
    sleep(100 * MS).await;
    assert_eq!([&one, &other, &late].map(Node::state), [State::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_lifted_does_not_come_back_with_an_older_store() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(100 * MS).await;
    let copy = store.copy();
    other.lift();
    sleep(100 * MS).await;
    store.go_back(copy);
    sleep(5 * SECOND).await;
    let late = Node::start(&store).await;
    assert_eq!([&one, &other, &late].map(Node::state), [State::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_an_older_store_was_given_holds_there() {
    let store = Store::new(true);
    let one = Node::start(&store).await;
    sleep(SECOND).await;
    let copy = store.copy();
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(100 * MS).await;
    store.go_back(copy);
    let other = Node::start(&store).await;
    other.order(Mode::ForcedClosed, Scope::Fleet);
    sleep(5 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Closed, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_order_holds_in_a_store_that_has_forgotten_several_before_it() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    let copy = store.copy();
    for _ in 0..2 {
        one.order(Mode::ForcedOpen, Scope::Fleet);
        sleep(100 * MS).await;
        one.lift();
        sleep(100 * MS).await;
    }
    sleep(600 * SECOND).await;
    store.go_back(copy);
    sleep(600 * SECOND).await;
    other.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(10 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Open));
}

#[tokio::test(start_paused = true)]
async fn an_order_holds_in_a_store_that_has_nothing_of_those_before_it() {
    let store = Store::new(true);
    let (empty, one) = (store.copy(), Node::start(&store).await);
    sleep(SECOND).await;
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(100 * MS).await;
    one.lift();
    sleep(100 * MS).await;
    store.be(Mood::Away);
    sleep(10 * SECOND).await;
    store.go_back(empty);
    store.be(Mood::Well);
    sleep(10 * SECOND).await;
    let other = Node::start(&store).await;
    other.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(10 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Open, State::Open));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_another_lifts_at_once_is_lifted_where_it_was_given() {
    let store = Store::new(false);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(10 * SECOND).await;
    one.order(Mode::ForcedOpen, Scope::Fleet);
    sleep(MS).await;
    other.lift();
    sleep(5 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Closed, State::Closed));
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
async fn a_reset_of_one_that_does_not_know_yet_closes_all_the_same() {
    let store = Store::new(false);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    sleep(10 * SECOND).await;
    one.trip();
    other.check(false, 1);
    wait_for(|| store.moves().len() == 1).await;
    // Whether it has heard of the outage by now or not.
    other.reset();
    sleep(3 * SECOND).await;
    assert_eq!((one.state(), other.state()), (State::Closed, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_ends_gives_all_their_votes_back_before_anybody_is_asked() {
    for gives_hints in [true, false] {
        for lifts in [Node::lift, Node::reset] {
            let store = Store::new(gives_hints);
            let [sick, one, other] =
                [Node::start(&store).await, Node::start(&store).await, Node::start(&store).await];
            sick.order(Mode::ForcedOpen, Scope::Fleet);
            sleep(20 * SECOND).await;
            lifts(&sick);
            // One sick instance of three is no majority, however soon it finds out.
            sick.trip();
            for _ in 0..200 {
                one.check(true, 1);
                other.check(true, 1);
                sleep(50 * MS).await;
            }
            assert_eq!((sick.state(), other.state()), (State::Open, State::Closed));
            assert_eq!(store.moves(), [], "with hints: {gives_hints}");
            assert_eq!(store.row("payments-key").map(|row| row.electorate), Some(3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_says_how_far_it_has_got() {
    let store = Store::new(true);
    let node = Node::start(&store).await;
    sleep(SECOND).await;
    let reach = || *node.circuit.reach().borrow();
    node.order(Mode::ForcedOpen, Scope::Instance);
    sleep(SECOND).await;
    assert_eq!(reach(), Reach::Here);
    node.order(Mode::ForcedOpen, Scope::Fleet);
    assert_eq!(reach(), Reach::Untold);
    sleep(SECOND).await;
    assert_eq!(reach(), Reach::Fleet);
    store.be(Mood::Away);
    node.reset();
    sleep(10 * SECOND).await;
    assert_eq!(reach(), Reach::Untold);
    let told = node.circuit.snapshot(clock::now()).reset.expect("it was reset");
    assert_eq!((&*told.signature.reason, told.reach), ("done", Reach::Untold));
    store.be(Mood::Well);
    sleep(10 * SECOND).await;
    assert_eq!(reach(), Reach::Fleet);
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_with_who_and_why() {
    let store = Store::new(true);
    let node = Node::start(&store).await;
    node.trip();
    sleep(SECOND).await;
    node.reset();
    sleep(SECOND).await;
    let signature = store.made().last().and_then(|made| made.said.signature.clone());
    assert_eq!(signature.map(|it| it.reason.to_string()).as_deref(), Some("done"));
    assert!(node.circuit.is_agreed(), "it is closed for all");
}
