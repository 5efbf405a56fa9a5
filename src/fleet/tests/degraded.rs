//! What becomes of sharing while the store is not what it should be, and afterwards.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::sleep;

use super::{
    MS, Node, SECOND, SyncMode,
    store::{Mood, Store},
};
use crate::domain::breaker::{Policy, State};

#[tokio::test(start_paused = true)]
async fn a_line_that_died_in_silence_is_noticed_with_the_first_news_and_replaced() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    sleep(10 * SECOND).await;
    store.deafen();
    busy.trip();
    sleep(2_500 * MS).await;
    assert_eq!(idle.state(), State::Open, "by a poll");
    sleep(25 * SECOND).await;
    assert_eq!((idle.status().mode, idle.status().because), (SyncMode::Listen, None));
    busy.reset();
    sleep(100 * MS).await;
    assert_eq!(idle.state(), State::Closed, "by a hint");
}

#[tokio::test(start_paused = true)]
async fn where_no_line_is_to_be_had_the_store_is_polled_and_asked_again_rarely() {
    let store = Store::new(false);
    let node = Node::start(&store).await;
    sleep(SECOND).await;
    let because = node.status().because;
    assert_eq!(because.as_deref(), Some("notifications do not come through"));
    sleep(3_600 * SECOND).await;
    let asked = store.subscriptions.load(Relaxed);
    assert!((10..40).contains(&asked), "asked {asked} times in an hour");
    store.give_hints();
    sleep(1_200 * SECOND).await;
    assert_eq!((node.status().mode, node.status().because), (SyncMode::Listen, None));
}

#[tokio::test(start_paused = true)]
async fn news_that_a_hint_told_of_do_not_make_a_line_doubtful() {
    let store = Store::new(true);
    let (busy, _idle) = (Node::start(&store).await, Node::start(&store).await);
    let policy = Policy::default();
    let other = Node::start_with(&store, policy).await;
    sleep(SECOND).await;
    let before = store.subscriptions.load(Relaxed);
    for _ in 0..5 {
        busy.trip();
        sleep(10 * SECOND).await;
        other.reset();
        sleep(10 * SECOND).await;
    }
    assert_eq!(store.subscriptions.load(Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_outlives_a_store_that_goes_back_to_an_earlier_copy() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    sleep(SECOND).await;
    let copy = store.copy();
    busy.trip();
    sleep(20 * SECOND).await;
    let left = busy.retry_after();
    store.go_back(copy);
    sleep(3 * SECOND).await;
    let late = Node::start(&store).await;
    let nodes = [&busy, &idle, &late];
    assert_eq!(nodes.map(Node::state), [State::Open; 3]);
    assert_eq!(nodes.map(Node::epoch), [1; 3]);
    assert!(nodes.iter().all(|node| node.retry_after() < left - 2 * SECOND), "no longer for it");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_outlives_a_store_that_goes_back_to_the_outage() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    busy.trip();
    sleep(SECOND).await;
    let copy = store.copy();
    busy.recover().await;
    sleep(200 * SECOND).await;
    store.go_back(copy);
    for _ in 0..100 {
        sleep(100 * MS).await;
        assert_eq!([&busy, &idle].map(Node::state), [State::Closed; 2], "nobody is refused");
    }
    let late = Node::start(&store).await;
    assert_eq!((late.state(), late.epoch()), (State::Closed, busy.epoch()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_everything_is_shared_as_before() {
    let store = Store::new(true);
    let (busy, idle) = (Node::start(&store).await, Node::start(&store).await);
    busy.trip();
    sleep(SECOND).await;
    busy.recover().await;
    sleep(600 * SECOND).await;
    store.go_back(Default::default());
    sleep(10 * SECOND).await;
    let before = store.moves().len();
    busy.trip();
    sleep(100 * MS).await;
    assert_eq!([&busy, &idle].map(Node::state), [State::Open; 2]);
    assert_eq!([&busy, &idle].map(Node::epoch), [4; 2]);
    assert_eq!(store.moves()[before..], [(State::Closed, State::Open)]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_the_store_does_not_do_is_tried_again_and_stops_nothing() {
    let store = Store::new(true);
    let (one, other) = (Node::start(&store).await, Node::start(&store).await);
    one.trip();
    sleep(SECOND).await;
    store.be(Mood::Stubborn);
    let (words, beats) = (store.words.load(Relaxed), store.beats.load(Relaxed));
    other.reset();
    sleep(60 * SECOND).await;
    let words = store.words.load(Relaxed) - words;
    assert!(words < 60 * 20 * 9, "{words} words in a minute");
    assert!(store.beats.load(Relaxed) > beats + 10, "its heart goes on beating");
    store.be(Mood::Well);
    sleep(SECOND).await;
    assert_eq!([&one, &other].map(Node::state), [State::Closed; 2]);
}
