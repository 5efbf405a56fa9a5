//! Shared breakers.

use std::time::Duration;

use fusebox::{
    domain::{
        breaker::{Cause, Mode, State},
        fleet::word::{Opening, Vote, Word},
        quorum::Quorum,
    },
    store::{Decree, Forgotten, Kind, StateStore, StoredBreaker},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::fixture::{self, OPENING, Store, close, presence, said, trip};

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
        assert!(trip(&*store.open("a").state, 0, OPENING).await.is_done);
        let breakers = store.open("b").state.breakers(Duration::ZERO).await.unwrap();
        let [StoredBreaker { key, row, order: None, .. }] = &breakers[..] else {
            panic!("one breaker: {breakers:?}");
        };
        assert_eq!(key, "payments");
        assert_eq!((row.epoch, row.state), (1, State::Open));
        assert_eq!((row.step, row.failure_count, row.by_connection), (2, 5, true));
        assert_eq!(row.cause, Cause::ConsecutiveFailures);
        let left = Duration::from_secs(50)..=Duration::from_secs(60);
        assert!(left.contains(&row.open_for), "{:?}", row.open_for);
        assert_eq!((row.round, row.hold, row.doubt), (None, None, None));
    }
}

#[tokio::test]
async fn the_open_time_ends_at_zero() {
    for store in Store::both().await {
        let state = store.open("a").state;
        trip(&*state, 0, Opening { open_for: Duration::ZERO, ..OPENING }).await;
        assert_eq!(state.breakers(EVER).await.unwrap()[0].row.open_for, Duration::ZERO);
    }
}

#[tokio::test]
async fn of_many_one_opens_and_one_probes() {
    let store = Store::new(Kind::Postgres).await;
    let instances: Vec<_> = (0..50).map(|n| store.open(&n.to_string()).state).collect();
    // Each connects beforehand: fifty that do at once take a busy machine longer than one statement
    // may.
    for state in &instances {
        state.heartbeat(&presence(EVER)).await.unwrap();
    }
    let opening = Opening { open_for: Duration::ZERO, ..OPENING };
    let heard = join_all(instances.iter().map(|state| trip(&**state, 0, opening))).await;
    assert_eq!(heard.iter().filter(|heard| heard.is_done).count(), 1, "{heard:?}");
    let won = join_all(instances.iter().map(|state| acquire(&**state, 1))).await;
    let probers: Vec<usize> = (0..50).filter(|&at| won[at].1).collect();
    let [prober] = probers[..] else { panic!("one prober: {probers:?}") };
    let pass = said(2, Word::Pass { lease: won[prober].0, ramp: Duration::ZERO });
    let passed = join_all(instances.iter().map(|state| state.say(&pass))).await;
    let passed = passed.into_iter().filter(|heard| heard.as_ref().unwrap().is_done);
    assert_eq!(passed.count(), 1, "the lease is the prober's alone");
    let events = instances[0].events("payments", 10).await.unwrap();
    let epochs: Vec<u64> = events.iter().map(|event| event.epoch).collect();
    assert_eq!(epochs, [3, 2, 1], "one event for each, newest first");
}

async fn acquire(state: &dyn StateStore, epoch: u64) -> (u128, bool) {
    let lease = fastrand::u128(..);
    let word = Word::Acquire { lease, ttl: EVER, is_early: false };
    (lease, state.say(&said(epoch, word)).await.expect("it answers").is_done)
}

#[tokio::test]
async fn a_word_for_another_epoch_changes_nothing() {
    for store in Store::both().await {
        let state = store.open("a").state;
        assert!(trip(&*state, 0, OPENING).await.is_done);
        let heard = trip(&*state, 7, OPENING).await;
        assert!(!heard.is_done);
        assert_eq!(heard.row.map(|stored| stored.row.epoch), Some(1));
        assert_eq!(state.events("payments", 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_store_that_lost_a_breaker_goes_on_from_the_epoch_of_the_first_to_speak() {
    for store in Store::both().await {
        let heard = trip(&*store.open("a").state, 7, OPENING).await;
        assert!(heard.is_done);
        assert_eq!(heard.row.map(|stored| stored.row.epoch), Some(8));
    }
}

#[tokio::test]
async fn who_votes_good_keeps_the_fleet_closed_and_may_change_its_mind() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b] = ["a", "b"].map(|instance| store.open(instance).state);
    for state in [&a, &b] {
        state.heartbeat(&presence(EVER)).await.unwrap();
    }
    assert!(!trip(&*a, 0, OPENING).await.is_done, "b has not said anything");
    let quorum = Quorum::Majority;
    for (vote, opens) in [(Vote::Good, false), (Vote::Abstain, true)] {
        assert!(b.say(&said(0, Word::Vote(vote))).await.unwrap().is_done);
        assert_eq!(b.say(&said(0, Word::Trip { quorum })).await.unwrap().is_done, opens);
    }
    let events = a.events("payments", 1).await.unwrap();
    let votes = |name: &str| events[0].detail[name].clone();
    assert_eq!([votes("bad"), votes("good"), votes("abstained")], [json!(1), json!(0), json!(1)]);
    assert_eq!(
        (votes("electorate"), votes("reporters")),
        (json!(2), json!([{ "name": "host", "zone": null, "host": "host" }]))
    );
}

#[tokio::test]
async fn a_failed_probe_needs_the_opinion_of_another() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b] = ["a", "b"].map(|instance| store.open(instance).state);
    for state in [&a, &b] {
        state.heartbeat(&presence(EVER)).await.unwrap();
    }
    let opening = Opening { open_for: Duration::ZERO, ..OPENING };
    trip(&*a, 0, opening).await;
    b.say(&said(0, Word::Vote(Vote::Abstain))).await.unwrap();
    assert!(a.say(&said(0, Word::Trip { quorum: Quorum::Majority })).await.unwrap().is_done);
    let (lease, won) = acquire(&*a, 1).await;
    assert!(won && !acquire(&*b, 2).await.1, "one at a time");
    let again = Opening { step: 3, ..OPENING };
    let fail = |lease| Word::Fail { lease, opening: again };
    assert!(!b.say(&said(2, fail(lease))).await.unwrap().is_done, "it is not b's lease");
    let heard = a.say(&said(2, fail(lease))).await.unwrap();
    let row = heard.row.unwrap().row;
    assert!(heard.is_done && row.doubt.unwrap().is_mine && row.open_for.is_zero());
    assert_eq!((row.epoch, row.state, row.step), (3, State::Open, 2));
    assert!(!acquire(&*a, 3).await.1, "another has to confirm it");
    let (lease, won) = acquire(&*b, 3).await;
    assert!(won && b.say(&said(4, fail(lease))).await.unwrap().is_done);
    let row = b.breakers(EVER).await.unwrap()[0].row.clone();
    assert_eq!((row.epoch, row.state, row.step, row.doubt), (5, State::Open, 3, None));
    assert!(row.open_for > Duration::from_secs(50));
}

#[tokio::test]
async fn a_closed_breaker_is_listed_only_for_a_while() {
    for store in Store::both().await {
        let state = store.open("a").state;
        trip(&*state, 0, OPENING).await;
        assert!(close(&*state, 1).await.is_done);
        let recent = state.breakers(EVER).await.unwrap();
        assert_eq!((recent[0].row.epoch, recent[0].row.state), (3, State::Closed));
        assert_eq!(state.breakers(Duration::ZERO).await.unwrap(), []);
        assert!(trip(&*state, 3, OPENING).await.is_done);
    }
}

#[tokio::test]
async fn a_ramp_has_an_age() {
    for store in Store::both().await {
        let state = store.open("a").state;
        trip(&*state, 0, Opening { open_for: Duration::ZERO, ..OPENING }).await;
        let (lease, _) = acquire(&*state, 1).await;
        state.say(&said(2, Word::Pass { lease, ramp: EVER })).await.unwrap();
        let ramp_age = || async { state.breakers(EVER).await.unwrap()[0].row.ramp_age };
        let first = ramp_age().await;
        let later = ramp_age().await;
        assert!(first < later && later < Duration::from_secs(30), "{first:?}, {later:?}");
        assert!(!state.say(&said(3, Word::Close { ramp: EVER })).await.unwrap().is_done);
        let over = Word::Close { ramp: Duration::ZERO };
        assert!(state.say(&said(3, over)).await.unwrap().is_done);
    }
}

#[tokio::test]
async fn an_event_tells_who_did_what_and_why() {
    for store in Store::both().await {
        let state = store.open("a").state;
        trip(&*state, 0, OPENING).await;
        let events = state.events("payments", 10).await.unwrap();
        let [event] = &events[..] else { panic!("one event: {events:?}") };
        assert_eq!((event.from, event.to, event.epoch), (State::Closed, State::Open, 1));
        assert_eq!((&*event.instance, event.cause), ("a", Cause::ConsecutiveFailures));
        assert!(fusebox::clock::wall_us().abs_diff(event.at_us) < 30_000_000);
        let ids = json!([said(0, Word::Vote(Vote::Bad)).task_ids[0].to_string()]);
        for (name, value) in [
            ("windowCalls", json!(20)),
            ("windowFailures", json!(9)),
            ("failureCount", json!(5)),
            ("step", json!(2)),
            ("openForMs", json!(60_000)),
            ("byConnection", json!(true)),
            ("taskIds", ids),
        ] {
            assert_eq!(event.detail[name], value, "{name}: {}", event.detail);
        }
        assert_eq!(state.events("payments", 0).await.unwrap(), []);
        assert_eq!(state.events("other", 10).await.unwrap(), []);
        let told = events.into_iter().map(|event| ("payments".to_owned(), event));
        assert_eq!(state.last_events(10).await.unwrap(), told.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() {
    for store in Store::both().await {
        let (here, there) = (store.open_in("x", "a").state, store.open_in("y", "b").state);
        trip(&*here, 0, OPENING).await;
        assert_eq!(there.breakers(EVER).await.unwrap(), []);
        assert!(trip(&*there, 0, OPENING).await.is_done);
        assert_eq!(there.heartbeat(&presence(EVER)).await.unwrap().live, 1);
        assert_eq!(here.heartbeat(&presence(EVER)).await.unwrap().live, 1);
    }
}

#[tokio::test]
async fn a_heartbeat_counts_the_living() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b, c] = ["a", "b", "c"].map(|instance| store.open(instance).state);
    assert_eq!(a.heartbeat(&presence(EVER)).await.unwrap().live, 1);
    assert_eq!(a.heartbeat(&presence(EVER)).await.unwrap().live, 1);
    assert_eq!(b.heartbeat(&presence(Duration::ZERO)).await.unwrap().live, 2);
    assert_eq!(c.heartbeat(&presence(EVER)).await.unwrap().live, 2, "b has died at once");
}

#[tokio::test]
async fn a_hint_arrives_when_another_instance_moves_a_breaker() {
    let store = Store::new(Kind::Postgres).await;
    let (mover, listener) = (store.open("a").state, store.open("b").state);
    let mut hints = listener.subscribe().await.unwrap().expect("nothing is in between");
    for epoch in [0, 1] {
        let heard = match epoch {
            0 => trip(&*mover, epoch, OPENING).await,
            _ => close(&*mover, epoch).await,
        };
        let hint = tokio::time::timeout(Duration::from_secs(5), hints.recv()).await;
        assert_eq!(hint.expect("it arrives"), Some(()));
        let seen = listener.breakers(EVER).await.unwrap();
        assert_eq!(seen[0].row.state, heard.row.unwrap().row.state);
    }
}

#[tokio::test]
async fn a_store_with_one_user_gives_no_hints() {
    let store = Store::new(Kind::Sqlite).await;
    let state = store.open("a").state;
    assert!(state.subscribe().await.unwrap().is_none());
    assert_eq!(state.heartbeat(&presence(EVER)).await.unwrap().live, 1);
}

#[tokio::test]
async fn the_last_order_is_in_force_until_it_ends_or_is_lifted() {
    for store in Store::both().await {
        let state = store.open("a").state;
        let order = |mode, ttl| Decree { ttl, length: ttl, ..fixture::order(mode) };
        let in_force = || async {
            let breakers = store.open("b").state.breakers(EVER).await.unwrap();
            breakers.into_iter().next().and_then(|stored| stored.order)
        };
        state.decree(&order(Some(Mode::ForcedOpen), None)).await.unwrap();
        let found = in_force().await.unwrap();
        assert_eq!((found.mode, found.left), (Mode::ForcedOpen, None));
        assert_eq!((&*found.by, &*found.reason), ("ann", "the ledger's move"));
        state.decree(&order(Some(Mode::Disabled), Some(EVER))).await.unwrap();
        let found = in_force().await.unwrap();
        assert_eq!(found.mode, Mode::Disabled);
        assert!(found.left.unwrap() > EVER / 2 && found.left.unwrap() <= EVER);
        state.decree(&order(Some(Mode::Shadow), Some(Duration::ZERO))).await.unwrap();
        assert_eq!(in_force().await, None, "it is over");
        state.decree(&order(Some(Mode::ForcedOpen), None)).await.unwrap();
        state.decree(&order(None, None)).await.unwrap();
        assert_eq!(in_force().await, None, "it is lifted");
        let events = state.events("payments", 10).await.unwrap();
        assert_eq!(events.len(), 5);
        assert_eq!((events[0].cause, events[0].epoch), (Cause::Override, 0));
        assert_eq!(events[4].detail["by"], json!("ann"));
        // The automatic state is untouched: it begins as ever, and an order that is over is in
        // nobody's way.
        state.decree(&order(Some(Mode::Disabled), Some(Duration::ZERO))).await.unwrap();
        assert!(trip(&*state, 0, OPENING).await.is_done);
        assert!(close(&*state, 1).await.is_done);
    }
}

/// How many orders there have been, and which is in force.
async fn ordered(store: &Store) -> (u64, Option<Mode>) {
    let breakers = store.open("reader").state.breakers(EVER).await.expect("it answers");
    let stored = breakers.into_iter().next().expect("it is listed");
    (stored.orders, stored.order.map(|order| order.mode))
}

#[tokio::test]
async fn orders_are_numbered_however_they_are_given() {
    let store = Store::new(Kind::Postgres).await;
    store.psql(
        "insert into circuit_breaker_state (namespace, key, upstream, epoch, state, cause, changed_by,
            changed_at, override, override_by, override_reason)
        values ('test', 'payments', 'pay', 0, 'closed', 'override', 'ann', 'epoch',
            'forced_open', 'ann', 'the ledger moves')",
    );
    assert_eq!(ordered(&store).await, (1, Some(Mode::ForcedOpen)));
    store.psql(
        "update circuit_breaker_state set override = 'disabled', override_until = 'infinity'",
    );
    assert_eq!(ordered(&store).await, (2, Some(Mode::Disabled)));
    store.psql("update circuit_breaker_state set override = 'disabled', epoch = 1");
    store.psql("update circuit_breaker_state set override = null, changed_at = 'epoch'");
    let soon = store.open("reader").state.breakers(Duration::from_secs(60)).await.unwrap();
    assert_eq!(soon.len(), 1, "whoever looks next is shown that it is lifted");
    assert_eq!(ordered(&store).await, (3, None));
}

#[tokio::test]
async fn an_order_that_was_forgotten_yields_to_all_that_are_known() {
    let store = Store::new(Kind::Postgres).await;
    let state = store.open("a").state;
    let order = |mode, number| Decree {
        forgotten: Some(Forgotten { number, until_us: None }),
        ..fixture::order(mode)
    };
    state.decree(&order(Some(Mode::ForcedOpen), 4)).await.unwrap();
    assert_eq!(ordered(&store).await, (4, Some(Mode::ForcedOpen)));
    for number in [3, 4] {
        state.decree(&order(None, number)).await.unwrap();
        assert_eq!(ordered(&store).await, (4, Some(Mode::ForcedOpen)), "it is known already");
    }
    state.decree(&order(None, 6)).await.unwrap();
    assert_eq!(ordered(&store).await, (6, None));
    assert_eq!(
        state.events("payments", 9).await.unwrap().len(),
        2,
        "what does nothing leaves none"
    );
    let new = |mode, known| Decree { known, forgotten: None, ..order(mode, 0) };
    state.decree(&new(Some(Mode::Disabled), 2)).await.unwrap();
    assert_eq!(ordered(&store).await, (7, Some(Mode::Disabled)));
    state.decree(&new(None, 20)).await.unwrap();
    assert_eq!(ordered(&store).await, (21, None), "after all that its giver knows of");
}
