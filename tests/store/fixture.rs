//! Stores to try, and records to put into them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use fusebox::{
    clock,
    config::{Database, Secret},
    domain::{
        breaker::{Cause, Mode, State},
        correlation::{CorrelationId, TraceId},
        fleet::word::{Opening, Vote, Word},
        learn::rollup::{Rollup, RollupKey},
        outcome::{Outcome, Reason, Verdict},
        quorum::Quorum,
        task::{Attempt, CallRecord, CallSite, TaskId},
    },
    store::{
        Advance, Batch, Decree, Error, Heard, HistoryStore, Identity, Kind, Presence, Said,
        StateStore, Stores, migrate, open,
    },
};
use http::Method;

use crate::postgres::Server;

/// One store, empty and up to date, that several instances may open.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    pub(crate) database: Database,
    directory: Directory,
}

impl Store {
    pub(crate) async fn new(kind: Kind) -> Self {
        let url = (kind == Kind::Postgres).then(|| Server::shared().database());
        let store = Self { kind, database: database(url), directory: Directory::new() };
        migrate::up(&store.database, store.data_dir()).await.expect("the tables are made");
        store
    }

    /// One of each kind.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::new(Kind::Postgres).await, Self::new(Kind::Sqlite).await]
    }

    /// Opens it as the instance of this name.
    pub(crate) fn open(&self, instance: &str) -> Stores {
        self.open_in("test", instance)
    }

    /// Opens it as an instance of another namespace.
    pub(crate) fn open_in(&self, namespace: &str, instance: &str) -> Stores {
        open(&self.database, self.data_dir(), identity(namespace, instance)).expect("it opens")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.directory.0
    }

    /// Asks the server something about this database, past the store.
    pub(crate) fn psql(&self, statement: &str) -> String {
        let url = self.database.url.as_ref().expect("it is Postgres").expose();
        let name = url.rsplit('/').next().and_then(|name| name.split('?').next());
        Server::shared().psql(name.expect("the URL names it"), &["-c", statement])
    }
}

/// A directory of its own, removed at the end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("fusebox-store-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name).join("data"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(parent) = self.0.parent() {
            fs::remove_dir_all(parent).ok();
        }
    }
}

pub(crate) fn database(url: Option<String>) -> Database {
    Database {
        url: url.map(Secret::new),
        schema: "public".into(),
        migrate: true,
        aws: Arc::default(),
    }
}

pub(crate) fn identity(namespace: &str, instance: &str) -> Identity {
    Identity {
        namespace: namespace.into(),
        service: "orders".into(),
        version: "1.2.3".into(),
        instance: instance.into(),
        journal_id: "journal".into(),
        display_name: "host".into(),
        host: "host".into(),
        zone: None,
        found: Arc::default(),
    }
}

/// A word about the breaker `payments`.
pub(crate) fn said(epoch: u64, word: Word) -> Said {
    Said {
        key: "payments".into(),
        upstream: "pay".into(),
        epoch,
        word,
        signature: None,
        window_calls: 20,
        window_failures: 9,
        task_ids: vec![TaskId::mint(1_700_000_000_000_000, 1)],
    }
}

/// What somebody orders for the fleet; none lifts it.
pub(crate) fn order(mode: Option<Mode>) -> Decree {
    Decree {
        key: "payments".into(),
        upstream: "pay".into(),
        mode,
        by: "ann".into(),
        reason: "the ledger's move".into(),
        ttl: None,
        length: None,
        known: 0,
        is_reset: false,
        forgotten: None,
    }
}

/// How it opens.
pub(crate) const OPENING: Opening = Opening {
    open_for: std::time::Duration::from_secs(60),
    step: 2,
    failure_count: 5,
    cause: Cause::ConsecutiveFailures,
    by_connection: true,
};

/// An instance that calls it and lives for so long.
pub(crate) fn presence(ttl: std::time::Duration) -> Presence {
    Presence { ttl, keys: vec!["payments".into()], rules: vec!["77ba481e".into()], ballot: 7 }
}

/// Opens it by the vote of one for a while; what the last word came to.
pub(crate) async fn trip(state: &dyn StateStore, epoch: u64, opening: Opening) -> Heard {
    let within = std::time::Duration::from_secs(60);
    state.say(&said(epoch, Word::Suspect { within, opening })).await.expect("it answers");
    state.say(&said(epoch, Word::Vote(Vote::Bad))).await.expect("it answers");
    let quorum = Quorum::Majority;
    state.say(&said(epoch, Word::Trip { quorum })).await.expect("it answers")
}

/// Closes it, as a prober whose probes succeed.
pub(crate) async fn close(state: &dyn StateStore, epoch: u64) -> Heard {
    let lease = fastrand::u128(..);
    let ttl = std::time::Duration::from_secs(10);
    let word = Word::Acquire { lease, ttl, is_early: true };
    state.say(&said(epoch, word)).await.expect("it answers");
    let ramp = std::time::Duration::ZERO;
    state.say(&said(epoch + 1, Word::Pass { lease, ramp })).await.expect("it answers")
}

/// The first step of a cursor that nobody else moves.
pub(crate) fn first_step() -> Advance {
    static LAST: AtomicU32 = AtomicU32::new(0);
    Advance { worker: LAST.fetch_add(1, Ordering::Relaxed), from: 0, to: 1 }
}

/// Writes a batch, with a cursor of its own.
pub(crate) async fn put(
    history: &dyn HistoryStore,
    rows: &[CallRecord],
    deltas: &[(RollupKey, Rollup)],
) -> Result<(), Error> {
    put_at(history, first_step(), rows, deltas).await
}

/// Writes a batch that moves a cursor.
pub(crate) async fn put_at(
    history: &dyn HistoryStore,
    advance: Advance,
    rows: &[CallRecord],
    deltas: &[(RollupKey, Rollup)],
) -> Result<(), Error> {
    let origin = identity("test", "me").origin();
    let advances = [advance];
    let batch =
        Batch { journal_id: "the o'journal", origin: &origin, advances: &advances, rows, deltas };
    history.write(&batch).await
}

/// A successful call that began `ago_s` seconds ago.
pub(crate) fn call(ago_s: i64) -> CallRecord {
    let started_at_us = clock::wall_us() - ago_s * 1_000_000;
    CallRecord {
        id: TaskId::mint(started_at_us, fastrand::u128(..)),
        started_at_us,
        correlation_id: CorrelationId::keep(b"req-1").expect("it is valid"),
        trace_id: TraceId::from_u128(0xabc),
        parent_id: None,
        site: Arc::new(site("pay", "charge")),
        endpoint: Some("pay-1:80".into()),
        method: Method::GET,
        status: Some(200),
        grpc_status: None,
        outcome: Outcome::Success,
        reason: None,
        attempts: [attempt("pay-1:80", None)].into_iter().collect(),
        breaker_state: State::Closed,
        duration_us: 1_500,
        upstream_us: Some(1_200),
        first_byte_us: Some(1_000),
        deadline_ms: Some(60_000),
        request_bytes: 10,
        response_bytes: 2_000,
        captured: None,
        weight: 1,
    }
}

/// A call that failed twice, so that every column that can be filled is.
pub(crate) fn failed_call(ago_s: i64) -> CallRecord {
    CallRecord {
        parent_id: Some(TaskId::from_u128(0x77)),
        status: Some(503),
        grpc_status: Some(14),
        outcome: Outcome::Failure,
        reason: Some(Reason::Http503),
        attempts: [
            attempt("pay-1:80", Some(Reason::ConnectRefused)),
            attempt("pay-2:80", Some(Reason::Http503)),
        ]
        .into_iter()
        .collect(),
        breaker_state: State::Ramping,
        weight: 3,
        ..call(ago_s)
    }
}

pub(crate) fn site(upstream: &str, action: &str) -> CallSite {
    CallSite {
        listener: "egress".into(),
        route: "r1".into(),
        upstream: upstream.into(),
        domain: "billing".into(),
        action: action.into(),
        path: "/charge".into(),
    }
}

fn attempt(endpoint: &str, reason: Option<Reason>) -> Attempt {
    let verdict = reason.map_or(Verdict::Success, Reason::verdict);
    Attempt { instead: None, endpoint: endpoint.into(), verdict, reason, duration_us: 900 }
}
