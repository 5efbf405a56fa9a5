//! Reading history, over a few connections that exist only while somebody asks.

use std::{collections::HashMap, pin::pin, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts};
use futures_util::{TryStreamExt, future::BoxFuture};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Row, types::Type as SqlType};
use uuid::Uuid;

use super::{Postgres, connection::Connector, state::Param};
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::TaskId,
    },
    store::{
        BoxError, Error, RollupQuery, StoredTask, TaskQuery,
        rows::{TASK_COLUMNS, Type, column_list, rollup_key, rollup_of},
    },
};

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

    /// Runs a statement for `limit` at most, and takes in each row as it comes.
    async fn for_each_within(
        &self,
        limit: Duration,
        statement: &str,
        params: &[Param<'_>],
        mut take: impl FnMut(Row) + Send,
    ) -> Result<(), Error> {
        let mut loan = Loan { connector: &self.connector, connection: None };
        let connection = loan.connection.insert(self.connections.get().await?);
        let params = params.iter().map(|(value, kind)| (*value, kind.clone()));
        let reading = async {
            let mut rows = pin!(connection.query_typed_raw(statement, params).await?);
            while let Some(row) = rows.try_next().await? {
                take(row);
            }
            Ok::<_, tokio_postgres::Error>(())
        };
        let result = timeout(limit, reading).await.map_err(|_| Error::too_slow())?;
        drop(loan.connection.take());
        Ok(result?)
    }

    /// Closes what nobody has used for a while.
    pub(super) fn close_idle(&self) {
        self.connections.retain(|_, metrics| metrics.last_used() < IDLE);
    }
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
        Box::pin(async { Ok(self.0.connect_unlimited().await?.into_parts()) })
    }
}

pub(super) async fn tasks(store: &Postgres, query: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
    let columns: Vec<String> = TASK_COLUMNS.iter().map(as_read).collect();
    let statement = store.tables.name(format!(
        "select {} from @task_history
        where namespace = $1 and started_at >= $2 and started_at < $3
            and ($4::uuid is null or id = $4)
            and ($5::text is null or correlation_id = $5)
            and ($6::text is null or service = $6)
            and ($7::text is null or upstream = $7)
            and ($8::text is null or domain = $8)
            and ($9::text is null or action = $9)
            and ($10::text is null or outcome = $10)
            and ($11::text is null or failure_reason = $11)
            and ($12::int4 is null or status between $12 and $13)
            and ($14::timestamptz is null or (started_at, id) < ($14, $15::uuid))
        order by started_at desc, id desc limit $16",
        column_list(columns.iter().map(String::as_str)),
    ));
    let (from, to) = query.window();
    let (from, to) = (timestamp(from)?, timestamp(to)?);
    let id = query.id.map(uuid);
    let outcome = query.outcome.map(|outcome| outcome.as_str());
    let reason = query.reason.map(|reason| reason.as_str());
    let lowest = query.status.map(|(lowest, _)| i32::from(lowest));
    let highest = query.status.map(|(_, highest)| i32::from(highest));
    let after_at = query.after.map(|(at_us, _)| timestamp(at_us)).transpose()?;
    let after_id = query.after.map(|(_, id)| uuid(id));
    let limit = i64::from(query.limit);
    let params: [Param<'_>; 16] = [
        (&store.identity.namespace, SqlType::TEXT),
        (&from, SqlType::TIMESTAMPTZ),
        (&to, SqlType::TIMESTAMPTZ),
        (&id, SqlType::UUID),
        (&query.correlation_id, SqlType::TEXT),
        (&query.service, SqlType::TEXT),
        (&query.upstream, SqlType::TEXT),
        (&query.domain, SqlType::TEXT),
        (&query.action, SqlType::TEXT),
        (&outcome, SqlType::TEXT),
        (&reason, SqlType::TEXT),
        (&lowest, SqlType::INT4),
        (&highest, SqlType::INT4),
        (&after_at, SqlType::TIMESTAMPTZ),
        (&after_id, SqlType::UUID),
        (&limit, SqlType::INT8),
    ];
    let rows = store.reads.query(&statement, &params).await?;
    rows.iter().map(stored_task).collect::<Result<_, _>>().map_err(Error::from)
}

pub(super) async fn rollups(
    store: &Postgres,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, Error> {
    let statement = store.tables.name(
        "select (1000000 * extract(epoch from bucket))::bigint,
            service, upstream, domain, action, outcome, failure_reason,
            calls, stored, attempts, duration_us, request_bytes, response_bytes, bins, bin_calls
        from @task_rollup
        where namespace = $1 and bucket >= $2 and bucket < $3
            and ($4::text is null or service = $4)
            and ($5::text is null or upstream = $5)
            and ($6::text is null or domain = $6)
            and ($7::text is null or action = $7)",
    );
    let (from, to) = query.window();
    let (from, to) = (timestamp(from)?, timestamp(to)?);
    let params: [Param<'_>; 7] = [
        (&store.identity.namespace, SqlType::TEXT),
        (&from, SqlType::TIMESTAMPTZ),
        (&to, SqlType::TIMESTAMPTZ),
        (&query.service, SqlType::TEXT),
        (&query.upstream, SqlType::TEXT),
        (&query.domain, SqlType::TEXT),
        (&query.action, SqlType::TEXT),
    ];
    let mut sums: HashMap<RollupKey, Rollup> = HashMap::new();
    // There are many that were not merged yet, and of each key only the sum is kept.
    let add = |row: Row| {
        if let Some((key, rollup)) = stored_rollup(&row) {
            sums.entry(key).or_default().merge(&rollup);
        }
    };
    store.reads.for_each_within(READ_LIMIT, &statement, &params, add).await?;
    Ok(sums.into_iter().collect())
}

pub(super) async fn ping(store: &Postgres) -> Result<(), Error> {
    store.reads.query("select 1", &[]).await?;
    Ok(())
}

/// How a column is selected, so that it arrives as one of few types.
fn as_read((name, kind): &(&str, Type)) -> String {
    match kind {
        Type::Time => format!("(1000000 * extract(epoch from {name}))::bigint"),
        Type::Integer => format!("{name}::bigint"),
        Type::Real => format!("{name}::float8"),
        Type::Id | Type::Text | Type::Json => (*name).to_owned(),
    }
}

fn stored_task(row: &Row) -> Result<StoredTask, tokio_postgres::Error> {
    let mut columns = Vec::with_capacity(TASK_COLUMNS.len());
    for (at, &(name, kind)) in TASK_COLUMNS.iter().enumerate() {
        let value = match kind {
            Type::Time | Type::Integer => row.try_get::<_, Option<i64>>(at)?.map(Value::from),
            Type::Real => row.try_get::<_, Option<f64>>(at)?.map(Value::from),
            Type::Id => row.try_get::<_, Option<Uuid>>(at)?.map(|id| id.to_string().into()),
            Type::Text => row.try_get::<_, Option<String>>(at)?.map(Value::from),
            Type::Json => row.try_get::<_, Option<Value>>(at)?,
        };
        columns.push((name, value.unwrap_or(Value::Null)));
    }
    let id: Uuid = row.try_get(1)?;
    let id = TaskId::from_u128(id.as_u128());
    Ok(StoredTask { columns, started_at_us: row.try_get(0)?, id })
}

fn stored_rollup(row: &Row) -> Option<(RollupKey, Rollup)> {
    let texts = [1, 2, 3, 4, 5, 6].map(|at| row.get(at));
    let counts = [7, 8, 9, 10, 11, 12].map(|at| row.get(at));
    let (bins, bin_calls): (Vec<i16>, Vec<i64>) = (row.get(13), row.get(14));
    Some((rollup_key(row.get(0), texts)?, rollup_of(counts, &bins, &bin_calls)))
}

fn timestamp(us: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(us).map_err(|error| Error::BadData(BoxError::from(error)))
}

fn uuid(id: TaskId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}

/// Connections for reads at most.
const MAX_READERS: usize = 4;
/// How long a read may take, and how long it may wait for a connection.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection for reads stays without being used.
const IDLE: Duration = Duration::from_secs(60);
