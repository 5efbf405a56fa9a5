//! An answer with statistics, as lines for people.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{
    rows::show_us,
    screen::Screen,
    sheet::{Sheet, Side},
};

/// What of an answer is printed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    from: Option<String>,
    to: Option<String>,
    domain: Option<String>,
    action: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    #[serde(default)]
    operations: Vec<Operation>,
    grouped: Option<Grouped>,
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    domain: String,
    action: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Debug, Deserialize)]
struct Group {
    key: Map<String, Value>,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grouped {
    from: String,
    exact: bool,
    rows: Option<u64>,
    covers: Option<f64>,
    left_out: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    total: u64,
    success_rate: Option<f64>,
    success_rate_interval: Option<Interval>,
    average_duration_ms: Option<f64>,
    #[serde(rename = "p50Ms")]
    p50_ms: Option<f64>,
    #[serde(rename = "p95Ms")]
    p95_ms: Option<f64>,
    #[serde(rename = "p99Ms")]
    p99_ms: Option<f64>,
    average_impact_score: Option<f64>,
    cost_per_success: Option<f64>,
    wasted_cost: Option<f64>,
    common_failure_reasons: Vec<Reason>,
}

#[derive(Debug, Clone, Deserialize)]
struct Interval {
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Reason {
    reason: String,
    count: u64,
    share: Option<f64>,
    rate: Option<f64>,
    before: Option<Before>,
    trend: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Before {
    rate: Option<f64>,
}

impl Statistics {
    /// As a table, with what there is to say about it.
    pub(super) fn lines(&self, screen: Screen) -> Vec<String> {
        let mut lines = match &self.grouped {
            Some(_) => self.groups().lines(screen),
            None => self.operations().lines(screen),
        };
        lines.push(self.summary());
        lines.extend(self.grouped.as_ref().and_then(Grouped::note));
        let reasons = self.reasons();
        if self.grouped.is_none() && !reasons.is_empty() {
            lines.push(String::new());
            lines.extend(reasons.lines(screen));
        }
        lines
    }

    /// A line for each operation; the one that was asked for is the answer itself.
    fn operations(&self) -> Sheet {
        let mut sheet = sheet(["DOMAIN", "ACTION"]);
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        if let (Some(_), Some(_)) = (&self.domain, &self.action) {
            sheet.push(row([name(&self.domain), name(&self.action)], &self.figures));
        }
        for Operation { domain, action, figures } in &self.operations {
            sheet.push(row([domain.clone(), action.clone()], figures));
        }
        sheet
    }

    fn groups(&self) -> Sheet {
        let known = self.groups.first().map(|group| &group.key);
        let named: Vec<&'static str> = NAMES
            .into_iter()
            .filter(|(name, _)| known.is_some_and(|key| key.contains_key(*name)))
            .map(|(_, heading)| heading)
            .collect();
        let mut sheet = sheet(named);
        for Group { key, figures } in &self.groups {
            let cell = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let cells = NAMES.iter().filter_map(|(name, _)| key.get(*name)).map(cell);
            sheet.push(row(cells, figures));
        }
        sheet
    }

    /// Why tasks did not succeed.
    fn reasons(&self) -> Sheet {
        let mut sheet = Sheet::new(vec![
            ("REASON", Side::Left),
            ("COUNT", Side::Right),
            ("OF FAILURES", Side::Right),
            ("OF ALL", Side::Right),
            ("BEFORE", Side::Right),
            ("TREND", Side::Left),
        ]);
        for one in &self.figures.common_failure_reasons {
            let before = one.before.as_ref().and_then(|before| before.rate);
            sheet.push(vec![
                one.reason.clone(),
                one.count.to_string(),
                percent(one.share),
                percent(one.rate),
                percent(before),
                one.trend.clone().unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
        sheet
    }

    fn summary(&self) -> String {
        let short =
            |time: &Option<String>| time.as_deref().and_then(|t| t.get(..16)).map(str::to_owned);
        let (from, to) = (short(&self.from), short(&self.to));
        let window = format!(
            "from {}Z to {}Z",
            from.as_deref().unwrap_or(NONE),
            to.as_deref().unwrap_or(NONE)
        );
        let total = self.figures.total;
        let mut text = format!("{total} task{} {window}", if total == 1 { "" } else { "s" });
        if let Some(Interval { low, high }) = &self.figures.success_rate_interval {
            let (rate, low, high) =
                (percent(self.figures.success_rate), percent(Some(*low)), percent(Some(*high)));
            // Writing to a string cannot fail.
            write!(text, "; {rate} succeeded (95 % sure: {low} to {high})").ok();
        }
        text
    }
}

impl Grouped {
    /// What is not told by the groups.
    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.from == "rows" {
            let rows = self.rows.unwrap_or_default();
            let covers = percent(self.covers);
            let exact = if self.exact { "exact" } else { "not exact" };
            notes.push(format!("from {rows} rows, which stand for {covers} of the tasks; {exact}"));
        }
        if self.left_out > 0 {
            notes.push(format!("{} groups with fewer tasks are left out", self.left_out));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// What groups may be named by, and the headings.
const NAMES: [(&str, &str); 7] = [
    ("bucket", "FROM (UTC)"),
    ("domain", "DOMAIN"),
    ("action", "ACTION"),
    ("service", "SERVICE"),
    ("upstream", "UPSTREAM"),
    ("version", "VERSION"),
    ("instance", "INSTANCE"),
];

fn sheet(names: impl IntoIterator<Item = &'static str>) -> Sheet {
    let numbers =
        ["TASKS", "SUCCESS", "AVERAGE", "P50", "P95", "P99", "IMPACT", "COST/OK", "WASTED"];
    let names = names.into_iter().map(|name| (name, Side::Left));
    let numbers = numbers.into_iter().map(|name| (name, Side::Right));
    Sheet::new(names.chain(numbers).chain([("MOSTLY", Side::Left)]).collect())
}

fn row(names: impl IntoIterator<Item = String>, figures: &Figures) -> Vec<String> {
    let mostly = figures.common_failure_reasons.first().map(|top| {
        let share = percent(top.share);
        format!("{} {share}", top.reason)
    });
    let numbers = [
        figures.total.to_string(),
        percent(figures.success_rate),
        millis(figures.average_duration_ms),
        millis(figures.p50_ms),
        millis(figures.p95_ms),
        millis(figures.p99_ms),
        figures.average_impact_score.map_or_else(none, |score| format!("{score:.1}")),
        dollars(figures.cost_per_success),
        dollars(figures.wasted_cost),
        mostly.unwrap_or_else(none),
    ];
    names.into_iter().chain(numbers).collect()
}

/// What is not known.
const NONE: &str = "-";

fn none() -> String {
    NONE.to_owned()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(none, |share| format!("{:.2}%", share * 100.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
fn millis(ms: Option<f64>) -> String {
    ms.map_or_else(none, |ms| show_us((ms * 1_000.0).round() as u64))
}

/// US dollars, with as many digits as small amounts need.
fn dollars(amount: Option<f64>) -> String {
    amount.map_or_else(none, |amount| match amount {
        _ if amount >= 1.0 => format!("${amount:.2}"),
        _ => format!("${amount:.6}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Statistics, dollars};
    use crate::cli::screen::Screen;

    fn figures(total: u64) -> serde_json::Value {
        json!({
            "total": total, "successRate": 0.8, "successRateInterval": {"low": 0.49, "high": 0.9433},
            "averageDurationMs": 1200.0, "p50Ms": 900.0, "p95Ms": 5000.0, "p99Ms": 5000.0,
            "averageImpactScore": 75.0, "costPerSuccess": 0.0125, "wastedCost": 0.02,
            "commonFailureReasons": [{"reason": "timeout_total", "count": 2, "share": 1.0,
                "rate": 0.2, "before": {"count": 0, "share": null, "rate": 0.0}, "trend": "rising"}],
        })
    }

    fn lines(more: serde_json::Value) -> Vec<String> {
        let mut answer = figures(10);
        let window = json!({"from": "2026-11-22T10:00:00Z", "to": "2026-11-23T10:00:00Z"});
        for part in [window, more] {
            let part = part.as_object().cloned().unwrap_or_default();
            answer.as_object_mut().unwrap().extend(part);
        }
        let found: Statistics = serde_json::from_value(answer).unwrap();
        found.lines(Screen::PLAIN)
    }

    #[test]
    fn one_operation_is_a_line_and_its_reasons() {
        assert_eq!(
            lines(json!({"domain": "music", "action": "generate-beat"})),
            [
                "DOMAIN  ACTION         TASKS  SUCCESS  AVERAGE    P50   P95   P99  IMPACT    COST/OK     WASTED  MOSTLY",
                "music   generate-beat     10   80.00%     1.2s  900ms  5.0s  5.0s    75.0  $0.012500  $0.020000  timeout_total 100.00%",
                "10 tasks from 2026-11-22T10:00Z to 2026-11-23T10:00Z; 80.00% succeeded (95 % sure: 49.00% to 94.33%)",
                "",
                "REASON         COUNT  OF FAILURES  OF ALL  BEFORE  TREND",
                "timeout_total      2      100.00%  20.00%   0.00%  rising",
            ]
        );
    }

    #[test]
    fn groups_are_lines_and_what_they_were_made_of_is_told() {
        let mut group = figures(10);
        group["key"] = json!({"bucket": "2026-11-22T10:00:00Z", "version": "1.2"});
        let grouped = json!({"by": ["version"], "from": "rows", "exact": false, "rows": 9,
            "covers": 0.9, "leftOut": 2});
        let lines = lines(json!({"grouped": grouped, "groups": [group]}));
        assert!(lines[0].starts_with("FROM (UTC)            VERSION  TASKS"), "{lines:?}");
        assert!(lines[1].starts_with("2026-11-22T10:00:00Z  1.2         10   80.00%"), "{lines:?}");
        assert_eq!(
            lines[3],
            "from 9 rows, which stand for 90.00% of the tasks; not exact; 2 groups with fewer tasks are left out"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn money_has_the_digits_that_it_needs() {
        let shown = [None, Some(0.0), Some(0.000_012), Some(3.456)].map(dollars);
        assert_eq!(shown, ["-", "$0.000000", "$0.000012", "$3.46"]);
    }
}
