//! `fusebox breaker`: people steer a circuit breaker of a running Fusebox.

use std::{io::Write, time::Duration};

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Error, segment};
use crate::domain::{order::who, units::show_span};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed<'a> {
    /// To which breaker.
    pub name: &'a str,
    /// Which.
    pub verb: Verb,
    /// Why.
    pub reason: Option<&'a str>,
    /// Who does it.
    pub by: Option<&'a str>,
    /// For how long, with its unit.
    pub ttl: Option<&'a str>,
    /// On the instance that is asked alone.
    pub here_only: bool,
}

/// What can be done to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Refuse every call.
    Open,
    /// Pass every call, and count.
    Close,
    /// Pass every call, and do not count.
    Disable,
    /// Pass every call, and tell which would have been refused.
    Shadow,
    /// Follow the configuration again.
    Auto,
    /// The same, closed and as if nothing had failed.
    Reset,
}

impl Verb {
    /// The request that does it: its method and the end of its path.
    const fn request(self) -> (Method, &'static str) {
        match self {
            Self::Open => (Method::POST, "open"),
            Self::Close => (Method::POST, "close"),
            Self::Disable => (Method::POST, "disable"),
            Self::Shadow => (Method::POST, "shadow"),
            Self::Auto => (Method::DELETE, "override"),
            Self::Reset => (Method::POST, "reset"),
        }
    }
}

/// What of the answer is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Steered {
    state: String,
    mode: String,
    order: Option<Order>,
    /// Where it is not for all that share the breaker.
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    by: String,
    left_ms: Option<u64>,
}

/// Does it and prints what the breaker is like then.
///
/// # Errors
/// There is no answer, or it is an error: an order without a reason, say.
pub async fn run(
    client: &Client,
    deed: &Deed<'_>,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), Error> {
    let (method, end) = deed.verb.request();
    let path = format!("/api/v1/circuit-breakers/{}/{end}", segment(deed.name));
    let scope = deed.here_only.then_some("instance");
    let said = [("reason", deed.reason), ("by", deed.by), ("ttl", deed.ttl), ("scope", scope)];
    let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    let body = Value::Object(said.collect());
    if as_json {
        let whole: Value = client.change(method, &path, &body).await?;
        writeln!(out, "{whole:#}")?;
        return Ok(());
    }
    let steered: Steered = client.change(method, &path, &body).await?;
    writeln!(out, "{}", sentence(deed.name, &steered))?;
    Ok(())
}

/// What the breaker is like then.
fn sentence(name: &str, steered: &Steered) -> String {
    let Steered { state, mode, order, note } = steered;
    let note = note.as_ref().map(|note| format!("\n{note}")).unwrap_or_default();
    let (is, does) = match mode.as_str() {
        "forced_open" => ("is forced open", "every call is refused"),
        "forced_closed" => ("is forced closed", "every call passes, and is counted"),
        "disabled" => ("is disabled", "every call passes, and nothing is counted"),
        "shadow" => ("is in shadow", "every call passes, and what would be refused is counted"),
        _ => return format!("{name} follows its rules: it is {state}.{note}"),
    };
    let until = match order {
        None => "as configured".to_owned(),
        Some(Order { by, left_ms: None }) => format!("by {}, until that is lifted", who(by)),
        Some(Order { by, left_ms: Some(left) }) => {
            format!("by {}, for {}", who(by), show_span(Duration::from_millis(*left)))
        }
    };
    format!("{name} {is} {until}: {does}.{note}")
}
