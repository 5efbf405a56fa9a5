//! What CloudWatch shows of what it is told: a dashboard and alarms.
//!
//! [`crate::domain::emf`] names the metrics, for the lines that carry them and for both of these, so
//! that none speaks of a number that nobody sends. Nothing here calls AWS: JSON comes out, which
//! `deploy/cloudformation.yaml` holds too.
//!
//! Both look at a whole environment, over all of its services, and divide the sums of all of them
//! where a share or a mean is wanted.

mod dashboard;

use serde_json::{Value, json};

use crate::domain::emf::{Metric, NAMESPACE};

pub use dashboard::dashboard;

/// The dimension that the dashboard and the alarms look at.
const ENVIRONMENT: &str = "Environment";

/// Seconds that make one point, of alarms and of most widgets.
const MINUTE: u32 = 60;

/// Which fleet is looked at, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// What everything's names begin with; the log group is `/ecs/` and this.
    pub prefix: String,
    /// The label `environment` of its sidecars.
    pub environment: String,
    /// The region of AWS.
    pub region: String,
}

impl Fleet {
    /// Where its lines go.
    pub fn log_group(&self) -> String {
        format!("/ecs/{}", self.prefix)
    }

    fn metric(&self, metric: Metric) -> Value {
        json!({
            "Namespace": NAMESPACE,
            "MetricName": metric.name(),
            "Dimensions": [{ "Name": ENVIRONMENT, "Value": self.environment }],
        })
    }

    /// What an alarm of a metric looks at.
    fn looks_at(&self, metric: Metric) -> Value {
        if let Some(parts) = metric.quotient() {
            return self.quotient(parts);
        }
        let mut looks_at = self.metric(metric);
        looks_at["Statistic"] = metric.statistic().into();
        looks_at["Period"] = MINUTE.into();
        looks_at
    }

    /// One sum divided by another, 0 where there is nothing to divide.
    fn quotient(&self, [sum, count]: [Metric; 2]) -> Value {
        let [of, all] = [id(sum), id(count)];
        let part = |metric: Metric| {
            json!({
                "Id": id(metric),
                "MetricStat": {
                    "Metric": self.metric(metric),
                    "Period": MINUTE,
                    "Stat": metric.statistic(),
                },
                "ReturnData": false,
            })
        };
        let quotient = json!({
            "Id": "quotient",
            "Expression": format!("IF({all} > 0, {of} / {all}, 0)"),
            "ReturnData": true,
        });
        json!({ "Metrics": [quotient, part(sum), part(count)] })
    }
}

/// What a metric is called in an expression.
fn id(metric: Metric) -> String {
    metric.name().to_lowercase()
}

/// The alarms, each as `aws cloudwatch put-metric-alarm --cli-input-json` takes it.
pub fn alarms(fleet: &Fleet) -> Vec<Value> {
    let alarm = |name: &str, metric: Metric, rule: Value, description: &str| {
        let looks_at = fleet.looks_at(metric);
        let mut alarm = json!({
            "AlarmName": format!("{}-{name}", fleet.prefix),
            "AlarmDescription": description,
            "TreatMissingData": "missing",
        });
        for (key, value) in [&looks_at, &rule].into_iter().filter_map(Value::as_object).flatten() {
            alarm[key] = value.clone();
        }
        alarm
    };
    vec![
        alarm(
            "circuit-open",
            Metric::CircuitBreakersOpen,
            json!({
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "Threshold": 1,
                "EvaluationPeriods": 1,
                "DatapointsToAlarm": 1,
            }),
            "A circuit is open: calls to an upstream are refused. fusebox explain NAME says why.",
        ),
        alarm(
            "high-failure-rate",
            Metric::TaskFailureRate,
            json!({
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 0.3,
                "EvaluationPeriods": 5,
                "DatapointsToAlarm": 3,
            }),
            "More than 30 % of the tasks fail. fusebox why DOMAIN ACTION says what sets them apart.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::{ENVIRONMENT, Fleet, alarms, dashboard};
    use crate::domain::emf::{Dimensions, Metric, Moves, NAMESPACE, Totals, values};

    fn fleet() -> Fleet {
        Fleet {
            prefix: "fusebox".to_owned(),
            environment: "production".to_owned(),
            region: "eu-central-1".to_owned(),
        }
    }

    #[test]
    fn alarms_look_at_metrics_that_are_sent() {
        for alarm in alarms(&fleet()) {
            let metrics: Vec<_> = match alarm["Metrics"].as_array() {
                None => vec![&alarm],
                Some(parts) => parts[1..].iter().map(|it| &it["MetricStat"]["Metric"]).collect(),
            };
            for metric in metrics {
                let name = metric["MetricName"].as_str().expect("a name");
                assert!(Metric::ALL.iter().any(|known| known.name() == name), "{name}");
                assert_eq!(metric["Namespace"], NAMESPACE);
                assert_eq!(metric["Dimensions"][0]["Value"], "production");
            }
        }
        assert!(Dimensions::SETS.contains(&&[ENVIRONMENT][..]), "metrics are sent so");
    }

    #[test]
    fn the_failures_of_busy_instances_are_not_thinned_by_idle_ones() {
        let alarms = alarms(&fleet());
        let alarm = alarms.iter().find(|it| it["AlarmName"] == "fusebox-high-failure-rate");
        let alarm = alarm.expect("the alarm");
        let expression = &alarm["Metrics"][0]["Expression"];
        assert_eq!(expression, "IF(judgedtasks > 0, failedtasks / judgedtasks, 0)");
        for part in [1, 2] {
            assert_eq!(alarm["Metrics"][part]["MetricStat"]["Stat"], "Sum", "{alarm}");
        }
        // Three of ten instances have calls, and nine of ten of those fail.
        let one = Totals { succeeded: 1, failed: 9, ..Totals::default() };
        let minutes: Vec<_> = [[one; 3].as_slice(), &[Totals::default(); 7]].concat();
        let lines = minutes.into_iter().flat_map(|tasks| values(tasks, Moves::default()));
        let sum =
            |of| lines.clone().filter(|(metric, _)| *metric == of).map(|it| it.1).sum::<f64>();
        let share = sum(Metric::FailedTasks) / sum(Metric::JudgedTasks);
        assert!(share > alarm["Threshold"].as_f64().expect("a number") && share > 0.89, "{share}");
    }

    #[test]
    fn the_dashboard_shows_every_metric_but_those_of_single_instances() {
        let body = dashboard(&fleet());
        let mut shown = Vec::new();
        for widget in body["widgets"].as_array().expect("widgets") {
            for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
                if metric[0] == NAMESPACE {
                    shown.push(metric[1].as_str().expect("a name").to_owned());
                }
            }
        }
        shown.sort();
        shown.dedup();
        let of_all = Metric::ALL.iter().filter(|metric| metric.quotient().is_none());
        let mut known: Vec<_> = of_all.map(|metric| metric.name().to_owned()).collect();
        known.sort();
        assert_eq!(shown, known);
    }

    #[test]
    fn no_widget_covers_another() {
        let body = dashboard(&fleet());
        let widgets = body["widgets"].as_array().expect("widgets");
        let side = |widget: &serde_json::Value, at: &str, length: &str| {
            let number = |key: &str| widget[key].as_u64().expect("a number");
            number(at)..number(at) + number(length)
        };
        let meet =
            |a: std::ops::Range<u64>, b: std::ops::Range<u64>| a.start < b.end && b.start < a.end;
        for (index, a) in widgets.iter().enumerate() {
            assert!(side(a, "x", "width").end <= 24);
            for b in &widgets[index + 1..] {
                let covers = meet(side(a, "x", "width"), side(b, "x", "width"))
                    && meet(side(a, "y", "height"), side(b, "y", "height"));
                assert!(!covers, "{a} and {b}");
            }
        }
    }
}
