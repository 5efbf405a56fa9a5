//! Rows of calls for commands: where they come from, and what of them is printed.
//!
//! From a running Fusebox or from the store itself, by the same question: the query string of
//! `GET /api/v1/tasks`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::client::{Client, Error};
use crate::{
    admin::Questions,
    domain::{report, task::TaskId},
};

/// Rows of a page, as many as the API gives.
const PAGE: usize = 500;

/// Where rows come from.
pub enum Source {
    /// A running Fusebox.
    Admin(Client),
    /// The store, which keeps rows for this long.
    Store(Questions, Duration),
}

/// A row: what is printed of it, and all of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is printed.
    pub shown: Shown,
    /// Every column.
    pub whole: Map<String, Value>,
}

/// What of a row is printed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Shown {
    pub id: String,
    pub parent_id: Option<String>,
    pub started_at: Timestamp,
    pub correlation_id: String,
    pub service: String,
    pub listener: String,
    pub domain: String,
    pub action: String,
    pub upstream: String,
    pub method: String,
    pub path: String,
    pub status: Option<u16>,
    pub grpc_status: Option<u8>,
    pub outcome: String,
    pub failure_reason: Option<String>,
    pub duration_ms: f64,
    pub weight: u32,
}

/// Rows, newest first, and what the answer says about them.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// How many of the calls have a row of their own.
    pub completeness: Option<f64>,
    /// Where the window begins and ends.
    pub window: (String, String),
    /// Whether there are more than were asked for.
    pub has_more: bool,
}

/// A question: names and values of the query string.
pub type Question<'a> = [(&'a str, &'a str)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tasks: Vec<Map<String, Value>>,
    next_cursor: Option<String>,
    from: Option<String>,
    to: Option<String>,
    completeness: Option<f64>,
}

impl Source {
    /// The newest `limit` rows that a question is about.
    ///
    /// # Errors
    /// There is no answer, or it is an error.
    pub async fn newest(&self, question: &Question<'_>, limit: usize) -> Result<Rows, Error> {
        let mut rows = Vec::new();
        let about = self.pages(question, limit, |page| rows.extend(page)).await?;
        Ok(Rows { rows, ..about })
    }

    /// Hands over the newest `limit` rows that a question is about, page by page; all but the rows
    /// is in what it returns.
    ///
    /// # Errors
    /// There is no answer, or it is an error. What was handed over before remains.
    pub async fn pages(
        &self,
        question: &Question<'_>,
        limit: usize,
        mut take: impl FnMut(Vec<Row>),
    ) -> Result<Rows, Error> {
        let mut about = Rows::default();
        let mut left = limit;
        let mut cursor = None;
        loop {
            let size = left.min(PAGE).to_string();
            let mut pairs = question.to_vec();
            pairs.push(("limit", &size));
            pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.page(&encode(&pairs)).await?;
            if cursor.is_none() {
                about.completeness = page.completeness;
                about.window = (page.from.unwrap_or_default(), page.to.unwrap_or_default());
            }
            let rows = page.tasks.into_iter().map(|whole| self.row(whole));
            let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
            left = left.saturating_sub(rows.len());
            take(rows);
            cursor = page.next_cursor;
            about.has_more = cursor.is_some();
            if cursor.is_none() || left == 0 {
                return Ok(about);
            }
        }
    }

    /// The statistics that a question is about.
    ///
    /// # Errors
    /// There is no answer, or it is an error.
    pub async fn statistics<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
    ) -> Result<T, Error> {
        let query = encode(question);
        match self {
            Self::Admin(client) => client.data(&format!("/api/v1/tasks/history?{query}")).await,
            Self::Store(questions, _) => {
                let data = questions.statistics(&query).await.map_err(Error::Direct)?;
                serde_json::from_value(data).map_err(|error| self.malformed(error))
            }
        }
    }

    /// The same as lines; the question names their format.
    ///
    /// # Errors
    /// There is no answer, or it is an error.
    pub async fn export(&self, question: &Question<'_>) -> Result<String, Error> {
        let query = encode(question);
        match self {
            Self::Admin(client) => client.text(&format!("/api/v1/tasks/history?{query}")).await,
            Self::Store(questions, _) => questions.export(&query).await.map_err(Error::Direct),
        }
    }

    async fn page(&self, query: &str) -> Result<Page, Error> {
        match self {
            Self::Admin(client) => client.data(&format!("/api/v1/tasks?{query}")).await,
            Self::Store(questions, retention) => {
                let data = questions.tasks(query, *retention).await.map_err(Error::Direct)?;
                serde_json::from_value(data).map_err(|error| self.malformed(error))
            }
        }
    }

    fn row(&self, whole: Map<String, Value>) -> Result<Row, Error> {
        let shown = Shown::deserialize(&whole).map_err(|error| self.malformed(error))?;
        Ok(Row { shown, whole })
    }

    fn malformed(&self, error: serde_json::Error) -> Error {
        match self {
            Self::Admin(client) => client.malformed(error),
            Self::Store(..) => Error::Store(crate::store::Error::BadData(error.into())),
        }
    }
}

impl Row {
    /// When it started, in microseconds since the Unix epoch.
    pub fn started_us(&self) -> i64 {
        self.shown.started_at.as_microsecond()
    }

    /// How long it took.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
    pub fn duration_us(&self) -> u64 {
        (self.shown.duration_ms * 1_000.0).round() as u64
    }

    /// Its id.
    pub fn id(&self) -> TaskId {
        TaskId::parse(&self.shown.id).unwrap_or(TaskId::from_u128(0))
    }

    /// The id of what caused it.
    pub fn parent(&self) -> Option<TaskId> {
        self.shown.parent_id.as_deref().and_then(TaskId::parse)
    }

    /// The status that its caller saw; of a gRPC call with the code, `200/14`.
    pub fn status(&self) -> String {
        let status = self.shown.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        self.shown.grpc_status.map_or_else(|| status.clone(), |code| format!("{status}/{code}"))
    }

    /// How it ended, and why unless it succeeded; with how many others it was folded.
    pub fn ending(&self) -> String {
        let Shown { outcome, failure_reason, weight, .. } = &self.shown;
        let mut text = outcome.clone();
        if let Some(reason) = failure_reason {
            text = format!("{text} {reason}");
        }
        if *weight > 1 { format!("{text} ×{weight}") } else { text }
    }
}

impl Shown {
    /// What was called; of a task that was reported and is no call, what it was.
    pub fn call(&self) -> String {
        let Self { listener, domain, action, upstream, method, path, .. } = self;
        if listener == report::NOTHING {
            return format!("{domain} {action} (reported)");
        }
        format!("{method} {upstream} {path}")
    }
}

#[cfg(test)]
impl Row {
    /// A call that failed.
    pub(super) fn sample(id: TaskId, started_us: i64) -> Self {
        let whole = serde_json::json!({
            "id": id.to_string(),
            "parentId": null,
            "startedAt": Timestamp::from_microsecond(started_us).unwrap().to_string(),
            "correlationId": "req-0123456789abcdef",
            "service": "orders",
            "listener": "egress",
            "domain": "payments",
            "action": "all",
            "upstream": "payments",
            "method": "POST",
            "path": "/v1/charges",
            "status": 503,
            "grpcStatus": null,
            "outcome": "failure",
            "failureReason": "http_503",
            "durationMs": 12.345,
            "weight": 1,
        });
        let whole = whole.as_object().cloned().unwrap_or_default();
        Self { shown: Shown::deserialize(&whole).unwrap(), whole }
    }
}

/// A query string.
fn encode(pairs: &Question<'_>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// Microseconds for people: `17µs`, `1.2ms`, `340ms`, `12.3s`.
pub fn show_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..100_000 => format!("{}.{}ms", us / 1_000, us % 1_000 / 100),
        100_000..1_000_000 => format!("{}ms", us / 1_000),
        1_000_000..100_000_000 => format!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
        _ => format!("{}s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, encode, show_us};
    use crate::domain::task::TaskId;

    #[test]
    fn the_status_of_a_grpc_call_tells_its_code() {
        let mut row = Row::sample(TaskId::from_u128(1), 1_795_348_800_000_000);
        assert_eq!(row.status(), "503");
        (row.shown.status, row.shown.grpc_status) = (Some(200), Some(14));
        assert_eq!(row.status(), "200/14");
        row.shown.status = None;
        assert_eq!(row.status(), "-/14");
    }

    #[test]
    fn a_query_string_means_what_was_given() {
        let text = encode(&[("from", "2026-11-22T10:00:00+01:00"), ("upstream", "a&b=é c")]);
        assert_eq!(text, "from=2026-11-22T10:00:00%2B01:00&upstream=a%26b%3D%C3%A9%20c");
    }

    #[test]
    fn durations_have_two_or_three_digits() {
        for (us, shown) in [
            (0, "0µs"),
            (999, "999µs"),
            (1_250, "1.2ms"),
            (99_999, "99.9ms"),
            (340_500, "340ms"),
            (12_345_678, "12.3s"),
            (600_000_000, "600s"),
        ] {
            assert_eq!(show_us(us), shown);
        }
    }
}
