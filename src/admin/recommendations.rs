//! `/api/v1/recommendations`: which parameters work best, and how sure that is.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
};
use crate::{
    domain::learn::{
        cell::Cell,
        contrast::{Contrast, Goal},
        interval::{Interval, Z_95},
        recommend::{Advice, Effect, Finding, Policy, Report},
        setting::{Bin, Setting},
    },
    store::OperationName,
};

/// Findings that are listed at most.
const LISTED: usize = 20;

/// What `data` holds for one operation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecommendationJson {
    /// `collecting`, `hint` or `confirmed`.
    status: &'static str,
    /// What is to be improved.
    goal: &'static str,
    /// Tasks that count, and how many are needed before anything is said.
    tasks: u64,
    tasks_needed: u64,
    /// Those whose combination was too rare to be compared: they count for each parameter by itself.
    tasks_uncombined: u64,
    /// What to do next time; empty while collecting.
    parameters: Map<String, Value>,
    /// What is known of it, in words.
    summary: String,
    expected: Option<ExpectedJson>,
    baseline: TalliesJson,
    /// Warnings that go with it.
    caveats: Vec<&'static str>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExpectedJson {
    /// Drawn towards all tasks, as far as few tasks say little.
    success_rate: f64,
    seen: TalliesJson,
}

/// Some tasks.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TalliesJson {
    tasks: u64,
    success_rate: Option<f64>,
    /// 95 %.
    success_rate_interval: [f64; 2],
    average_impact_score: Option<f64>,
    /// The geometric mean of those that succeeded.
    typical_duration_ms: Option<f64>,
    cost_per_success: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingJson {
    parameters: Map<String, Value>,
    status: &'static str,
    /// `better`, `worse`, or null: no effect that passes every gate.
    effect: Option<&'static str>,
    with: TalliesJson,
    without: TalliesJson,
    /// Of success rates and impact scores, the first less the second; of durations and costs, that
    /// of their logarithms. With its 95 % interval.
    difference: f64,
    difference_interval: [f64; 2],
    q_value: f64,
    /// What is left of it when like is compared with like.
    adjusted: AdjustedJson,
    /// Another goal that it does harm to.
    harms: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdjustedJson {
    verdict: &'static str,
    difference: f64,
    strata: usize,
}

/// `GET /api/v1/recommendations`
pub(super) async fn recommendations(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let asked = Asked::read(pairs, &["domain", "action", "goal"])?;
    let expected = "`success_rate`, `impact`, `duration` or `cost_per_success`";
    let goal = asked.parsed("goal", expected, Goal::parse)?;
    match (asked.owned("domain"), asked.owned("action")) {
        (Some(domain), Some(action)) => {
            let operation = OperationName { domain: domain.into(), action: action.into() };
            Ok(reply::data(of(&admin, &operation, goal).await?))
        }
        (None, None) if goal.is_some() => {
            Err(Fault::BadRequest("`goal` is asked for with `domain` and `action`".into()))
        }
        (None, None) => Ok(reply::data(all(&admin).await?)),
        _ => Err(Fault::BadRequest("`domain` and `action` are asked for together".into())),
    }
}

/// What is known about the parameters of an operation, for what its route says is to be improved
/// unless something else is asked.
pub(super) async fn of(
    admin: &Admin,
    operation: &OperationName,
    goal: Option<Goal>,
) -> Result<RecommendationJson, Fault> {
    let config = admin.sources.view.config();
    let goal = goal.unwrap_or_else(|| config.goal(&operation.domain, &operation.action));
    let report = admin.turns.read(admin.sources.advisor.report(operation, goal)).await?;
    Ok(RecommendationJson::from(&*report))
}

#[derive(Serialize)]
struct OperationJson {
    domain: Box<str>,
    action: Box<str>,
    tasks: u64,
}

/// The operations that have parameters.
async fn all(admin: &Admin) -> Result<Vec<OperationJson>, Fault> {
    let operations = admin.turns.read(admin.sources.advisor.operations()).await?;
    let json = |(OperationName { domain, action }, tasks)| OperationJson { domain, action, tasks };
    Ok(operations.into_iter().map(json).collect())
}

/// That of no operation.
impl Default for RecommendationJson {
    fn default() -> Self {
        Self::from(&Report::none(&Policy::default()))
    }
}

impl From<&Report> for RecommendationJson {
    fn from(report: &Report) -> Self {
        let advice = report.advice.as_ref();
        Self {
            status: report.status().as_str(),
            goal: report.goal.as_str(),
            tasks: report.total.tasks,
            tasks_needed: report.needed,
            tasks_uncombined: report.uncombined,
            parameters: advice.map(|advice| parameters(&advice.setting)).unwrap_or_default(),
            summary: summary(report),
            expected: advice.map(|advice| ExpectedJson {
                success_rate: rounded(advice.expected_success),
                seen: TalliesJson::from(&advice.seen),
            }),
            baseline: TalliesJson::from(&report.total),
            caveats: advice.map(caveats).unwrap_or_default(),
            findings: report.findings.iter().take(LISTED).map(FindingJson::from).collect(),
        }
    }
}

/// What there is to say, as a sentence. What was observed is never said to be a cause.
fn summary(report: &Report) -> String {
    let Report { total, needed, goal, .. } = report;
    let Some(advice) = &report.advice else {
        return if total.effective_tasks() < *needed {
            format!(
                "collecting: {} of {needed} tasks on days that are over (UTC)",
                total.effective_tasks()
            )
        } else if measured(*goal, total).is_none() {
            format!("none of {} tasks tells anything of {}", total.tasks, named(*goal))
        } else {
            format!("no setting stands out among {} tasks in {}", total.tasks, named(*goal))
        };
    };
    let shown: Vec<_> = advice.setting.iter().map(|(name, bin)| format!("{name}={bin}")).collect();
    let figure = |cell| measured(*goal, cell).unwrap_or_else(|| "unknown".to_owned());
    let (seen, all) = (figure(&advice.seen), figure(total));
    let (shown, tasks) = (shown.join(", "), advice.seen.tasks);
    let what = match goal {
        Goal::Success => {
            return format!("{shown}: {seen} of {tasks} tasks succeeded, against {all} of all");
        }
        Goal::Impact => "impact",
        Goal::Duration => "typical duration",
        Goal::Cost => "cost per success",
    };
    format!("{shown}: {what} {seen} of {tasks} tasks, against {all} of all")
}

/// What is to be improved, in words.
const fn named(goal: Goal) -> &'static str {
    match goal {
        Goal::Success => "their success rate",
        Goal::Impact => "their impact",
        Goal::Duration => "their duration",
        Goal::Cost => "their cost per success",
    }
}

/// How good some tasks were, with a unit; none where nothing tells.
fn measured(goal: Goal, cell: &Cell) -> Option<String> {
    match goal {
        Goal::Success => (cell.tasks > 0).then(|| format!("{:.1} %", 100.0 * cell.share().rate())),
        Goal::Impact => cell.impact.mean().map(|mean| format!("{mean:.1}")),
        Goal::Duration => {
            cell.typical_seconds().map(|seconds| format!("{:.0} ms", 1_000.0 * seconds))
        }
        Goal::Cost => cell.cost.per_success().map(|dollars| format!("{dollars:.6} USD")),
    }
}

fn caveats(advice: &Advice) -> Vec<&'static str> {
    let mut caveats = vec!["observed together, which is no proof of a cause"];
    if advice.untested_combination {
        caveats.push("these values were hardly ever used together");
    }
    caveats
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        let Contrast { difference, interval, .. } = finding.contrast;
        Self {
            parameters: parameters(&finding.setting),
            status: finding.status.as_str(),
            effect: finding.effect.map(|effect| match effect {
                Effect::Better => "better",
                Effect::Worse => "worse",
            }),
            with: TalliesJson::from(&finding.cell),
            without: TalliesJson::from(&finding.rest),
            difference: rounded(difference),
            difference_interval: ends(interval),
            q_value: finding.q_value,
            adjusted: AdjustedJson {
                verdict: finding.adjusted.verdict.as_str(),
                difference: rounded(finding.adjusted.difference),
                strata: finding.adjusted.strata,
            },
            harms: finding.harms.map(Goal::as_str),
        }
    }
}

impl From<&Cell> for TalliesJson {
    fn from(cell: &Cell) -> Self {
        Self {
            tasks: cell.tasks,
            success_rate: (cell.tasks > 0).then(|| rounded(cell.share().rate())),
            success_rate_interval: ends(cell.effective_share().wilson(Z_95)),
            average_impact_score: cell.impact.mean().map(rounded),
            typical_duration_ms: cell.typical_seconds().map(|seconds| rounded(1_000.0 * seconds)),
            cost_per_success: cell.cost.per_success(),
        }
    }
}

/// Numbers as numbers, ranges as `[from, to]`; a value that is absent is null.
fn parameters(setting: &Setting) -> Map<String, Value> {
    let value = |bin: &Bin| match bin {
        Bin::Absent => Value::Null,
        Bin::Numbers(low, high) if low == high => number(low.value()),
        Bin::Numbers(low, high) => Value::from(vec![number(low.value()), number(high.value())]),
        Bin::Text(_) | Bin::Other => Value::from(bin.to_string()),
    };
    setting.iter().map(|(name, bin)| (name.to_owned(), value(bin))).collect()
}

/// Whole numbers without a fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers below 2^53 have no fraction to lose"
)]
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 9e15 { Value::from(x as i64) } else { Value::from(x) }
}

fn ends(interval: Interval) -> [f64; 2] {
    [rounded(interval.low), rounded(interval.high)]
}

/// To four digits behind the point.
fn rounded(x: f64) -> f64 {
    (x * 10_000.0).round() / 10_000.0
}
