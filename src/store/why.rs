//! What set failures apart: the calls of an operation, counted by each of their attributes.
//!
//! The newest rows of a window, as many as can be looked through in a moment; it is told when there
//! were more.

use serde_json::Value;

use crate::domain::{
    learn::{
        formula::{share::Share, weighed::Weighed},
        why::Failures,
    },
    outcome::Outcome,
};

/// Rows that are looked at, at most.
pub(super) const MOST_ROWS: u32 = 200_000;

/// Different values of an attribute that are told apart; more are no attribute but a name.
const MAX_VALUES: usize = 200;

/// Attributes at most: whoever reports tasks may name parameters as they like.
const MAX_ATTRIBUTES: usize = 100;

/// Which calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyQuery {
    /// Of this domain.
    pub domain: String,
    /// Of this action.
    pub action: String,
    /// Only of this service.
    pub service: Option<String>,
    /// Only to this upstream.
    pub upstream: Option<String>,
    /// Started at or after, in microseconds since the Unix epoch.
    pub from_us: i64,
    /// Started before.
    pub to_us: i64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counted {
    /// By attribute and value.
    pub failures: Failures,
    /// All calls that were looked at, and the failures among them.
    pub total: Share,
    /// There were more calls in the window, before these.
    pub is_cut: bool,
    /// Where the window that was looked at began, in microseconds since the Unix epoch.
    pub from_us: i64,
}

/// The columns that are read of a row, in order.
pub(super) const WHY_COLUMNS: [&str; 13] = [
    "started_at",
    "outcome",
    "weight",
    "service",
    "version",
    "instance",
    "upstream",
    "endpoint",
    "route",
    "method",
    "attempts",
    "request_bytes",
    "params",
];

/// A row as it is read.
pub(super) struct WhyRow<'a> {
    pub(super) started_at_us: i64,
    pub(super) outcome: &'a str,
    pub(super) weight: i32,
    /// From `service` to `upstream`.
    pub(super) names: [&'a str; 4],
    pub(super) endpoint: Option<&'a str>,
    /// `route` and `method`.
    pub(super) place: [&'a str; 2],
    pub(super) attempts: i32,
    pub(super) request_bytes: i64,
    pub(super) params: Option<Value>,
}

/// Rows under way.
pub(super) struct Counting {
    counted: Counted,
    rows: u32,
    values: std::collections::HashMap<Box<str>, std::collections::HashSet<Box<str>>>,
}

impl Counting {
    pub(super) fn new(query: &WhyQuery) -> Self {
        let counted = Counted { from_us: query.from_us, ..Counted::default() };
        Self { counted, rows: 0, values: std::collections::HashMap::new() }
    }

    pub(super) fn take(&mut self, row: &WhyRow<'_>) {
        self.rows += 1;
        if self.rows == MOST_ROWS {
            (self.counted.is_cut, self.counted.from_us) = (true, row.started_at_us);
        }
        let weight = u64::try_from(row.weight).unwrap_or(1).max(1);
        let has_failed = row.outcome != Outcome::Success.as_str();
        let share = Weighed::one(has_failed, weight);
        self.counted.total = self.counted.total.plus(share.share);
        for (name, value) in ["service", "version", "instance", "upstream"].iter().zip(row.names) {
            self.add(name, value, share);
        }
        self.add("endpoint", row.endpoint.unwrap_or("-"), share);
        for (name, value) in ["route", "method"].iter().zip(row.place) {
            self.add(name, value, share);
        }
        self.add("attempts", &row.attempts.to_string(), share);
        self.add("hour", &hour(row.started_at_us), share);
        self.add("requestSize", &size(row.request_bytes), share);
        for (name, value) in row.params.iter().filter_map(Value::as_object).flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.add(&format!("params.{name}"), &value, share);
        }
    }

    pub(super) fn finish(self) -> Counted {
        self.counted
    }

    fn add(&mut self, attribute: &str, value: &str, share: Weighed) {
        if !self.values.contains_key(attribute) {
            if self.values.len() >= MAX_ATTRIBUTES {
                return;
            }
            self.values.insert(attribute.into(), std::collections::HashSet::new());
        }
        let Some(known) = self.values.get_mut(attribute) else { return };
        let is_known = known.contains(value);
        if !is_known && known.len() >= MAX_VALUES {
            self.counted.failures.add(attribute, "(other)", share);
            return;
        }
        if !is_known {
            known.insert(value.into());
        }
        self.counted.failures.add(attribute, value, share);
    }
}

/// The hour of the day, UTC.
fn hour(at_us: i64) -> String {
    format!("{:02}:00", at_us.div_euclid(3_600_000_000).rem_euclid(24))
}

/// How large a request was.
fn size(bytes: i64) -> String {
    const WORDS: [&str; 6] =
        ["none", "under 1 KiB", "1 to 16 KiB", "16 to 64 KiB", "64 KiB to 1 MiB", "over 1 MiB"];
    let word = match bytes {
        ..=0 => 0,
        1..1_024 => 1,
        1_024..16_384 => 2,
        16_384..65_536 => 3,
        65_536..1_048_576 => 4,
        _ => 5,
    };
    WORDS[word].to_owned()
}
