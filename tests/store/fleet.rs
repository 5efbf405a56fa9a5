//! Thirty sidecars without their proxies, behind a pooler: what `cargo bench --bench sidecars`
//! measures, small enough for every run of the tests.

use std::{sync::Arc, time::Duration};

use fusebox::{
    domain::breaker::{Policy, State},
    store::{Kind, StateStore, open},
};

use crate::{
    counts::{Counted, Counts},
    fixture::{Store, database, identity},
    local::wait_until,
    pooler::Pooler,
    postgres::Server,
    sidecar::Sidecar,
};

const SIDECARS: u64 = 30;
/// So many failures in a row open a circuit.
const FAILURES: usize = 5;
/// How long anything may take: some polls, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(30);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_until(what, LIMIT, || is_so().then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_sidecars_behind_a_pooler_open_once_and_write_once_each() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::of(Server::shared());
    let url = pooler.url(store.database.url.as_ref().expect("it is Postgres").expose());
    let counts = Arc::new(Counts::default());
    let mut sidecars = Vec::new();
    for number in 0..SIDECARS {
        let identity = identity("test", &format!("sidecar-{number}"));
        let real =
            open(&database(Some(url.clone())), store.data_dir(), identity).expect("it opens");
        let counted = Counted { store: real.state, counts: Arc::clone(&counts) };
        let counted: Arc<dyn StateStore> = Arc::new(counted);
        sidecars.push(Sidecar::start(counted, &Policy::default()).await);
    }
    until("all have said that they live", || counts.asked().beats >= SIDECARS);
    let alive = "select count(*) from sidecar_instance where alive_until > now()";
    until("the heart of each was heard", || store.psql(alive) == SIDECARS.to_string());

    let before = counts.asked();
    for sidecar in &sidecars {
        let passed = (0..FAILURES).filter(|_| sidecar.call(false)).count();
        assert_eq!(passed, FAILURES);
        assert_eq!(sidecar.see().state, State::Open, "it protects itself at once");
    }
    until("all know that it is open", || sidecars.iter().all(|one| one.see().epoch == 1));

    assert!(sidecars.iter().all(|sidecar| sidecar.see().state == State::Open));
    assert_eq!(store.psql("select count(*), max(epoch) from circuit_breaker_event"), "1|1");
    let asked = counts.asked().since(&before);
    let [doubts, votes, trips, probes, closes, others] = asked.done;
    assert_eq!((trips, probes, closes, others), (1, 0, 0, 0), "{asked:?}");
    // One round, unless the machine is too busy for enough to answer before its time is over.
    assert!((1..=3).contains(&doubts), "{asked:?}");
    assert!(votes <= doubts * SIDECARS, "each votes once a round at most: {asked:?}");
    assert!(asked.words() <= 3 * doubts * SIDECARS, "doubts, votes and counts: {asked:?}");
    for sidecar in sidecars {
        sidecar.stop().await;
    }
}
