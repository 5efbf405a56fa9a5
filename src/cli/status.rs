//! `fusebox status`: the process and its breakers at one glance.

use std::{collections::BTreeMap, fmt::Write as _, io::Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, Error};

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
        text.push(' ');
    }
    if breaker.state == "CLOSED" {
        return text;
    }
    text.push_str(breaker.reason.as_deref().unwrap_or_default());
    if breaker.state == "OPEN" {
        let (count, wait) = (breaker.failure_count, span(breaker.retry_after_ms));
        // Writing to a string cannot fail.
        write!(text, ", {count} in a row, next probe in {wait}").ok();
    }
    text
}

/// A stretch of time in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_has_its_two_largest_units() {
        let minute = 60_000;
        for (ms, shown) in [
            (0, "0s"),
            (1, "1s"),
            (59_000, "59s"),
            (61_000, "1m 1s"),
            (60 * minute, "1h 0m"),
            (25 * 60 * minute, "1d 1h"),
        ] {
            assert_eq!(span(ms), shown);
        }
    }
}
