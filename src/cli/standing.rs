//! How a running Fusebox stands, as its admin port tells it: what `status` and `top` print.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};

use super::client::{Client, Error};
use crate::domain::{order::who, units::show_span};

/// Where the process is told of.
pub(super) const STATUS: &str = "/api/v1/status";

/// Where its breakers are.
pub(super) const BREAKERS: &str = "/api/v1/circuit-breakers";

/// The process and all of its breakers.
pub(super) struct Standing {
    pub(super) status: Status,
    /// By name.
    pub(super) breakers: BTreeMap<String, Breaker>,
}

/// The process.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) started_at: Option<jiff::Timestamp>,
    pub(super) uptime_ms: u64,
    pub(super) service: String,
    pub(super) namespace: String,
    pub(super) display_name: String,
    pub(super) draining: bool,
    pub(super) in_flight: u64,
    pub(super) store: Store,
    pub(super) history: History,
    /// By name.
    pub(super) upstreams: BTreeMap<String, Traffic>,
    pub(super) degraded: Option<String>,
    pub(super) warnings: Vec<String>,
}

/// Its store.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Store {
    pub(super) kind: String,
    pub(super) fault: Option<String>,
    pub(super) sync_mode: String,
    pub(super) sync_reason: Option<String>,
    pub(super) instances: u32,
}

/// Its rows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct History {
    pub(super) waiting: u64,
    pub(super) written: u64,
    dropped: u64,
    rejected: u64,
    pub(super) in_memory_because: Option<String>,
}

impl History {
    /// Rows that the store will not have.
    pub(super) const fn lost(&self) -> u64 {
        self.dropped + self.rejected
    }
}

/// The calls to an upstream in the last seconds.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traffic {
    pub(super) in_flight: u64,
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) refused: u64,
    pub(super) calls_per_second: Option<f64>,
    pub(super) error_share: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// A breaker.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Breaker {
    pub(super) state: String,
    pub(super) since: Option<jiff::Timestamp>,
    pub(super) failure_count: u32,
    pub(super) retry_after_ms: u64,
    pub(super) reason: Option<String>,
    pub(super) opened_by: Option<String>,
    pub(super) mode: String,
    pub(super) order: Option<Order>,
    pub(super) would_refuse: u64,
}

/// Who steers it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    by: String,
    left_ms: Option<u64>,
    reach: String,
}

impl Standing {
    /// Asks for it.
    ///
    /// # Errors
    /// There is no answer, or it is an error.
    pub(super) async fn ask(client: &Client) -> Result<Self, Error> {
        Ok(Self { status: client.data(STATUS).await?, breakers: client.data(BREAKERS).await? })
    }
}

/// The traffic behind a breaker: that of its upstream, where a route has a breaker of its own.
pub(super) fn traffic_of(breaker: &str, traffic: &BTreeMap<String, Traffic>) -> Traffic {
    let upstream = breaker.split('/').next().unwrap_or(breaker);
    traffic.get(breaker).or_else(|| traffic.get(upstream)).copied().unwrap_or_default()
}

/// How many share the store.
pub(super) fn instances(count: u32) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

/// A stretch of time in its two largest units.
pub(super) fn span(ms: u64) -> String {
    show_span(Duration::from_millis(ms))
}

/// Why a breaker is as it is, and what comes next.
pub(super) fn why(breaker: &Breaker) -> String {
    let mut text = cause(breaker);
    if breaker.state == "OPEN" && !is_ordered(breaker) {
        let (count, wait) = (breaker.failure_count, span(breaker.retry_after_ms));
        // Writing to a string cannot fail.
        write!(text, ", {count} in a row, next probe in {wait}").ok();
    }
    text
}

/// Why a breaker is as it is; nothing to say of one that is simply closed.
pub(super) fn cause(breaker: &Breaker) -> String {
    let mut text = String::new();
    if breaker.mode != "auto" {
        text.push_str(&breaker.mode.replace('_', " "));
        // Writing to a string cannot fail.
        if let Some(order) = &breaker.order {
            write!(text, " by {}", who(&order.by)).ok();
            if order.reach != "fleet" {
                text.push_str(", on this instance only");
            }
            order.left_ms.map(|left| write!(text, ", {} left", span(left)).ok());
        }
        if breaker.mode == "shadow" {
            write!(text, ", would have refused {}", breaker.would_refuse).ok();
        }
        text.push_str("; ");
    }
    if breaker.state == "CLOSED" || is_ordered(breaker) {
        return text.trim_end_matches("; ").to_owned();
    }
    // That the fleet agreed says nothing about the upstream; what it agreed on does.
    let is_agreed = breaker.reason.as_deref() == Some("fleet");
    let opened_by = breaker.opened_by.as_deref().filter(|_| is_agreed);
    text.push_str(opened_by.or(breaker.reason.as_deref()).unwrap_or_default());
    text
}

/// Whether somebody put it into its state.
fn is_ordered(breaker: &Breaker) -> bool {
    breaker.reason.as_deref() == Some("override")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Breaker, why};

    /// What is said of a breaker in this state, after this transition and what opened it.
    fn said(state: &str, reason: &str, opened_by: Option<&str>) -> String {
        let breaker = json!({
            "state": state, "failureCount": 5, "retryAfterMs": 42_000, "reason": reason,
            "openedBy": opened_by, "mode": "auto", "order": null, "wouldRefuse": 0,
        });
        why(&serde_json::from_value::<Breaker>(breaker).unwrap())
    }

    #[test]
    fn what_the_fleet_agreed_on_is_said_and_not_only_that_it_did() {
        let failures = Some("consecutive_failures");
        let open = "consecutive_failures, 5 in a row, next probe in 42s";
        assert_eq!(said("OPEN", "consecutive_failures", failures), open);
        assert_eq!(said("OPEN", "fleet", failures), open);
        assert_eq!(said("OPEN", "fleet", None), "fleet, 5 in a row, next probe in 42s");
        assert_eq!(said("RAMPING", "fleet", failures), "consecutive_failures");
        assert_eq!(said("CLOSED", "fleet", failures), "");
    }
}
