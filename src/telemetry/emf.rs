//! Lines for CloudWatch, in its embedded metric format: a line of the log that CloudWatch makes
//! metrics of, without an agent and without a call to its API.
//!
//! What a line says is decided in [`crate::domain::emf`]; when it is written, by whoever writes it.

use serde_json::{Value, json};

use super::log::Lane;
use crate::domain::emf::{Dimensions, Metric};

/// Writes the lines.
#[derive(Debug)]
pub struct Lines {
    lane: Lane,
    namespace: String,
    dimensions: Dimensions,
}

impl Lines {
    /// Lines into this lane.
    pub const fn new(lane: Lane, namespace: String, dimensions: Dimensions) -> Self {
        Self { lane, namespace, dimensions }
    }

    /// Writes a line; `at_us` is the end of its minute, in microseconds since the Unix epoch.
    pub fn write(&self, at_us: i64, values: &[(Metric, f64)]) {
        let line = line(&self.namespace, &self.dimensions, at_us, values).to_string();
        self.lane.append(|out| out.extend_from_slice(line.as_bytes()));
    }
}

fn line(namespace: &str, dimensions: &Dimensions, at_us: i64, values: &[(Metric, f64)]) -> Value {
    let metric =
        |(metric, _): &(Metric, f64)| json!({ "Name": metric.name(), "Unit": metric.unit() });
    let metrics: Vec<Value> = values.iter().map(metric).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": at_us.div_euclid(1_000),
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": Dimensions::SETS,
                "Metrics": metrics,
            }],
        },
        "level": "info",
        "message": "metrics",
    });
    for (name, value) in dimensions.pairs() {
        line[name] = value.into();
    }
    for (metric, value) in values {
        line[metric.name()] = (*value).into();
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::line;
    use crate::domain::emf::{Dimensions, Metric, Moves, Totals, values};

    /// The units that CloudWatch knows.
    const UNITS: [&str; 27] = [
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Bytes",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Count",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
        "None",
    ];

    fn text(value: &Value, longest: usize) -> &str {
        let text = value.as_str().expect("a text");
        assert!((1..=longest).contains(&text.len()), "{text}");
        text
    }

    /// Holds a line against the rules of the embedded metric format.
    fn check(line: &Value) {
        let aws = line["_aws"].as_object().expect("the member _aws");
        assert!(aws["Timestamp"].as_u64().is_some_and(|ms| ms > 1_000_000_000_000), "milliseconds");
        let directives = aws["CloudWatchMetrics"].as_array().expect("directives");
        assert!(!directives.is_empty());
        for directive in directives {
            assert!(!text(&directive["Namespace"], 255).starts_with(':'));
            for set in directive["Dimensions"].as_array().expect("sets of dimensions") {
                let names = set.as_array().expect("a set");
                assert!((1..=30).contains(&names.len()));
                for name in names {
                    text(&line[text(name, 250)], 1_024);
                }
            }
            let metrics = directive["Metrics"].as_array().expect("metrics");
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert!(UNITS.contains(&text(&metric["Unit"], 20)), "{metric}");
                let value = &line[text(&metric["Name"], 1_024)];
                assert!(value.as_f64().is_some_and(f64::is_finite), "{metric}: {value}");
            }
        }
        assert!(line.to_string().len() < 256 << 10);
    }

    fn sample(service: &str, tasks: Totals) -> Value {
        let values = values(tasks, Moves::default());
        line("Fusebox", &Dimensions::new(service, "shop", ""), 1_700_000_000_000_000, &values)
    }

    #[test]
    fn a_line_is_valid_by_the_specification() {
        check(&sample("orders", Totals::default()));
        let busy = Totals { succeeded: 3, failed: 1, priced: 1, ..Totals::default() };
        check(&sample("a \"strange\" name", busy));
    }

    #[test]
    fn a_line_has_every_metric_at_its_top() {
        let line = sample("orders", Totals { succeeded: 3, failed: 1, ..Totals::default() });
        assert_eq!(line["Service"], "orders");
        assert_eq!(line["Environment"], "shop");
        assert_eq!(line["TaskFailureRate"], 0.25);
        assert_eq!(line["CostPerTask"], Value::Null, "no cost is known");
        let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
        assert_eq!(metrics.as_array().unwrap().len(), Metric::ALL.len() - 1);
    }
}
