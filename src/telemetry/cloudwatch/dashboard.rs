//! The dashboard of a fleet: three widgets a row, what hurts first.

use serde_json::{Value, json};

use super::{ENVIRONMENT, Fleet, MINUTE, id};
use crate::domain::emf::{Metric, NAMESPACE};

/// The body that `aws cloudwatch put-dashboard --dashboard-body` takes.
pub fn dashboard(fleet: &Fleet) -> Value {
    let board = Board(fleet);
    let widgets = [
        board.metric("Open circuits", Metric::CircuitBreakersOpen, MINUTE),
        board.metric("State changes", Metric::CircuitStateChanges, MINUTE),
        board.metric("Rejected requests", Metric::RejectedRequests, MINUTE),
        board.metric("Tasks per hour", Metric::TasksPerHour, HOUR),
        board.success_rate(),
        board.metric("Average duration (ms)", Metric::AverageDurationMs, MINUTE),
        board.metric("Cost per task (US dollars)", Metric::CostPerTask, HOUR),
        board.query("Error rate (% of calls)", ERRORS),
        board.query("Request latency (ms)", LATENCY),
        board.log_volume(),
        board.query("Lines of calls with a correlation id (%)", CORRELATED),
    ];
    let placed = widgets.into_iter().enumerate().map(|(index, mut widget)| {
        widget["x"] = json!(index % PER_ROW * WIDTH);
        widget["y"] = json!(index / PER_ROW * HEIGHT);
        widget["width"] = json!(WIDTH);
        widget["height"] = json!(HEIGHT);
        widget
    });
    json!({ "widgets": placed.collect::<Vec<_>>() })
}

/// What widgets are made for.
struct Board<'a>(&'a Fleet);

impl Board<'_> {
    fn metric(&self, title: &str, metric: Metric, period: u32) -> Value {
        if let Some(parts) = metric.quotient() {
            let [sum, count] = parts.map(id);
            // There is no point where there is nothing to divide.
            return self.expression(title, &format!("{sum} / {count}"), parts, period);
        }
        let of_all = json!([
            NAMESPACE,
            metric.name(),
            ENVIRONMENT,
            self.0.environment,
            { "stat": metric.statistic(), "label": metric.name() }
        ]);
        self.series(title, &json!([of_all]), period)
    }

    fn success_rate(&self) -> Value {
        let parts = [Metric::FailedTasks, Metric::JudgedTasks];
        let [failed, judged] = parts.map(id);
        let share = format!("100 * (1 - {failed} / {judged})");
        self.expression("Success rate (%)", &share, parts, MINUTE)
    }

    fn expression(&self, title: &str, expression: &str, of: [Metric; 2], period: u32) -> Value {
        let [first, second] = of.map(|metric| {
            json!([
                NAMESPACE,
                metric.name(),
                ENVIRONMENT,
                self.0.environment,
                { "stat": metric.statistic(), "id": id(metric), "visible": false }
            ])
        });
        let shown = json!([{ "expression": expression, "label": title, "id": "quotient" }]);
        self.series(title, &json!([shown, first, second]), period)
    }

    fn log_volume(&self) -> Value {
        let metrics = json!([
            ["AWS/Logs", "IncomingBytes", "LogGroupName", self.0.log_group(), { "stat": "Sum" }]
        ]);
        self.series("Log volume (bytes)", &metrics, HOUR)
    }

    fn series(&self, title: &str, metrics: &Value, period: u32) -> Value {
        json!({
            "type": "metric",
            "properties": {
                "title": title,
                "region": self.0.region,
                "view": "timeSeries",
                "period": period,
                "metrics": metrics,
                "yAxis": { "left": { "min": 0 } },
            }
        })
    }

    /// What no metric tells is read from the lines of calls.
    fn query(&self, title: &str, statistics: &str) -> Value {
        let query = format!(
            "SOURCE '{}' | filter message = 'call' | stats {statistics} by bin(5m)",
            self.0.log_group()
        );
        json!({
            "type": "log",
            "properties": {
                "title": title,
                "region": self.0.region,
                "view": "timeSeries",
                "query": query,
            }
        })
    }
}

/// Seconds that make one point of what is rare.
const HOUR: u32 = 3_600;

/// Of the 24 columns and as many rows as there are.
const WIDTH: usize = 8;
const HEIGHT: usize = 6;
const PER_ROW: usize = 3;

/// Fields are those of the lines of calls, see `telemetry::log`.
const ERRORS: &str = "100 * (1 - avg(strcontains(outcome, 'success'))) as errors";
const LATENCY: &str =
    "pct(durationMs, 50) as p50, pct(durationMs, 95) as p95, pct(durationMs, 99) as p99";
const CORRELATED: &str = "100 * count(correlationId) / count(*) as correlated";
