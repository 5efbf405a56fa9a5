//! What CloudWatch is told once a minute: the names of the metrics, their units, their dimensions,
//! and how the numbers are made from what was counted.
//!
//! Lines, dashboards and alarms all take their names from here. Nothing here knows how a line is
//! written, or when.
//!
//! Instances differ in how much they do, and CloudWatch's average of what they say gives an idle
//! one the voice of a busy one. So a share or a mean is of one instance and one minute only, and
//! left out where there was nothing to share; over several, the sums that make it are divided
//! ([`Metric::quotient`]).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{outcome::Outcome, task::CallRecord};

/// The namespace of the metrics, unless another is configured.
pub const NAMESPACE: &str = "Fusebox";

/// How often a line is written, unless configured otherwise: the period of CloudWatch's metrics.
pub const PERIOD: Duration = Duration::from_secs(60);

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// The most circuits that were open at a time.
    CircuitBreakersOpen,
    /// How often circuits moved from one state to another.
    CircuitStateChanges,
    /// Calls to an upstream that were not sent on: its circuit was open, or it had no room.
    RejectedRequests,
    /// Tasks that ended: their sum over an hour is what the name says.
    TasksPerHour,
    /// Those of them that succeeded or failed; of the others nobody knows which.
    JudgedTasks,
    /// Those of them that failed, or ran out of time.
    FailedTasks,
    /// How long all of them took together.
    TaskDurationMs,
    /// Tasks whose cost is known.
    PricedTasks,
    /// What they cost together, in US dollars.
    TaskCost,
    /// The share of failures among the tasks that succeeded or failed, 0 to 1.
    TaskFailureRate,
    /// The mean duration of tasks.
    AverageDurationMs,
    /// The mean cost of the tasks whose cost is known, in US dollars.
    CostPerTask,
}

impl Metric {
    /// All of them, in the order of a line.
    pub const ALL: [Self; 12] = [
        Self::CircuitBreakersOpen,
        Self::CircuitStateChanges,
        Self::RejectedRequests,
        Self::TasksPerHour,
        Self::JudgedTasks,
        Self::FailedTasks,
        Self::TaskDurationMs,
        Self::PricedTasks,
        Self::TaskCost,
        Self::TaskFailureRate,
        Self::AverageDurationMs,
        Self::CostPerTask,
    ];

    /// Its name in CloudWatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CircuitBreakersOpen => "CircuitBreakersOpen",
            Self::CircuitStateChanges => "CircuitStateChanges",
            Self::RejectedRequests => "RejectedRequests",
            Self::TasksPerHour => "TasksPerHour",
            Self::JudgedTasks => "JudgedTasks",
            Self::FailedTasks => "FailedTasks",
            Self::TaskDurationMs => "TaskDurationMs",
            Self::PricedTasks => "PricedTasks",
            Self::TaskCost => "TaskCost",
            Self::TaskFailureRate => "TaskFailureRate",
            Self::AverageDurationMs => "AverageDurationMs",
            Self::CostPerTask => "CostPerTask",
        }
    }

    /// Its unit, in CloudWatch's words.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::CircuitBreakersOpen
            | Self::CircuitStateChanges
            | Self::RejectedRequests
            | Self::TasksPerHour
            | Self::JudgedTasks
            | Self::FailedTasks
            | Self::PricedTasks => "Count",
            Self::TaskDurationMs | Self::AverageDurationMs => "Milliseconds",
            Self::TaskCost | Self::TaskFailureRate | Self::CostPerTask => "None",
        }
    }

    /// The statistic that puts the lines of several instances together, over one period.
    pub const fn statistic(self) -> &'static str {
        match self {
            Self::CircuitBreakersOpen => "Maximum",
            Self::CircuitStateChanges
            | Self::RejectedRequests
            | Self::TasksPerHour
            | Self::JudgedTasks
            | Self::FailedTasks
            | Self::TaskDurationMs
            | Self::PricedTasks
            | Self::TaskCost => "Sum",
            Self::TaskFailureRate | Self::AverageDurationMs | Self::CostPerTask => "Average",
        }
    }

    /// The two sums of which this is the quotient; none where it is no share and no mean.
    pub const fn quotient(self) -> Option<[Self; 2]> {
        match self {
            Self::TaskFailureRate => Some([Self::FailedTasks, Self::JudgedTasks]),
            Self::AverageDurationMs => Some([Self::TaskDurationMs, Self::TasksPerHour]),
            Self::CostPerTask => Some([Self::TaskCost, Self::PricedTasks]),
            _ => None,
        }
    }
}

/// What the metrics are told apart by. All of it is configured; nothing comes from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimensions {
    service: String,
    environment: String,
}

impl Dimensions {
    /// Their names, in the order of a line.
    pub const NAMES: [&'static str; 2] = ["Service", "Environment"];

    /// The sets that each metric has: by service, and over all services of an environment.
    pub const SETS: [&'static [&'static str]; 2] = [&Self::NAMES, &["Environment"]];

    /// Those of a service. CloudWatch takes no empty value: where no environment is configured, the
    /// namespace of the breakers stands for it.
    pub fn new(service: &str, namespace: &str, environment: &str) -> Self {
        let environment = if environment.is_empty() { namespace } else { environment };
        Self { service: service.to_owned(), environment: environment.to_owned() }
    }

    /// Names and values, in the order of a line.
    pub fn pairs(&self) -> [(&'static str, &str); 2] {
        let [service, environment] = Self::NAMES;
        [(service, &self.service), (environment, &self.environment)]
    }
}

/// Tasks since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed, or ran out of time.
    pub failed: u64,
    /// Tasks that ended otherwise: their caller went away, or Fusebox stopped.
    pub cut_short: u64,
    /// Calls that were not sent on; they are no tasks.
    pub rejected: u64,
    /// The durations of all tasks, in microseconds.
    pub duration_us: u64,
    /// Tasks whose cost is known.
    pub priced: u64,
    /// Their costs, in billionths of a US dollar.
    pub cost_nano_usd: u64,
}

impl Totals {
    /// Adds a call that ended.
    pub fn add(&mut self, call: &CallRecord) {
        let weight = u64::from(call.weight);
        match call.outcome {
            Outcome::Success => self.succeeded += weight,
            Outcome::Failure | Outcome::Timeout => self.failed += weight,
            Outcome::Cancelled | Outcome::Interrupted => self.cut_short += weight,
            Outcome::Refused => {
                self.rejected += weight;
                return;
            }
        }
        self.duration_us = self.duration_us.saturating_add(weight * call.duration_us);
        if let Some(cost) = call.captured.as_ref().and_then(|captured| captured.cost_nano_usd) {
            self.priced += weight;
            self.cost_nano_usd = self.cost_nano_usd.saturating_add(weight * cost);
        }
    }

    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            cut_short: self.cut_short + other.cut_short,
            rejected: self.rejected + other.rejected,
            duration_us: self.duration_us.saturating_add(other.duration_us),
            priced: self.priced + other.priced,
            cost_nano_usd: self.cost_nano_usd.saturating_add(other.cost_nano_usd),
        }
    }

    /// What has come since.
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            succeeded: self.succeeded.saturating_sub(earlier.succeeded),
            failed: self.failed.saturating_sub(earlier.failed),
            cut_short: self.cut_short.saturating_sub(earlier.cut_short),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            duration_us: self.duration_us.saturating_sub(earlier.duration_us),
            priced: self.priced.saturating_sub(earlier.priced),
            cost_nano_usd: self.cost_nano_usd.saturating_sub(earlier.cost_nano_usd),
        }
    }
}

/// Circuits between two lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circuits {
    open: BTreeSet<Arc<str>>,
    most_open: usize,
    changes: u64,
}

impl Circuits {
    /// One moved, and is open now or is not.
    pub fn moved(&mut self, name: &Arc<str>, is_open: bool) {
        if is_open {
            self.open.insert(Arc::clone(name));
        } else {
            self.open.remove(name);
        }
        self.most_open = self.most_open.max(self.open.len());
        self.changes += 1;
    }

    /// There are other circuits now, or fewer. One that was open and is no more did not move, and does
    /// not count beside others that open later.
    pub fn renewed(&mut self, open: &BTreeSet<Arc<str>>) {
        self.open.retain(|name| open.contains(name));
    }

    /// So many moves were missed.
    pub const fn missed(&mut self, changes: u64) {
        self.changes += changes;
    }

    /// What there was since this was last asked. `open` are those that are open now, which begin
    /// the next time.
    pub fn take(&mut self, open: BTreeSet<Arc<str>>) -> Moves {
        let most_open = self.most_open.max(open.len()) as u64;
        let changes = self.changes;
        *self = Self { most_open: open.len(), open, changes: 0 };
        Moves { most_open, changes }
    }
}

/// What circuits did between two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moves {
    /// The most that were open at a time.
    pub most_open: u64,
    /// How often they moved.
    pub changes: u64,
}

/// The values of a line. Where there was nothing a count or a sum is zero, so that an alarm always
/// has data, and a share or a mean is left out.
pub fn values(tasks: Totals, circuits: Moves) -> Vec<(Metric, f64)> {
    let judged = tasks.succeeded + tasks.failed;
    let ended = judged + tasks.cut_short;
    let (duration_ms, cost) = (number(tasks.duration_us) / 1e3, number(tasks.cost_nano_usd) / 1e9);
    let value = |metric| {
        Some(match metric {
            Metric::CircuitBreakersOpen => number(circuits.most_open),
            Metric::CircuitStateChanges => number(circuits.changes),
            Metric::RejectedRequests => number(tasks.rejected),
            Metric::TasksPerHour => number(ended),
            Metric::JudgedTasks => number(judged),
            Metric::FailedTasks => number(tasks.failed),
            Metric::TaskDurationMs => duration_ms,
            Metric::PricedTasks => number(tasks.priced),
            Metric::TaskCost => cost,
            Metric::TaskFailureRate => mean(number(tasks.failed), judged)?,
            Metric::AverageDurationMs => mean(duration_ms, ended)?,
            Metric::CostPerTask => mean(cost, tasks.priced)?,
        })
    };
    let told = |metric| value(metric).map(|value| (metric, value));
    Metric::ALL.into_iter().filter_map(told).collect()
}

fn mean(of: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| of / number(count))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Circuits, Dimensions, Metric, Moves, Totals, values};
    use std::{collections::BTreeSet, sync::Arc};

    #[test]
    fn a_minute_without_anything_has_every_sum_and_no_mean() {
        let told = values(Totals::default(), Moves::default());
        let sums = Metric::ALL.into_iter().filter(|metric| metric.quotient().is_none());
        assert_eq!(told, sums.map(|metric| (metric, 0.0)).collect::<Vec<_>>());
    }

    #[test]
    fn a_minute_is_told_in_the_units_of_its_metrics() {
        let tasks = Totals {
            succeeded: 6,
            failed: 2,
            cut_short: 2,
            rejected: 5,
            duration_us: 25_000,
            priced: 4,
            cost_nano_usd: 1_000_000_000,
        };
        let told = values(tasks, Moves { most_open: 1, changes: 3 });
        let numbers: Vec<_> = told.iter().map(|(_, value)| *value).collect();
        assert_eq!(numbers, [1.0, 3.0, 5.0, 10.0, 8.0, 2.0, 25.0, 4.0, 1.0, 0.25, 2.5, 0.25]);
        let of = |metric| told.iter().find(|(told, _)| *told == metric).unwrap().1;
        let quotients = Metric::ALL.into_iter().filter_map(Metric::quotient);
        let divided: Vec<_> = quotients.map(|[sum, count]| of(sum) / of(count)).collect();
        assert_eq!(divided, numbers[9..], "the means are the quotients of these sums");
    }

    #[test]
    fn a_minute_is_what_has_come_since_the_last() {
        let earlier = Totals { succeeded: 6, duration_us: 10, ..Totals::default() };
        let now = earlier.plus(Totals { succeeded: 1, failed: 1, ..Totals::default() });
        let minute = now.since(earlier);
        assert_eq!((minute.succeeded, minute.failed, minute.duration_us), (1, 1, 0));
    }

    #[test]
    fn a_circuit_that_was_open_for_a_moment_is_told_once() {
        let (payments, music): (Arc<str>, Arc<str>) = ("payments".into(), "music".into());
        let mut circuits = Circuits::default();
        circuits.moved(&payments, true);
        circuits.moved(&payments, false);
        circuits.moved(&music, true);
        assert_eq!(
            circuits.take([music.clone()].into()),
            Moves { most_open: 1, changes: 3 },
            "never two at a time"
        );
        assert_eq!(circuits.take([music].into()), Moves { most_open: 1, changes: 0 });
        circuits.missed(4);
        assert_eq!(circuits.take(BTreeSet::new()), Moves { most_open: 1, changes: 4 });
        assert_eq!(circuits.take(BTreeSet::new()), Moves::default());
    }

    #[test]
    fn a_circuit_that_was_taken_away_while_it_was_open_is_not_open_beside_the_next() {
        let (payments, music): (Arc<str>, Arc<str>) = ("payments".into(), "music".into());
        let mut circuits = Circuits::default();
        circuits.moved(&payments, true);
        circuits.renewed(&BTreeSet::new());
        circuits.moved(&music, true);
        let moves = circuits.take([music.clone()].into());
        assert_eq!(moves, Moves { most_open: 1, changes: 2 });
        circuits.renewed(&[music].into());
        circuits.moved(&payments, true);
        assert_eq!(circuits.take(BTreeSet::new()).most_open, 2, "one that stays counts");
    }

    #[test]
    fn no_dimension_is_empty() {
        let named = Dimensions::new("orders", "shop", "production");
        assert_eq!(named.pairs(), [("Service", "orders"), ("Environment", "production")]);
        let unnamed = Dimensions::new("orders", "shop", "");
        assert_eq!(unnamed.pairs()[1], ("Environment", "shop"));
    }

    #[test]
    fn names_are_those_that_dashboards_know() {
        assert_eq!(
            Metric::ALL.map(Metric::name).join(" "),
            "CircuitBreakersOpen CircuitStateChanges RejectedRequests TasksPerHour \
             JudgedTasks FailedTasks TaskDurationMs PricedTasks TaskCost \
             TaskFailureRate AverageDurationMs CostPerTask"
        );
    }
}
