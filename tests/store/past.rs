//! Reading history from its beginning, page by page.

use std::time::Duration;

use std::collections::BTreeSet;

use fusebox::{
    domain::{
        outcome::{Reason, Verdict},
        replay::{Call, Span},
        task::{CallRecord, TaskId},
    },
    store::{Batch, Kind, PastQuery, Said, Stores, past},
};

use crate::fixture::{Store, call, failed_call, first_step, identity, put, site};

/// Everything, in pages of so many rows; each but the last is full.
async fn all(store: &Store, limit: u32, upstream: Option<&str>) -> Vec<Call> {
    let past =
        past(&store.database, store.data_dir(), identity("test", "reader")).expect("it opens");
    let span = Span { from_us: 0, to_us: fusebox::clock::wall_us() };
    let upstream = upstream.map(str::to_owned);
    let mut query = PastQuery { span, upstream, after: None, limit };
    let mut calls = Vec::new();
    loop {
        let page = past.calls(&query).await.expect("the store answers");
        assert_eq!(page.unread, 0);
        calls.extend(page.calls);
        if page.last.is_none() {
            return calls;
        }
        query.after = page.last;
    }
}

async fn fill(stores: &Stores, rows: &[CallRecord]) {
    stores.history.maintain(Duration::from_secs(14 * 86_400)).await.expect("the store answers");
    put(&*stores.history, rows, &[]).await.expect("the store answers");
}

#[tokio::test]
async fn pages_hold_every_call_once_in_the_order_in_which_they_began() {
    for store in Store::both().await {
        let mut rows: Vec<CallRecord> = (0..25).map(|at| call(100 + at / 3)).collect();
        // Several that began at once.
        for at in 1..25 {
            if at % 3 > 0 {
                rows[at].started_at_us = rows[at - 1].started_at_us;
            }
        }
        fill(&store.open("me"), &rows).await;
        for limit in [1, 4, 5, 24, 25, 26, 100] {
            let calls = all(&store, limit, None).await;
            assert_eq!(calls.len(), 25, "{limit} of {:?}", store.kind);
            assert!(calls.is_sorted_by_key(|call| (call.started_at_us, call.id)));
            let ids: BTreeSet<_> = calls.iter().map(|call| call.id).collect();
            assert_eq!(ids, rows.iter().map(|row| row.id).collect());
        }
    }
}

#[tokio::test]
async fn a_call_is_read_with_all_that_matters_to_a_circuit() {
    for store in Store::both().await {
        let row = failed_call(60);
        fill(&store.open("me"), std::slice::from_ref(&row)).await;
        let calls = all(&store, 10, None).await;
        let [call] = &*calls else { panic!("{calls:?}") };
        assert_eq!((call.id, call.started_at_us), (row.id, row.started_at_us));
        assert_eq!((&*call.instance, &*call.upstream, &*call.route), ("me", "pay", "r1"));
        assert!(call.is_idempotent && !call.is_check);
        assert_eq!((call.outcome, call.reason), (row.outcome, row.reason));
        assert_eq!((call.status, call.grpc_status, call.weight), (Some(503), Some(14), 3));
        assert_eq!((call.duration_us, call.first_byte_us), (1_500, Some(1_000)));
        assert_eq!((call.upstream_us, call.attempts), (Some(1_200), 2));
        let log = call.log.iter().map(|it| (&*it.upstream, it.verdict, it.reason, it.duration_us));
        let reasons = [Some(Reason::ConnectRefused), Some(Reason::Http503)];
        let expected = reasons.map(|reason| ("pay", Verdict::Failure, reason, 900));
        assert_eq!(log.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn an_upstream_is_read_alone_and_other_namespaces_never() {
    for store in Store::both().await {
        let music = CallRecord { site: site("music", "play").into(), ..call(50) };
        fill(&store.open("me"), &[call(60), music]).await;
        let origin = identity("elsewhere", "other").origin();
        let batch = Batch {
            journal_id: "elsewhere",
            origin: &origin,
            advances: &[first_step()],
            rows: &[call(55)],
            deltas: &[],
        };
        store.open_in("elsewhere", "other").history.write(&batch).await.unwrap();
        let names = |calls: Vec<Call>| -> Vec<String> {
            calls.iter().map(|call| call.upstream.to_string()).collect()
        };
        assert_eq!(names(all(&store, 10, None).await), ["pay", "music"]);
        assert_eq!(names(all(&store, 10, Some("music")).await), ["music"]);
    }
}

#[tokio::test]
async fn openings_are_read_with_their_cause_and_calls_and_what_opens_nothing_new_is_not() {
    use crate::fixture::{OPENING, order, said, trip};
    use fusebox::domain::{
        breaker::{Cause, Mode},
        fleet::word::{Opening, Vote, Word},
        quorum::Quorum,
    };
    for store in Store::both().await {
        let stores = store.open("me");
        let opening = Opening { open_for: Duration::ZERO, cause: Cause::FailureRate, ..OPENING };
        trip(&*stores.state, 0, opening).await;
        let (lease, ttl) = (7, Duration::from_secs(60));
        let acquire = Word::Acquire { lease, ttl, is_early: false };
        // It failed again, nobody knows whether it would have, and a person speaks: no opening.
        let tries = [
            (1, acquire.clone()),
            (2, Word::Fail { lease, opening }),
            (3, acquire),
            (4, Word::Release { lease }),
        ];
        for (epoch, word) in tries {
            assert!(stores.state.say(&said(epoch, word)).await.unwrap().is_done);
        }
        stores.state.decree(&order(Some(Mode::ForcedOpen))).await.unwrap();
        let suspect = Word::Suspect { within: ttl, opening: OPENING };
        let trip = Word::Trip { quorum: Quorum::Majority };
        for (id, word) in [(4, suspect), (5, Word::Vote(Vote::Bad)), (6, trip)] {
            let (key, upstream) = ("payments/charges".into(), "pay/charges".into());
            let task_ids = vec![TaskId::from_u128(id)];
            let of_route = Said { key, upstream, task_ids, ..said(0, word) };
            assert!(stores.state.say(&of_route).await.unwrap().is_done);
        }
        let past = past(&store.database, store.data_dir(), identity("test", "reader")).unwrap();
        let span = Span { from_us: 0, to_us: fusebox::clock::wall_us() + 60_000_000 };
        let counts =
            [(None, 2), (Some("pay"), 2), (Some("pa"), 0), (Some("charges"), 0), (Some("p%"), 0)];
        for (upstream, count) in counts {
            assert_eq!(past.openings(span, upstream).await.unwrap().len(), count, "{upstream:?}");
        }
        let openings = past.openings(span, None).await.unwrap();
        // Those of who asked and of who counted, which are one in a store with one user.
        let ids: &[u128] = if store.kind == Kind::Postgres { &[4, 6] } else { &[6] };
        assert!(openings[1].calls.iter().copied().eq(ids.iter().copied().map(TaskId::from_u128)));
        let opening = &openings[0];
        assert_eq!((&*opening.upstream, &*opening.cause), ("pay", "failure_rate"));
        assert_eq!(opening.instance, "me");
        assert_eq!(opening.calls, [TaskId::mint(1_700_000_000_000_000, 1)]);
    }
}
