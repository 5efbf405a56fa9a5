//! `fusebox explain`: why a circuit breaker is as it is, in plain words.

use std::{io::Write, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Error, segment};
use crate::domain::units::show_span;

/// What of the answer is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    state: String,
    mode: String,
    explanation: Vec<String>,
    recent_transitions: Vec<Moment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moment {
    at: Option<String>,
    from: String,
    to: String,
    cause: String,
    open_for_ms: u64,
    mode: String,
    task_ids: Vec<String>,
}

/// Transitions that are printed; the API has more.
const SHOWN: usize = 5;

/// Asks and prints: sentences and the last transitions, or everything as JSON.
///
/// # Errors
/// There is no answer, or it is an error: there may be no such breaker.
pub async fn run(
    client: &Client,
    name: &str,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), Error> {
    let path = format!("/api/v1/circuit-breakers/{}", segment(name));
    if as_json {
        let whole: Value = client.data(&path).await?;
        writeln!(out, "{whole:#}")?;
        return Ok(());
    }
    let explained: Explained = client.data(&path).await?;
    out.write_all(text(name, &explained).as_bytes())?;
    Ok(())
}

fn text(name: &str, explained: &Explained) -> String {
    let Explained { state, mode, explanation, recent_transitions } = explained;
    let mode = if mode == "auto" { String::new() } else { format!(" ({mode})") };
    let mut text = format!("{name}: {state}{mode}\n\n");
    for sentence in explanation {
        text.push_str(&format!("  {sentence}\n"));
    }
    if recent_transitions.is_empty() {
        return text;
    }
    text.push_str("\nWhat this instance saw, newest first\n\n");
    for moment in recent_transitions.iter().take(SHOWN) {
        let Moment { at, mode, task_ids, .. } = moment;
        let at = at.as_deref().unwrap_or("-");
        let shadow = if mode == "shadow" { ", in shadow" } else { "" };
        let task = task_ids.last().map(|id| format!(", task {id}")).unwrap_or_default();
        text.push_str(&format!("  {at}  {}{shadow}{task}\n", moved(moment)));
    }
    text
}

/// What happened. The fleet may change how an open circuit is open.
fn moved(Moment { from, to, cause, open_for_ms, .. }: &Moment) -> String {
    match (from == to, open_for_ms) {
        (false, _) => format!("{from} to {to}: {cause}"),
        (true, 0) => format!("still {to}: the fleet tries it"),
        (true, ms) => {
            format!("still {to}: by the fleet, for {}", show_span(Duration::from_millis(*ms)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, moved};

    fn moment(from: &str, to: &str, cause: &str, open_for_ms: u64) -> String {
        let [from, to, cause] = [from, to, cause].map(str::to_owned);
        let (at, mode, task_ids) = (None, "auto".to_owned(), Vec::new());
        moved(&Moment { at, from, to, cause, open_for_ms, mode, task_ids })
    }

    #[test]
    fn what_the_fleet_makes_of_an_open_circuit_is_told_in_words() {
        let opened = moment("CLOSED", "OPEN", "consecutive_failures", 60_000);
        assert_eq!(opened, "CLOSED to OPEN: consecutive_failures");
        assert_eq!(moment("OPEN", "OPEN", "fleet", 60_000), "still OPEN: by the fleet, for 1m");
        assert_eq!(moment("OPEN", "OPEN", "fleet", 0), "still OPEN: the fleet tries it");
    }
}
