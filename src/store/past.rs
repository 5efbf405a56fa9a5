//! Reading history from its beginning: the calls of a stretch of time, page by page, in the order in
//! which they began, and the openings of the circuits that they met.
//!
//! Apart from [`HistoryStore`](super::HistoryStore), which answers people: this reads everything, as
//! fast as it comes, and keeps of a row what matters to a circuit.

use std::{collections::HashSet, path::Path, sync::Arc};

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::{Error, Identity, open, postgres::Postgres, rows::unsigned, sqlite::Sqlite};
use crate::{
    config,
    domain::{
        outcome::{Outcome, Reason, Verdict},
        replay::{Call, Logged, Span},
        task::TaskId,
    },
};

/// Which page of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastQuery {
    /// Calls that began in it.
    pub span: Span,
    /// Only calls that had to do with this upstream.
    pub upstream: Option<String>,
    /// Behind this row: when it began, and its id.
    pub after: Option<(i64, TaskId)>,
    /// Rows at most.
    pub limit: u32,
}

/// A page of the past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PastPage {
    /// The calls, in the order in which they began.
    pub calls: Vec<Call>,
    /// Rows that a newer version has written in words that are not known here.
    pub unread: u64,
    /// The last row, behind which the next page begins; none when this is the last page.
    pub last: Option<(i64, TaskId)>,
}

/// A circuit really opened, as far as the store was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// When the store was told, in microseconds since the Unix epoch, by its clock.
    pub at_us: i64,
    /// Of this circuit, which is its upstream's unless a route has its own.
    pub upstream: String,
    /// Which instance made it so.
    pub instance: String,
    /// Why.
    pub cause: String,
    /// Calls behind it, as far as they are kept with it.
    pub calls: Vec<TaskId>,
}

/// The past, from its beginning.
#[async_trait]
pub trait PastStore: Send + Sync {
    /// A page of calls.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn calls(&self, query: &PastQuery) -> Result<PastPage, Error>;

    /// Openings of shared circuits, oldest first, failed probes left out: of all, or of an upstream
    /// and of the routes to it.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn openings(&self, span: Span, upstream: Option<&str>) -> Result<Vec<Opening>, Error>;
}

/// Opens the store for reading its past. An embedded file that is not there is not made.
///
/// # Errors
/// The URL, the schema's name or `sslrootcert` is wrong, or there is no such file.
pub fn past(
    database: &config::Database,
    data_dir: &Path,
    identity: Identity,
) -> Result<Arc<dyn PastStore>, Error> {
    open::is_there(database, data_dir)?;
    Ok(match &database.url {
        Some(url) => Arc::new(Postgres::new(url.expose(), database, identity)?),
        None => Arc::new(Sqlite::open(data_dir, identity)?),
    })
}

/// The columns that are read of a row, in order. `started_at` and `id` come before them.
pub(super) const PAST_COLUMNS: [&str; 16] = [
    "instance",
    "upstream",
    "route",
    "method",
    "domain",
    "action",
    "outcome",
    "failure_reason",
    "status",
    "grpc_status",
    "attempts",
    "attempt_log",
    "duration_us",
    "upstream_us",
    "first_byte_us",
    "weight",
];

/// A row as it is read.
pub(super) struct PastRow<'a> {
    pub(super) started_at_us: i64,
    pub(super) id: TaskId,
    /// From `instance` to `outcome`.
    pub(super) texts: [&'a str; 7],
    pub(super) reason: Option<&'a str>,
    pub(super) status: Option<i16>,
    pub(super) grpc_status: Option<i16>,
    pub(super) attempts: i32,
    pub(super) log: Option<Value>,
    pub(super) duration_us: i64,
    pub(super) upstream_us: Option<i64>,
    pub(super) first_byte_us: Option<i64>,
    pub(super) weight: i32,
}

/// A page under way. Names that many rows share are kept once.
pub(super) struct Reading {
    page: PastPage,
    names: HashSet<Arc<str>>,
    limit: u32,
    rows: u32,
}

impl Reading {
    pub(super) fn new(limit: u32) -> Self {
        Self { page: PastPage::default(), names: HashSet::new(), limit, rows: 0 }
    }

    pub(super) fn take(&mut self, row: PastRow<'_>) {
        self.rows += 1;
        self.page.last = Some((row.started_at_us, row.id));
        match self.call(row) {
            Some(call) => self.page.calls.push(call),
            None => self.page.unread += 1,
        }
    }

    pub(super) fn finish(mut self) -> PastPage {
        if self.rows < self.limit {
            self.page.last = None;
        }
        self.page
    }

    fn call(&mut self, row: PastRow<'_>) -> Option<Call> {
        let [instance, upstream, route, method, domain, action, outcome] = row.texts;
        let reason = match row.reason {
            Some(name) => Some(Reason::parse(name)?),
            None => None,
        };
        let log = match &row.log {
            Some(log) => self.log(log)?,
            None => Vec::new(),
        };
        Some(Call {
            id: row.id,
            started_at_us: row.started_at_us,
            instance: self.name(instance),
            upstream: self.name(upstream),
            route: self.name(route),
            is_idempotent: Method::from_bytes(method.as_bytes()).is_ok_and(|m| m.is_idempotent()),
            is_check: (domain, action) == CHECK,
            outcome: Outcome::parse(outcome)?,
            reason,
            status: row.status.and_then(|code| code.try_into().ok()),
            grpc_status: row.grpc_status.and_then(|code| code.try_into().ok()),
            attempts: row.attempts.try_into().unwrap_or(0),
            log,
            duration_us: unsigned(row.duration_us),
            upstream_us: row.upstream_us.map(unsigned),
            first_byte_us: row.first_byte_us.map(unsigned),
            weight: u32::try_from(row.weight).unwrap_or(1).max(1),
        })
    }

    fn log(&mut self, log: &Value) -> Option<Vec<Logged>> {
        let attempts = log.as_array()?.iter().map(|attempt| {
            let text = |name: &str| attempt.get(name).and_then(Value::as_str);
            Some(Logged {
                upstream: self.name(text("upstream")?),
                verdict: Verdict::parse(text("verdict")?)?,
                reason: text("reason").and_then(Reason::parse),
                duration_us: attempt.get("durationUs").and_then(Value::as_u64)?,
            })
        });
        attempts.collect()
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

/// The domain and the action of health checks.
const CHECK: (&str, &str) = ("system-health", "monitor-services");

/// Openings that are read at most.
pub(super) const MAX_OPENINGS: i64 = 10_000;
