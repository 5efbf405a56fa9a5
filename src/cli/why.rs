//! `fusebox why`: what sets the failures of an operation apart.

use std::io::{self, Write};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::{
    ask::{Target, finish},
    client::{Client, Error, segment},
    exit::Exit,
    settings,
};

/// `fusebox why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The task's domain: the upstream's name, unless its route says otherwise.
    domain: String,
    /// The task's action: the route's name, unless it says otherwise.
    action: String,
    #[command(flatten)]
    target: Target,
    /// Only calls of this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only calls to this upstream.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Only calls that began at this time or later: an instant or an age such as 2h [default: a day
    /// ago].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only calls that began before this time [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// What of the answer is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    calls: u64,
    failures: u64,
    is_cut: bool,
    from: Option<String>,
    summary: String,
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
    values: Vec<Told>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    value: String,
    calls: u64,
    failures: u64,
    failure_rate: f64,
    risk_ratio: Option<f64>,
    explains: f64,
    significance: Option<String>,
}

/// Runs it.
pub(super) fn why(arguments: &Why) -> Exit {
    let client = arguments.target.client(&settings::environment());
    finish(async move { run(&client, arguments, &mut io::stdout().lock()).await })
}

async fn run(client: &Client, arguments: &Why, out: &mut impl Write) -> Result<(), Error> {
    let given = [
        ("domain", Some(&arguments.domain)),
        ("action", Some(&arguments.action)),
        ("service", arguments.service.as_ref()),
        ("upstream", arguments.upstream.as_ref()),
        ("from", arguments.from.as_ref()),
        ("to", arguments.to.as_ref()),
    ];
    let pairs = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<_> = pairs.map(|(name, value)| format!("{name}={}", segment(value))).collect();
    let path = format!("/api/v1/tasks/failures?{}", query.join("&"));
    if arguments.json {
        let whole: Value = client.data(&path).await?;
        writeln!(out, "{whole:#}")?;
        return Ok(());
    }
    let answer: Answer = client.data(&path).await?;
    out.write_all(text(&arguments.domain, &arguments.action, &answer).as_bytes())?;
    Ok(())
}

/// The summary, and each value that goes with failures beyond chance.
fn text(domain: &str, action: &str, answer: &Answer) -> String {
    let Answer { calls, failures, summary, attributes, .. } = answer;
    let mut text =
        format!("{domain} {action}: {failures} of {calls} calls failed\n\n  {summary}\n");
    let told = attributes.iter().flat_map(|of| of.values.iter().map(move |value| (of, value)));
    let mut told: Vec<_> = told.filter(|(_, value)| value.significance.is_some()).collect();
    // As the summary has it: the surest first, and of these whoever explains most.
    let sureness = |value: &Told| match value.significance.as_deref() {
        Some("high") => 0,
        Some("medium") => 1,
        _ => 2,
    };
    told.sort_by(|(_, a), (_, b)| {
        sureness(a).cmp(&sureness(b)).then(b.explains.total_cmp(&a.explains))
    });
    if !told.is_empty() {
        let heads = ["WITH", "FAILED", "RATE", "TIMES LIKELIER", "EXPLAINS", "EVIDENCE"];
        let [with, failed, rate, likelier, explains, evidence] = heads;
        text.push_str(&format!(
            "\n  {with:<32}  {failed:>14}  {rate:>7}  {likelier:>14}  {explains:>8}  {evidence}\n"
        ));
    }
    for (attribute, value) in told {
        let with = format!("{} {}", attribute.name, value.value);
        let failed = format!("{} of {}", value.failures, value.calls);
        let rate = format!("{:.1} %", 100.0 * value.failure_rate);
        let likelier =
            value.risk_ratio.map_or_else(|| "-".to_owned(), |times| format!("{times:.1}"));
        let explains = format!("{:.0} %", 100.0 * value.explains);
        let evidence = value.significance.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "  {with:<32}  {failed:>14}  {rate:>7}  {likelier:>14}  {explains:>8}  {evidence}\n"
        ));
    }
    if answer.is_cut {
        let from = answer.from.as_deref().unwrap_or("-");
        text.push_str(&format!("\n  Calls before {from} were not looked at.\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Answer, text};
    use serde_json::json;

    #[test]
    fn the_guilty_are_listed_with_what_they_explain() {
        let told = |value: &str, failures, significance| {
            json!({
                "value": value, "calls": 1_000, "failures": failures, "failureRate": 0.118,
                "riskRatio": 10.7, "explains": 0.76, "significance": significance,
            })
        };
        let answer: Answer = serde_json::from_value(json!({
            "calls": 3_000, "failures": 140, "isCut": true, "from": "2026-11-22T10:00:00Z",
            "summary": "instance i-3 explains 76 % of the 140 failures",
            "attributes": [{
                "name": "instance",
                "values": [told("i-3", 118, json!("high")), told("i-1", 10, json!(null))],
            }],
        }))
        .unwrap();
        let shown = text("music", "beat", &answer);
        let expected = "\
music beat: 140 of 3000 calls failed

  instance i-3 explains 76 % of the 140 failures

  WITH                                      FAILED     RATE  TIMES LIKELIER  EXPLAINS  EVIDENCE
  instance i-3                         118 of 1000   11.8 %            10.7      76 %  high

  Calls before 2026-11-22T10:00:00Z were not looked at.
";
        assert_eq!(shown, expected);
    }
}
