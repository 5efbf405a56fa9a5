//! `fusebox status`: the process and its breakers at one glance.

use std::{collections::BTreeMap, fmt::Write as _, io::Write, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, Error};
use crate::domain::units::show_span;

/// What of `/api/v1/status` is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: String,
    uptime_ms: u64,
    service: String,
    namespace: String,
    display_name: String,
    draining: bool,
    in_flight: u64,
    store: Store,
    history: History,
    upstreams: BTreeMap<String, Traffic>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    kind: String,
    fault: Option<String>,
    sync_mode: String,
    instances: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    waiting: u64,
    written: u64,
    dropped: u64,
    rejected: u64,
    in_memory_because: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    calls_per_second: Option<f64>,
    error_share: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// What of a breaker is printed.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Breaker {
    state: String,
    failure_count: u32,
    retry_after_ms: u64,
    reason: Option<String>,
    mode: String,
    order: Option<Order>,
    would_refuse: u64,
}

/// Who steers it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    by: String,
    left_ms: Option<u64>,
}

/// Asks and prints: a table, or everything as JSON.
///
/// # Errors
/// There is no answer, or it is an error.
pub async fn run(client: &Client, as_json: bool, out: &mut impl Write) -> Result<(), Error> {
    const STATUS: &str = "/api/v1/status";
    const BREAKERS: &str = "/api/v1/circuit-breakers";
    if as_json {
        let status: Value = client.data(STATUS).await?;
        let breakers: Value = client.data(BREAKERS).await?;
        writeln!(out, "{:#}", json!({ "status": status, "circuitBreakers": breakers }))?;
        return Ok(());
    }
    let status: Status = client.data(STATUS).await?;
    let breakers: BTreeMap<String, Breaker> = client.data(BREAKERS).await?;
    out.write_all(head(&status).as_bytes())?;
    out.write_all(table(&status.upstreams, &breakers).as_bytes())?;
    Ok(())
}

fn head(status: &Status) -> String {
    let Status { version, service, namespace, display_name, store, history, .. } = status;
    let lost = history.dropped + history.rejected;
    let store = match &store.fault {
        None => format!("{}, {}, {} instance(s)", store.kind, store.sync_mode, store.instances),
        Some(fault) => format!("{} is away: {fault}", store.kind),
    };
    let mut text = format!(
        "{service} ({namespace}) on {display_name}, Fusebox {version}, up {}\n\
         store      {store}\n\
         rows       {} written, {} waiting, {lost} lost\n\
         in flight  {}\n",
        span(status.uptime_ms),
        history.written,
        history.waiting,
        status.in_flight,
    );
    if let Some(why) = &history.in_memory_because {
        text.push_str(&format!("journal    in memory only: {why}\n"));
    }
    if status.draining {
        text.push_str("stopping\n");
    }
    for warning in &status.warnings {
        text.push_str("warning    ");
        text.push_str(warning);
        text.push('\n');
    }
    text
}

fn table(traffic: &BTreeMap<String, Traffic>, breakers: &BTreeMap<String, Breaker>) -> String {
    let widest = breakers.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    let width = widest.max("UPSTREAM".len());
    let mut text = format!(
        "\n{:width$}  {:9}  {:>8}  {:>7}  {:>9}  {:>9}  WHY\n",
        "UPSTREAM", "CIRCUIT", "CALLS/S", "ERRORS", "P50", "P99"
    );
    for (name, breaker) in breakers {
        let upstream = name.split('/').next().unwrap_or(name);
        let traffic = traffic.get(name).or_else(|| traffic.get(upstream));
        let traffic = traffic.copied().unwrap_or_default();
        let line = format!(
            "{name:width$}  {:9}  {:>8}  {:>7}  {:>9}  {:>9}  {}",
            breaker.state,
            or_dash(traffic.calls_per_second, |rate| format!("{rate:.1}")),
            or_dash(traffic.error_share, |share| format!("{:.1}%", share * 100.0)),
            or_dash(traffic.p50_ms, |ms| format!("{ms:.1}ms")),
            or_dash(traffic.p99_ms, |ms| format!("{ms:.1}ms")),
            why(breaker),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn or_dash(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

fn why(breaker: &Breaker) -> String {
    let mut text = String::new();
    if breaker.mode != "auto" {
        text.push_str(&breaker.mode);
        // Writing to a string cannot fail.
        if let Some(order) = &breaker.order {
            write!(text, " by {}", order.by).ok();
            order.left_ms.map(|left| write!(text, ", {} left", span(left)).ok());
        }
        if breaker.mode == "shadow" {
            write!(text, ", would have refused {}", breaker.would_refuse).ok();
        }
        text.push_str("; ");
    }
    if breaker.state == "CLOSED" || breaker.reason.as_deref() == Some("override") {
        return text.trim_end_matches("; ").to_owned();
    }
    text.push_str(breaker.reason.as_deref().unwrap_or_default());
    if breaker.state == "OPEN" {
        let (count, wait) = (breaker.failure_count, span(breaker.retry_after_ms));
        // Writing to a string cannot fail.
        write!(text, ", {count} in a row, next probe in {wait}").ok();
    }
    text
}

fn span(ms: u64) -> String {
    show_span(Duration::from_millis(ms))
}
