//! The real store through PgBouncer in transaction mode, where each transaction may get another
//! connection of the server.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use fusebox::{
    domain::{breaker::State, learn::rollup::deltas},
    store::{Error, HistoryStore, Kind, RollupQuery, StateStore, Stores, TaskQuery, open},
};

use crate::{
    fixture::{OPENING, Store, call, database, failed_call, first_step, identity, put_at, trip},
    pooler::Pooler,
    postgres::Server,
};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

const INSTANCES: usize = 6;
const BATCHES: usize = 8;

/// Opens the store through the pooler, as an instance of this name.
fn through(pooler: &Pooler, store: &Store, instance: &str) -> Stores {
    let url = pooler.url(store.database.url.as_ref().expect("it is Postgres").expose());
    open(&database(Some(url)), store.data_dir(), identity("test", instance)).expect("it opens")
}

#[tokio::test]
async fn history_is_written_read_and_kept_up_through_a_pooler() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::of(Server::shared());
    let instances: Vec<Stores> =
        (0..INSTANCES).map(|n| through(&pooler, &store, &format!("instance-{n}"))).collect();
    // All at once, so that they take the server's two connections from each other all the time.
    let busy = instances.iter().map(|stores| busy(&*stores.history));
    futures_util::future::join_all(busy).await;

    let history = &*instances[0].history;
    let page = TaskQuery { limit: 500, ..TaskQuery::default() };
    assert_eq!(history.tasks(&page).await.unwrap().len(), INSTANCES * BATCHES * 2);
    let calls = (INSTANCES * BATCHES) as u64;
    for _ in 0..2 {
        let totals = history.totals(&RollupQuery::default()).await.unwrap();
        assert_eq!(totals.iter().map(|(_, sum)| sum.count).sum::<u64>(), calls * 4);
        assert_eq!(totals.iter().map(|(_, sum)| sum.stored).sum::<u64>(), calls * 2);
        history.maintain(DAYS).await.unwrap();
    }
    let left = "select string_agg(distinct resolution, ' ') from task_rollup";
    assert_eq!(store.psql(left), "minute", "upkeep has merged them");
}

async fn busy(history: &dyn HistoryStore) {
    history.maintain(DAYS).await.expect("upkeep");
    for _ in 0..BATCHES {
        let (step, rows) = (first_step(), [call(600), failed_call(900)]);
        let deltas = deltas("orders", &rows, &rows);
        put_at(history, step, &rows, &deltas).await.expect("written");
        let again = put_at(history, step, &rows, &deltas).await;
        assert!(matches!(again, Err(Error::CursorMoved)), "{again:?}");
        let one = TaskQuery { id: Some(rows[1].id), limit: 2, ..TaskQuery::default() };
        assert_eq!(history.tasks(&one).await.expect("rows").len(), 1);
    }
}

#[tokio::test]
async fn breakers_are_shared_through_a_pooler_and_hints_are_not_relied_on() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::of(Server::shared());
    let [a, b] = ["a", "b"].map(|name| through(&pooler, &store, name).state);
    trip(&*a, 0, OPENING).await;
    let seen = b.breakers(Duration::from_secs(60)).await.unwrap();
    assert_eq!(seen[0].row.state, State::Open);
    assert!(b.subscribe().await.unwrap().is_none(), "the pooler swallows notifications");
}

#[tokio::test]
async fn breakers_are_read_while_it_is_tested_whether_hints_come_through() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::of(Server::shared());
    let state = through(&pooler, &store, "a").state;
    let reads = AtomicUsize::new(0);
    let looks = async {
        loop {
            state.breakers(Duration::from_secs(60)).await.expect("they are read");
            reads.fetch_add(1, Relaxed);
        }
    };
    tokio::select! {
        hints = state.subscribe() => assert!(hints.expect("it is asked").is_none()),
        never = looks => never,
    }
    // The test takes a second, in which a look that need not wait takes some milliseconds.
    let reads = reads.load(Relaxed);
    assert!(reads > 20, "{reads} looks");
}

#[tokio::test]
async fn words_that_the_pooler_hands_on_by_chance_are_not_taken_for_hints() {
    /// Chance needs many.
    const MANY: usize = 24;
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::of(Server::shared());
    let subscriptions = (0..MANY).map(async |n| {
        let state = through(&pooler, &store, &format!("instance-{n}")).state;
        tokio::select! {
            hints = state.subscribe() => hints.expect("it is asked").is_some(),
            never = ask_on(&*state) => never,
        }
    });
    let subscriptions = futures_util::future::join_all(subscriptions).await;
    assert_eq!(subscriptions, [false; MANY]);
}

/// Uses the connection all the time, so that the server has one for it when a word comes.
async fn ask_on(state: &dyn StateStore) -> bool {
    loop {
        state.breakers(Duration::from_secs(60)).await.expect("it is read");
    }
}
