//! Early warnings as they are kept.

use std::{sync::Arc, time::Duration};

use fusebox::{
    clock,
    domain::learn::warn::{
        Signal,
        score::{Fate, Score},
    },
    store::{Notice, Prediction, Subject, WarningStore, Which},
};
use serde_json::json;

use crate::fixture::{OPENING, Store, trip};

const HOUR: Duration = Duration::from_secs(3_600);

fn open(store: &Store, namespace: &str, instance: &str) -> Arc<dyn WarningStore> {
    store.open_in(namespace, instance).warnings
}

fn notice(signal: Signal, action: &str) -> Notice {
    Notice {
        signal,
        subject: Subject {
            upstream: "pay".into(),
            domain: "billing".into(),
            action: action.into(),
        },
        claim: "failures rose from 0.4 % to 6.0 %, since 14:02 UTC".into(),
        detail: json!({ "usual": 0.004, "now": 0.06 }),
        bar: 0.032,
        horizon: Duration::from_secs(1_800),
        probability: 0.75,
        is_muted: false,
    }
}

async fn all(store: &dyn WarningStore, which: Which) -> Vec<Prediction> {
    store.predictions(which, 100).await.expect("the store answers")
}

#[tokio::test]
async fn a_warning_is_read_as_it_was_said() {
    for store in Store::both().await {
        let warnings = open(&store, "test", "me");
        let muted = Notice { is_muted: true, ..notice(Signal::Budget, "charge") };
        let upstream = Notice { subject: Subject::upstream("pay"), ..muted.clone() };
        let said = [notice(Signal::Failures, "o'charge \"é\""), muted, upstream];
        let before_us = clock::wall_us() - 1_000_000;
        warnings.warn(&said, HOUR).await.expect("the store answers");
        let mut read = all(&*warnings, Which::Active).await;
        read.sort_by_key(|it| it.id);
        let notices: Vec<_> = read.iter().map(|it| it.notice.clone()).collect();
        assert_eq!(notices, said, "{:?}", store.kind);
        for it in &read {
            assert!(it.is_active && it.fate == Fate::Pending, "{it:?}");
            assert!((before_us..before_us + 60_000_000).contains(&it.made_at_us), "{it:?}");
            let lasts = it.active_until_us - it.made_at_us;
            assert!((lasts - 3_600_000_000).abs() < 10_000, "{it:?}");
        }
        assert_eq!(all(&*open(&store, "elsewhere", "me"), Which::Active).await, []);
    }
}

#[tokio::test]
async fn what_is_said_again_goes_on_whoever_says_it() {
    for store in Store::both().await {
        let (one, other) = (open(&store, "test", "one"), open(&store, "test", "other"));
        let said = [notice(Signal::Failures, "charge")];
        for _ in 0..5 {
            let (a, b) = tokio::join!(one.warn(&said, HOUR), other.warn(&said, 2 * HOUR));
            a.and(b).expect("the store answers");
        }
        assert_eq!(all(&*one, Which::Active).await.len(), 1, "{:?}", store.kind);
        let changed = Notice { claim: "other words".into(), ..said[0].clone() };
        one.warn(&[changed, notice(Signal::Failures, "refund")], HOUR).await.expect("it answers");
        let claims: Vec<_> = all(&*one, Which::Active).await;
        assert_eq!(claims.len(), 2);
        assert!(claims.iter().all(|it| it.notice.claim == said[0].claim), "{:?}", store.kind);
    }
}

#[tokio::test]
async fn what_is_not_said_again_ends_and_may_begin_anew() {
    for store in Store::both().await {
        let warnings = open(&store, "test", "me");
        let said = [notice(Signal::Failures, "charge")];
        warnings.warn(&said, Duration::ZERO).await.expect("the store answers");
        assert_eq!(all(&*warnings, Which::Active).await, []);
        warnings.warn(&said, HOUR).await.expect("the store answers");
        assert_eq!(all(&*warnings, Which::Active).await.len(), 1);
        assert_eq!(all(&*warnings, Which::Since(0)).await.len(), 2, "{:?}", store.kind);
    }
}

#[tokio::test]
async fn a_fate_is_noted_once() {
    for store in Store::both().await {
        let warnings = open(&store, "test", "me");
        let said = [notice(Signal::Failures, "charge"), notice(Signal::Budget, "charge")];
        warnings.warn(&said, HOUR).await.expect("the store answers");
        let pending = all(&*warnings, Which::Pending).await;
        for (at, fate) in [(0, Fate::True { lead: 90 }), (0, Fate::False), (1, Fate::Pending)] {
            warnings.resolve(pending[at].id, fate).await.expect("the store answers");
        }
        assert_eq!(all(&*warnings, Which::Pending).await, [pending[1].clone()]);
        let made = all(&*warnings, Which::Since(0)).await;
        let first = made.iter().find(|it| it.id == pending[0].id).expect("it is kept");
        assert_eq!(first.fate, Fate::True { lead: 90 }, "{:?}", store.kind);
        warnings.forget_predictions(clock::wall_us() + 60_000_000).await.expect("it answers");
        assert_eq!(all(&*warnings, Which::Since(0)).await, []);
    }
}

#[tokio::test]
async fn the_last_score_of_a_signal_counts() {
    for store in Store::both().await {
        let warnings = open(&store, "test", "me");
        let none = Score::default();
        let some = Score {
            decided: 21,
            precision: Some(0.75),
            recall: Some(0.1),
            lead: Some(90.5),
            brier: Some(0.2),
        };
        for scored in [(Signal::Failures, none), (Signal::Failures, some), (Signal::Trend, none)] {
            warnings.keep_score(&scored).await.expect("the store answers");
        }
        let scores = warnings.scores().await.expect("the store answers");
        assert_eq!(scores, [(Signal::Failures, some), (Signal::Trend, none)], "{:?}", store.kind);
    }
}

#[tokio::test]
async fn one_instance_watches_until_its_lease_is_over() {
    for store in Store::both().await {
        let (one, other) = (open(&store, "test", "one"), open(&store, "test", "other"));
        let is_shared = store.kind == fusebox::store::Kind::Postgres;
        assert!(one.claim_watch(HOUR).await.expect("the store answers"));
        assert_eq!(other.claim_watch(HOUR).await.expect("the store answers"), !is_shared);
        assert!(one.claim_watch(Duration::ZERO).await.expect("the store answers"), "it goes on");
        assert!(other.claim_watch(HOUR).await.expect("the store answers"), "it has lapsed");
        assert!(open(&store, "elsewhere", "me").claim_watch(HOUR).await.expect("it answers"));
    }
}

#[tokio::test]
async fn openings_of_breakers_are_told() {
    for store in Store::both().await {
        let stores = store.open("me");
        let before_us = clock::wall_us() - 1_000_000;
        assert!(trip(&*stores.state, 0, OPENING).await.is_done);
        let openings = stores.warnings.openings(before_us, 10).await.expect("the store answers");
        assert_eq!(openings.len(), 1, "{:?}", store.kind);
        assert_eq!(openings[0].0, "pay");
        let later = openings[0].1 + 1;
        assert_eq!(stores.warnings.openings(later, 10).await.expect("it answers"), []);
    }
}
