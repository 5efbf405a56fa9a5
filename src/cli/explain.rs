//! `fusebox explain`: why a circuit breaker is as it is, in plain words.

use std::io::Write;

use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Error, segment};

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
struct Moment {
    at: Option<String>,
    from: String,
    to: String,
    cause: String,
    mode: String,
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
        let Moment { at, from, to, cause, mode } = moment;
        let at = at.as_deref().unwrap_or("-");
        let shadow = if mode == "shadow" { ", in shadow" } else { "" };
        text.push_str(&format!("  {at}  {from} to {to}: {cause}{shadow}\n"));
    }
    text
}
