//! `fusebox status`: the process and its breakers at one glance.

use std::{collections::BTreeMap, io::Write};

use serde_json::{Value, json};

use super::{
    client::{Client, Error},
    standing::{BREAKERS, Breaker, STATUS, Status, Traffic, instances, span, traffic_of, why},
};

/// Asks and prints: a table, or everything as JSON.
///
/// # Errors
/// There is no answer, or it is an error.
pub async fn run(client: &Client, as_json: bool, out: &mut impl Write) -> Result<(), Error> {
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
    let lost = history.lost();
    let store = match &store.fault {
        None => {
            let why = store.sync_reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{}, {}{why}, {}", store.kind, store.sync_mode, instances(store.instances))
        }
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
    if let Some(why) = &status.degraded {
        text.push_str(&format!("degraded   {why}\n"));
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
        let traffic = traffic_of(name, traffic);
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
