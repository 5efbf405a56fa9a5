//! A few connections for reads that exist only while somebody asks.
//!
//! Every statement has its time limit on the server too, should this process stand still. It is set
//! within a transaction: a pooler in transaction mode would carry a setting of the session over to
//! others and refuses one at the start.

use std::{pin::pin, time::Duration};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::{
    TryStreamExt,
    future::{BoxFuture, join},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Row};

use super::{connection::Connector, state::Param};
use crate::store::Error;

/// A few connections for reads.
pub(super) struct Pool {
    connector: Connector,
    connections: deadpool_postgres::Pool,
}

impl Pool {
    /// A pool that is empty.
    pub(super) fn new(connector: Connector) -> Result<Self, Error> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let dial = Dial(connector.clone());
        let manager = Manager::from_connect(connector.config().clone(), dial, recycling);
        let timeouts = Timeouts {
            wait: Some(READ_LIMIT),
            create: Some(READ_LIMIT),
            recycle: Some(READ_LIMIT),
        };
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(MAX_READERS)
            .timeouts(timeouts)
            // The one that was used last goes first: taken in turn, none would ever be idle for long.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Refused(error.into()))?;
        Ok(Self { connector, connections: pool })
    }

    /// The settings of its connections.
    pub(super) fn config(&self) -> &Config {
        self.connector.config()
    }

    /// Runs a statement.
    pub(super) async fn query(
        &self,
        statement: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.query_within(READ_LIMIT, statement, params).await
    }

    /// Runs a statement for `limit` at most; then the server is told to stop.
    pub(super) async fn query_within(
        &self,
        limit: Duration,
        statement: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.for_each_within(limit, statement, params, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// Runs a statement as [`Pool::query`] does, and takes in each row as it comes.
    pub(super) async fn for_each(
        &self,
        statement: &str,
        params: &[Param<'_>],
        take: impl FnMut(Row) + Send,
    ) -> Result<(), Error> {
        self.for_each_within(READ_LIMIT, statement, params, take).await
    }

    /// Runs a statement as [`Pool::query_within`] does, and takes in each row as it comes.
    pub(super) async fn for_each_within(
        &self,
        limit: Duration,
        statement: &str,
        params: &[Param<'_>],
        take: impl FnMut(Row) + Send,
    ) -> Result<(), Error> {
        let mut loan = Loan { connector: &self.connector, connection: None };
        let connection = loan.connection.insert(self.connections.get().await?);
        let reading = transact(connection, limit, statement, params, take);
        let result = timeout(limit, reading).await.map_err(|_| Error::too_slow())?;
        drop(loan.connection.take());
        Ok(result?)
    }

    /// Closes what nobody has used for a while.
    pub(super) fn close_idle(&self) {
        self.connections.retain(|_, metrics| metrics.last_used() < IDLE);
    }
}

/// Runs a statement in a transaction of its own that knows its time limit. All that is sent goes out
/// at once, so that this costs no more round trips than the statement alone.
async fn transact(
    db: &Client,
    limit: Duration,
    statement: &str,
    params: &[Param<'_>],
    mut take: impl FnMut(Row) + Send,
) -> Result<(), tokio_postgres::Error> {
    // Compiling a statement and starting helpers for it take longer than the answers, which are made
    // by indexes; and nobody's question shall take more than one core from the writers.
    let begin = format!(
        "begin; set local statement_timeout = {};
        set local jit = off; set local max_parallel_workers_per_gather = 0",
        limit.as_millis()
    );
    let params = params.iter().map(|(value, kind)| (*value, kind.clone()));
    let reading = async {
        let (begun, rows) =
            join(db.batch_execute(&begin), db.query_typed_raw(statement, params)).await;
        begun?;
        let mut rows = pin!(rows?);
        while let Some(row) = rows.try_next().await? {
            take(row);
        }
        Ok(())
    };
    // Sent before the rows are there. After an error it is a rollback, so that it is sent always.
    let (read, committed) = join(reading, db.batch_execute("commit")).await;
    read.and(committed)
}

/// A connection in use. Taken out of here it goes back to the pool. Dropped here, its user gave up:
/// the server is told to stop and the connection is closed, so that the next statement does not wait
/// behind this one.
struct Loan<'a> {
    connector: &'a Connector,
    connection: Option<Object>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.connector.cancel(&connection);
            drop(Object::take(connection));
        }
    }
}

/// Makes the pool's connections as all others are made.
struct Dial(Connector);

impl deadpool_postgres::Connect for Dial {
    fn connect(
        &self,
        _config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async { Ok(self.0.connect_pooled().await?.into_parts()) })
    }
}

/// Connections for reads at most.
const MAX_READERS: usize = 4;
/// How long a read may take, and how long it may wait for a connection.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection for reads stays without being used.
const IDLE: Duration = Duration::from_secs(60);
