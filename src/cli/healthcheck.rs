//! `fusebox healthcheck`: is the Fusebox on this admin port alive, or ready?
//!
//! For orchestrators: exit code 0 when it is, 5 when it says that it is not, 4 when nothing answers.
//! No token is needed. Neither question depends on Postgres or on an upstream.

use std::io::Write;

use http::StatusCode;
use serde_json::{Value, json};

use super::client::{Client, Error, message};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Whether it answers.
    Live,
    /// Whether calls may be sent to it.
    Ready,
}

/// Asks once and prints one line.
///
/// # Errors
/// It does not answer, or answers that it is not well.
pub async fn run(
    client: &Client,
    probe: Probe,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), Error> {
    let (path, good) = match probe {
        Probe::Live => ("/live", "live"),
        Probe::Ready => ("/ready", "ready"),
    };
    let (status, body) = client.get(path).await?;
    if status != StatusCode::OK {
        return Err(Error::Unhealthy(message(&body)));
    }
    // Any web server may answer 200; only this one says so.
    let says_so = serde_json::from_slice::<Value>(&body)
        .is_ok_and(|body| body.pointer(&format!("/data/{good}")) == Some(&Value::Bool(true)));
    if !says_so {
        return Err(Error::Unhealthy("whatever answered is no Fusebox".to_owned()));
    }
    if as_json {
        writeln!(out, "{}", json!({ good: true }))?;
    } else {
        writeln!(out, "{good}")?;
    }
    Ok(())
}
