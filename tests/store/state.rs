//! Shared breakers.

use std::time::Duration;

use fusebox::{
    domain::breaker::{Cause, State},
    store::{Kind, Moved, StoredBreaker},
};
use serde_json::json;

use crate::fixture::{Store, moves};

const EVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_fresh_store_knows_no_breaker() {
    for store in Store::both().await {
        let state = store.open("a").state;
        assert_eq!(state.breakers(EVER).await.unwrap(), []);
        assert_eq!(state.events("payments", 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_open_breaker_is_seen_by_others_and_after_a_restart() {
    for store in Store::both().await {
        let made = store.open("a").state.transition(&moves(0, State::Open)).await.unwrap();
        assert_eq!(made, Moved::Made(1));
        let breakers = store.open("b").state.breakers(Duration::ZERO).await.unwrap();
        let [StoredBreaker { key, shared }] = &breakers[..] else {
            panic!("one breaker: {breakers:?}");
        };
        assert_eq!(key, "payments");
        assert_eq!((shared.epoch, shared.state), (1, State::Open));
        assert_eq!((shared.step, shared.failure_count, shared.by_connection), (2, 5, true));
        assert_eq!(shared.cause, Cause::ConsecutiveFailures);
        let left = Duration::from_secs(50)..=Duration::from_secs(60);
        assert!(left.contains(&shared.open_for), "{:?}", shared.open_for);
    }
}

#[tokio::test]
async fn the_open_time_ends_at_zero() {
    for store in Store::both().await {
        let state = store.open("a").state;
        let mut wanted = moves(0, State::Open);
        wanted.open_for = Duration::ZERO;
        state.transition(&wanted).await.unwrap();
        assert_eq!(state.breakers(EVER).await.unwrap()[0].shared.open_for, Duration::ZERO);
    }
}

#[tokio::test]
async fn one_of_fifty_contenders_makes_the_move() {
    for store in Store::both().await {
        let instances: Vec<_> = (0..50).map(|n| store.open(&n.to_string()).state).collect();
        // Each connects beforehand: fifty that do at once take a busy machine longer than one
        // statement may.
        for state in &instances {
            assert_eq!(state.breakers(EVER).await.unwrap(), []);
        }
        for (epoch, to) in [(0, State::Open), (1, State::Ramping), (2, State::Open)] {
            let wanted = moves(epoch, to);
            let attempts = instances.iter().map(|state| state.transition(&wanted));
            let results = futures_util::future::join_all(attempts).await;
            let results: Vec<Moved> = results.into_iter().collect::<Result<_, _>>().unwrap();
            let made = results.iter().filter(|moved| **moved == Moved::Made(epoch + 1)).count();
            assert_eq!(made, 1, "{results:?}");
            let lost = |moved: &&Moved| matches!(moved, Moved::Lost(Some(now)) if now.shared.epoch == epoch + 1);
            assert_eq!(results.iter().filter(lost).count(), 49, "{results:?}");
        }
        let events = instances[0].events("payments", 10).await.unwrap();
        let epochs: Vec<u64> = events.iter().map(|event| event.epoch).collect();
        assert_eq!(epochs, [3, 2, 1], "one event a move, newest first");
    }
}

#[tokio::test]
async fn a_move_from_an_epoch_that_is_gone_changes_nothing() {
    for store in Store::both().await {
        let state = store.open("a").state;
        let wanted = moves(7, State::Open);
        assert_eq!(state.transition(&wanted).await.unwrap(), Moved::Lost(None));
        assert_eq!(state.breakers(EVER).await.unwrap(), []);
    }
}

#[tokio::test]
async fn closing_what_was_never_stored_is_made_without_a_trace() {
    for store in Store::both().await {
        let state = store.open("a").state;
        assert_eq!(state.transition(&moves(0, State::Closed)).await.unwrap(), Moved::Made(0));
        assert_eq!(state.breakers(EVER).await.unwrap(), []);
        assert_eq!(state.events("payments", 10).await.unwrap(), []);
        state.transition(&moves(0, State::Open)).await.unwrap();
        let lost = state.transition(&moves(0, State::Closed)).await.unwrap();
        assert!(matches!(lost, Moved::Lost(Some(now)) if now.shared.state == State::Open));
    }
}

#[tokio::test]
async fn a_closed_breaker_is_listed_only_for_a_while() {
    for store in Store::both().await {
        let state = store.open("a").state;
        state.transition(&moves(0, State::Open)).await.unwrap();
        state.transition(&moves(1, State::Closed)).await.unwrap();
        let recent = state.breakers(EVER).await.unwrap();
        assert_eq!((recent[0].shared.epoch, recent[0].shared.state), (2, State::Closed));
        assert_eq!(state.breakers(Duration::ZERO).await.unwrap(), []);
        assert_eq!(state.transition(&moves(2, State::Open)).await.unwrap(), Moved::Made(3));
    }
}

#[tokio::test]
async fn a_ramp_has_an_age() {
    for store in Store::both().await {
        let state = store.open("a").state;
        state.transition(&moves(0, State::Ramping)).await.unwrap();
        let ramp_age = || async { state.breakers(EVER).await.unwrap()[0].shared.ramp_age };
        let first = ramp_age().await;
        let later = ramp_age().await;
        assert!(first < later && later < Duration::from_secs(30), "{first:?}, {later:?}");
    }
}

#[tokio::test]
async fn an_event_tells_who_did_what_and_why() {
    for store in Store::both().await {
        let state = store.open("a").state;
        let wanted = moves(0, State::Open);
        state.transition(&wanted).await.unwrap();
        let events = state.events("payments", 10).await.unwrap();
        let [event] = &events[..] else { panic!("one event: {events:?}") };
        assert_eq!((event.from, event.to, event.epoch), (State::Closed, State::Open, 1));
        assert_eq!((&*event.instance, event.cause), ("a", Cause::ConsecutiveFailures));
        assert!(fusebox::clock::wall_us().abs_diff(event.at_us) < 30_000_000);
        let expected = json!({
            "failureCount": 5, "windowCalls": 20, "windowFailures": 9, "step": 2,
            "openForMs": 60_000, "byConnection": true, "taskIds": [wanted.task_ids[0].to_string()],
        });
        assert_eq!(event.detail, expected);
        assert_eq!(state.events("payments", 0).await.unwrap(), []);
        assert_eq!(state.events("other", 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() {
    for store in Store::both().await {
        let (here, there) = (store.open_in("x", "a").state, store.open_in("y", "b").state);
        here.transition(&moves(0, State::Open)).await.unwrap();
        assert_eq!(there.breakers(EVER).await.unwrap(), []);
        assert_eq!(there.transition(&moves(0, State::Open)).await.unwrap(), Moved::Made(1));
        assert_eq!(there.heartbeat(EVER).await.unwrap(), 1);
        assert_eq!(here.heartbeat(EVER).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_heartbeat_counts_the_living() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b, c] = ["a", "b", "c"].map(|instance| store.open(instance).state);
    assert_eq!(a.heartbeat(EVER).await.unwrap(), 1);
    assert_eq!(a.heartbeat(EVER).await.unwrap(), 1);
    assert_eq!(b.heartbeat(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(c.heartbeat(EVER).await.unwrap(), 2, "b has died at once");
}

#[tokio::test]
async fn a_hint_arrives_when_another_instance_moves_a_breaker() {
    let store = Store::new(Kind::Postgres).await;
    let (mover, listener) = (store.open("a").state, store.open("b").state);
    let mut hints = listener.subscribe().await.unwrap().expect("nothing is in between");
    for (epoch, to) in [(0, State::Open), (1, State::Closed)] {
        mover.transition(&moves(epoch, to)).await.unwrap();
        let hint = tokio::time::timeout(Duration::from_secs(5), hints.recv()).await;
        assert_eq!(hint.expect("it arrives"), Some(()));
        assert_eq!(listener.breakers(EVER).await.unwrap()[0].shared.state, to);
    }
}

#[tokio::test]
async fn a_store_with_one_user_gives_no_hints() {
    let store = Store::new(Kind::Sqlite).await;
    let state = store.open("a").state;
    assert!(state.subscribe().await.unwrap().is_none());
    assert_eq!(state.heartbeat(EVER).await.unwrap(), 1);
}
