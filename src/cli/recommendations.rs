//! `fusebox recommendations`: which parameters work best, as the admin port tells it.

use std::io::{self, Write};

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    ask::{Target, finish},
    client::{Client, Error, segment},
    exit::Exit,
    settings,
};

/// `fusebox recommendations`.
#[derive(Debug, Args)]
pub(super) struct Recommendations {
    /// The task's domain; without it, the operations that have parameters are listed.
    #[arg(requires = "action")]
    domain: Option<String>,
    /// The task's action.
    action: Option<String>,
    #[command(flatten)]
    target: Target,
    /// What is to be improved [default: what the route says].
    #[arg(
        long,
        value_name = "GOAL",
        value_parser = ["success_rate", "impact", "duration", "cost_per_success"],
        requires = "action"
    )]
    goal: Option<String>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// An operation that has parameters.
#[derive(Deserialize)]
struct Operation {
    domain: String,
    action: String,
    tasks: u64,
}

/// What of the answer is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    goal: String,
    summary: String,
    caveats: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    parameters: Map<String, Value>,
    status: String,
    effect: Option<String>,
    with: Tallies,
    without: Tallies,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tallies {
    tasks: u64,
    success_rate: Option<f64>,
    average_impact_score: Option<f64>,
    typical_duration_ms: Option<f64>,
    cost_per_success: Option<f64>,
}

/// Runs it.
pub(super) fn recommendations(arguments: &Recommendations) -> Exit {
    let client = arguments.target.client(&settings::environment());
    finish(async move { run(&client, arguments, &mut io::stdout().lock()).await })
}

async fn run(
    client: &Client,
    arguments: &Recommendations,
    out: &mut impl Write,
) -> Result<(), Error> {
    let given = [
        ("domain", arguments.domain.as_ref()),
        ("action", arguments.action.as_ref()),
        ("goal", arguments.goal.as_ref()),
    ];
    let pairs = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<_> = pairs.map(|(name, value)| format!("{name}={}", segment(value))).collect();
    let path = format!("/api/v1/recommendations?{}", query.join("&"));
    if arguments.json {
        let whole: Value = client.data(&path).await?;
        writeln!(out, "{whole:#}")?;
        return Ok(());
    }
    let text = match (&arguments.domain, &arguments.action) {
        (Some(domain), Some(action)) => told(domain, action, &client.data(&path).await?),
        _ => listed(&client.data::<Vec<Operation>>(&path).await?),
    };
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn listed(operations: &[Operation]) -> String {
    if operations.is_empty() {
        return "no operation had parameters on a day that is over\n".to_owned();
    }
    let mut text = format!("{:<32}  {:<32}  {:>9}\n", "DOMAIN", "ACTION", "TASKS");
    for Operation { domain, action, tasks } in operations {
        text.push_str(&format!("{domain:<32}  {action:<32}  {tasks:>9}\n"));
    }
    text
}

/// The summary, and the settings that pass every gate.
fn told(domain: &str, action: &str, answer: &Answer) -> String {
    let Answer { status, goal, summary, caveats, findings } = answer;
    let mut text = format!("{domain} {action}: {status}, by {goal}\n\n  {summary}\n");
    for caveat in caveats {
        text.push_str(&format!("  ({caveat})\n"));
    }
    let passed: Vec<_> = findings.iter().filter(|finding| finding.effect.is_some()).collect();
    if !passed.is_empty() {
        text.push_str(&format!(
            "\n  {:<40}  {:>9}  {:>12}  {:>12}  {:<6}  {}\n",
            "WITH", "TASKS", "WITH", "WITHOUT", "EFFECT", "STATUS"
        ));
    }
    for Finding { parameters, status, effect, with, without } in passed {
        let setting: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
        let (setting, tasks) = (setting.join(" "), with.tasks);
        let [with, without] = [with, without].map(|tallies| figure(goal, tallies));
        let effect = effect.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "  {setting:<40}  {tasks:>9}  {with:>12}  {without:>12}  {effect:<6}  {status}\n"
        ));
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(absent)".to_owned(),
        Value::String(word) => word.clone(),
        Value::Array(ends) => ends.iter().map(Value::to_string).collect::<Vec<_>>().join(".."),
        other => other.to_string(),
    }
}

/// How good some tasks are in what is to be improved.
fn figure(goal: &str, tallies: &Tallies) -> String {
    let told = match goal {
        "impact" => tallies.average_impact_score.map(|mean| format!("{mean:.1}")),
        "duration" => tallies.typical_duration_ms.map(|ms| format!("{ms:.0} ms")),
        "cost_per_success" => tallies.cost_per_success.map(|cost| format!("{cost:.6} USD")),
        _ => tallies.success_rate.map(|rate| format!("{:.1} %", 100.0 * rate)),
    };
    told.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Answer, listed, told};
    use serde_json::json;

    #[test]
    fn what_passes_every_gate_is_listed_with_how_good_it_is() {
        let tallies = |tasks, rate| json!({ "tasks": tasks, "successRate": rate });
        let answer: Answer = serde_json::from_value(json!({
            "status": "confirmed", "goal": "success_rate",
            "summary": "bpm=90..120, genre=jazz: 94.0 % of 1500 tasks succeeded, against 85.0 % of all",
            "caveats": ["observed together, which is no proof of a cause"],
            "findings": [
                {
                    "parameters": { "bpm": [90, 120], "genre": "jazz" }, "status": "confirmed",
                    "effect": "better", "with": tallies(1_500, 0.94), "without": tallies(1_500, 0.76),
                },
                {
                    "parameters": { "key": null }, "status": "collecting", "effect": null,
                    "with": tallies(40, 0.9), "without": tallies(2_960, 0.85),
                },
            ],
        }))
        .unwrap();
        let expected = "\
music beat: confirmed, by success_rate

  bpm=90..120, genre=jazz: 94.0 % of 1500 tasks succeeded, against 85.0 % of all
  (observed together, which is no proof of a cause)

  WITH                                          TASKS          WITH       WITHOUT  EFFECT  STATUS
  bpm=90..120 genre=jazz                         1500        94.0 %        76.0 %  better  confirmed
";
        assert_eq!(told("music", "beat", &answer), expected);
    }

    #[test]
    fn without_operations_it_says_so() {
        assert_eq!(listed(&[]), "no operation had parameters on a day that is over\n");
    }
}
