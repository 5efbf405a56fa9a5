//! Early warnings as they are kept: said, repeated, resolved, scored.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Error;
use crate::domain::learn::warn::{
    Signal,
    score::{Fate, Score, Warning},
};

/// What a warning is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The upstream.
    pub upstream: Box<str>,
    /// The task's domain; empty where it is about the whole upstream.
    pub domain: Box<str>,
    /// The task's action; empty as well then.
    pub action: Box<str>,
}

impl Subject {
    /// The whole upstream.
    pub fn upstream(name: &str) -> Self {
        Self { upstream: name.into(), domain: Box::default(), action: Box::default() }
    }
}

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// By which signal.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// In words.
    pub claim: String,
    /// In numbers.
    pub detail: Value,
    /// What it is held to; see [`crate::domain::learn::warn::event`].
    pub bar: f64,
    /// How far ahead it looks.
    pub horizon: Duration,
    /// How likely it is to come true.
    pub probability: f64,
    /// Whether it is for the record only.
    pub is_muted: bool,
}

/// A warning that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its number.
    pub id: i64,
    /// When it was made, in microseconds since the Unix epoch, by the store's clock.
    pub made_at_us: i64,
    /// When it ended, or will unless it is repeated.
    pub active_until_us: i64,
    /// Whether it is still being repeated, by the store's clock.
    pub is_active: bool,
    /// What was said.
    pub notice: Notice,
    /// What became of it.
    pub fate: Fate,
}

impl Prediction {
    /// As it is scored.
    pub fn warning(&self) -> Warning {
        Warning {
            made_at: self.made_at_us.div_euclid(1_000_000),
            horizon: i64::from(seconds(self.notice.horizon)),
            probability: self.notice.probability,
        }
    }
}

/// Which warnings are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are being repeated.
    Active,
    /// Those of them whose signal was not silent.
    Shown,
    /// Those whose fate is open.
    Pending,
    /// Those made at this time, in microseconds since the Unix epoch, or later.
    Since(i64),
}

/// How good a signal is.
pub type Merit = (Signal, Score);

/// What was said, and what became of it. All times are the store's.
#[async_trait]
pub trait WarningStore: Send + Sync {
    /// Whether this instance is to watch for all, for so long unless it asks again: nobody else does.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn claim_watch(&self, lease: Duration) -> Result<bool, Error>;

    /// Says these warnings. One that is active, by whomever it was said, is not said again: it lasts
    /// so much longer.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn warn(&self, notices: &[Notice], lasts: Duration) -> Result<(), Error>;

    /// Warnings, newest first. Those of a newer version, which this one does not know, are left out.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn predictions(&self, which: Which, limit: u32) -> Result<Vec<Prediction>, Error>;

    /// Notes what became of a warning; nothing while that is open, and nothing twice.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn resolve(&self, id: i64, fate: Fate) -> Result<(), Error>;

    /// Keeps how good the signals are.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn keep_score(&self, scored: &Merit) -> Result<(), Error>;

    /// How good they were found last.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn scores(&self) -> Result<Vec<Merit>, Error>;

    /// When shared breakers opened that were not open, in microseconds since the Unix epoch, from
    /// then on, newest first; each with its upstream.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn openings(&self, since_us: i64, limit: u32) -> Result<Vec<(String, i64)>, Error>;

    /// Forgets warnings that were made before this time.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn forget_predictions(&self, before_us: i64) -> Result<(), Error>;
}

/// The columns of a [`Prediction`] after its times, in order.
pub(super) const PREDICTION_COLUMNS: [&str; 12] = [
    "signal",
    "upstream",
    "domain",
    "action",
    "claim",
    "detail",
    "bar",
    "horizon_s",
    "probability",
    "is_muted",
    "came_true",
    "lead_s",
];

/// Notices as the function that says them takes them.
pub(super) fn notices_json(notices: &[Notice]) -> Value {
    let json = |notice: &Notice| {
        let Subject { upstream, domain, action } = &notice.subject;
        json!([
            notice.signal.as_str(),
            upstream,
            domain,
            action,
            notice.claim,
            notice.detail,
            notice.bar,
            seconds(notice.horizon),
            notice.probability,
            notice.is_muted,
        ])
    };
    Value::Array(notices.iter().map(json).collect())
}

/// Whole seconds, as they are stored.
pub(super) fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

/// What became of it, from its columns.
pub(super) fn fate(came_true: Option<bool>, lead_s: Option<i32>) -> Fate {
    match came_true {
        None => Fate::Pending,
        Some(true) => Fate::True { lead: lead_s.unwrap_or_default().into() },
        Some(false) => Fate::False,
    }
}

/// What became of it, for its columns; none while that is open.
pub(super) fn fate_columns(fate: Fate) -> Option<(bool, Option<i32>)> {
    match fate {
        Fate::Pending => None,
        Fate::True { lead } => Some((true, Some(i32::try_from(lead).unwrap_or(i32::MAX)))),
        Fate::False => Some((false, None)),
    }
}

/// The duty of whoever watches for all.
pub(super) const WATCH: &str = "warnings";
