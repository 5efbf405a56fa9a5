//! Where Fusebox's rows arrive: a Postgres on the load's core, and the count of what is committed.

use std::{error::Error, time::Duration};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::{local::wait_until, postgres::Server};

/// How long the last row may take after the last call.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// A server, a database and a connection to it.
pub(crate) struct Rows {
    _server: Server,
    url: String,
    runtime: Runtime,
    client: Client,
}

impl Rows {
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        let server = Server::start();
        let url = server.database();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        })?;
        Ok(Self { _server: server, url, runtime, client })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the tables are there: Fusebox takes calls before it has made them.
    pub(crate) fn wait_for_tables(&self) {
        wait_until("the tables are there", DRAIN_LIMIT, || self.committed().ok());
    }

    /// How many calls the committed rows stand for.
    pub(crate) fn committed(&self) -> Result<u64, Box<dyn Error>> {
        const COUNT: &str = "select coalesce(sum(weight), 0)::bigint from task_history";
        let row = self.runtime.block_on(self.client.query_one(COUNT, &[]))?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
    }

    /// Waits until at least so many calls are committed and no more come.
    ///
    /// More may come: wrk leaves without waiting for what it sent last.
    pub(crate) fn settle(&self, at_least: u64) {
        const QUIET: Duration = Duration::from_secs(1);
        let mut last = (u64::MAX, fusebox::clock::now());
        wait_until("the last row is committed", DRAIN_LIMIT, || {
            let (committed, now) = (self.committed().unwrap_or(0), fusebox::clock::now());
            if committed != last.0 {
                last = (committed, now);
            }
            let is_quiet = now.duration_since(last.1) >= QUIET;
            (committed >= at_least && is_quiet).then_some(())
        });
    }
}
