//! The database that all sidecars share: a careful server, and a pooler with a few connections.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox::{
    config::{Database, Secret},
    store::{Identity, StateStore, migrate, open},
};
use tokio_postgres::{Client, NoTls};

use crate::{
    Result,
    counts::{Counted, Counts},
    pooler::Pooler,
    postgres::Server,
    processes::{cpu_of_family, parent},
};

/// Connections that the pooler has for all.
const CONNECTIONS: u32 = 8;

/// As a server that people rely on: every commit is synced to disk.
const CAREFUL: [&str; 3] = [
    "alter system set fsync = on",
    "alter system set full_page_writes = on",
    "select pg_reload_conf()",
];

/// See the module's text.
pub(crate) struct Lab {
    /// Past the pooler.
    client: Client,
    /// The server's first process.
    postmaster: u32,
    direct: String,
    pooled: String,
    pub(crate) counts: Arc<Counts>,
    _pooler: Pooler,
    _server: Server,
}

/// What the server has done so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Of all its processes.
    pub(crate) cpu: Duration,
    pub(crate) wal_bytes: i64,
    /// Rows inserted, updated and deleted in the tables of breakers, and in that of instances.
    pub(crate) rows: i64,
    pub(crate) beats: i64,
    /// Of the latter, those that no index had to know of.
    pub(crate) hot_beats: i64,
}

const DONE: &str = "
    select (select wal_bytes from pg_stat_wal)::bigint,
        coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) filter (where relname like 'circuit%'), 0)
            ::bigint,
        coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) filter (where relname = 'sidecar_instance'), 0)
            ::bigint,
        coalesce(sum(n_tup_hot_upd) filter (where relname = 'sidecar_instance'), 0)::bigint
    from pg_stat_user_tables";

impl Lab {
    pub(crate) async fn open() -> Result<Self> {
        let server = Server::start();
        CAREFUL.iter().for_each(|order| drop(server.psql("postgres", &["-c", order])));
        let direct = server.database();
        migrate::up(&database(&direct), &nowhere()).await?;
        let (client, connection) = tokio_postgres::connect(&direct, NoTls).await?;
        tokio::spawn(connection);
        let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        let postmaster = parent(u32::try_from(backend)?).ok_or("the server has no parent")?;
        let pooler = Pooler::with(CONNECTIONS, &server);
        let pooled = pooler.url(&direct);
        let counts = Arc::default();
        Ok(Self { client, postmaster, direct, pooled, counts, _pooler: pooler, _server: server })
    }

    /// The store as a sidecar of this number has it, through the pooler.
    pub(crate) fn store(&self, number: usize) -> Result<Arc<dyn StateStore>> {
        let store = Self::open_at(&self.pooled, number)?;
        Ok(Arc::new(Counted { store, counts: Arc::clone(&self.counts) }))
    }

    /// The same past the pooler.
    pub(crate) fn direct_store(&self, number: usize) -> Result<Arc<dyn StateStore>> {
        Self::open_at(&self.direct, number)
    }

    fn open_at(url: &str, number: usize) -> Result<Arc<dyn StateStore>> {
        let name = format!("sidecar-{number:05}-0123456789abcdef0123");
        let identity = Identity {
            namespace: "production".into(),
            service: format!("service-{:03}", number % 200),
            version: "1.2.3".into(),
            instance: name.clone(),
            journal_id: name,
            display_name: format!("host-{number:05}"),
            host: format!("host-{number:05}"),
            zone: Some(format!("zone-{}", number % 3)),
            found: Arc::default(),
        };
        Ok(open(&database(url), &nowhere(), identity)?.state)
    }

    /// What the server has done so far. Its processes tell of rows a second later.
    pub(crate) async fn done(&self) -> Result<Done> {
        let row = self.client.query_one(DONE, &[]).await?;
        Ok(Done {
            cpu: cpu_of_family(self.postmaster),
            wal_bytes: row.get(0),
            rows: row.get(1),
            beats: row.get(2),
            hot_beats: row.get(3),
        })
    }

    /// Asks for one number.
    pub(crate) async fn number(&self, statement: &str) -> Result<i64> {
        Ok(self.client.query_one(statement, &[]).await?.get(0))
    }

    /// From here on pages need not be written in full.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        Ok(self.client.batch_execute("checkpoint").await?)
    }
}

impl Done {
    /// What was done after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            wal_bytes: self.wal_bytes - before.wal_bytes,
            rows: self.rows - before.rows,
            beats: self.beats - before.beats,
            hot_beats: self.hot_beats - before.hot_beats,
        }
    }
}

fn database(url: &str) -> Database {
    Database {
        url: Some(Secret::new(url.to_owned())),
        schema: "public".into(),
        migrate: true,
        aws: Arc::default(),
    }
}

/// Where the embedded store would be.
fn nowhere() -> PathBuf {
    PathBuf::from("/nonexistent")
}
