//! The columns of the table: what each says of a breaker, and how it sorts.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::overview::Line;
use crate::{cli::standing::span, domain::breaker::State};

/// One column, by the name that `--sort` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Column {
    /// How bad its state is.
    Circuit,
    /// Its name.
    Upstream,
    /// How long it has been so.
    For,
    /// Calls per second.
    Calls,
    /// The share of calls that failed or were refused.
    Errors,
    /// The median.
    P50,
    /// What 95 % of the calls stay below.
    P95,
    /// What 99 % of the calls stay below.
    P99,
    /// Calls under way.
    InFlight,
    /// How long until it is tried again.
    Probe,
    /// Why it is so.
    Why,
}

impl Column {
    /// All of them, from the left.
    pub(super) const ALL: [Self; 11] = [
        Self::Circuit,
        Self::Upstream,
        Self::For,
        Self::Calls,
        Self::Errors,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::InFlight,
        Self::Probe,
        Self::Why,
    ];

    /// Those that a narrow screen does without, the first to go first.
    pub(super) const SPARED: [Self; 9] = [
        Self::P95,
        Self::P50,
        Self::InFlight,
        Self::For,
        Self::P99,
        Self::Calls,
        Self::Why,
        Self::Probe,
        Self::Errors,
    ];

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Circuit => "CIRCUIT",
            Self::Upstream => "UPSTREAM",
            Self::For => "FOR",
            Self::Calls => "CALLS/S",
            Self::Errors => "ERRORS",
            Self::P50 => "P50",
            Self::P95 => "P95",
            Self::P99 => "P99",
            Self::InFlight => "IN FLIGHT",
            Self::Probe => "PROBE IN",
            Self::Why => "WHY",
        }
    }

    /// Whether it holds numbers: they stand to the right, and the largest is what one looks for.
    pub(super) const fn is_number(self) -> bool {
        !matches!(self, Self::Circuit | Self::Upstream | Self::Why)
    }

    /// What it says of a breaker.
    pub(super) fn text(self, line: &Line) -> String {
        match self {
            Self::Circuit => line.state.clone(),
            Self::Upstream => line.name.clone(),
            Self::For => or_dash(line.for_ms, span),
            Self::Calls => or_dash(line.calls_per_second, show_rate),
            Self::Errors => or_dash(line.error_share, show_share),
            Self::P50 => or_dash(line.p50_ms, show_ms),
            Self::P95 => or_dash(line.p95_ms, show_ms),
            Self::P99 => or_dash(line.p99_ms, show_ms),
            Self::InFlight => line.in_flight.to_string(),
            Self::Probe => or_dash(line.probe_in_ms, span),
            Self::Why => line.why.clone(),
        }
    }

    /// The order of two breakers by this column, and by name where it does not tell them apart.
    /// What has no value comes last, whichever way it is sorted.
    pub(super) fn compare(self, a: &Line, b: &Line, is_down: bool) -> Ordering {
        let by = match self {
            Self::Circuit => sorted(Some(rank(a)), Some(rank(b)), Ord::cmp, is_down),
            Self::Upstream => sorted(Some(&a.name), Some(&b.name), Ord::cmp, is_down),
            Self::For => sorted(a.for_ms, b.for_ms, Ord::cmp, is_down),
            Self::InFlight => sorted(Some(a.in_flight), Some(b.in_flight), Ord::cmp, is_down),
            Self::Probe => sorted(a.probe_in_ms, b.probe_in_ms, Ord::cmp, is_down),
            Self::Why => sorted(told(a), told(b), Ord::cmp, is_down),
            Self::Calls | Self::Errors | Self::P50 | Self::P95 | Self::P99 => {
                sorted(self.measured(a), self.measured(b), f64::total_cmp, is_down)
            }
        };
        by.then_with(|| a.name.cmp(&b.name))
    }

    fn measured(self, line: &Line) -> Option<f64> {
        match self {
            Self::Calls => line.calls_per_second,
            Self::Errors => line.error_share,
            Self::P50 => line.p50_ms,
            Self::P95 => line.p95_ms,
            Self::P99 => line.p99_ms,
            _ => None,
        }
    }
}

/// How bad a state is: the worst first.
fn rank(line: &Line) -> usize {
    const WORST_FIRST: [State; 4] = [State::Open, State::HalfOpen, State::Ramping, State::Closed];
    let at = WORST_FIRST.iter().position(|state| state.as_upper_str() == line.state);
    at.unwrap_or(WORST_FIRST.len())
}

fn told(line: &Line) -> Option<&str> {
    Some(line.why.as_str()).filter(|why| !why.is_empty())
}

fn sorted<T>(
    a: Option<T>,
    b: Option<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    is_down: bool,
) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if is_down => compare(&b, &a),
        (Some(a), Some(b)) => compare(&a, &b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// Calls per second.
pub(super) fn show_rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A share as percent. The ends are said only where they are meant.
pub(super) fn show_share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent <= 0.0 => "0%".to_owned(),
        _ if percent >= 100.0 => "100%".to_owned(),
        _ if percent < 0.1 => "<0.1%".to_owned(),
        _ if percent > 99.9 => ">99.9%".to_owned(),
        _ => format!("{percent:.1}%"),
    }
}

fn show_ms(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{ms:.1}ms"),
        _ if ms < 1_000.0 => format!("{ms:.0}ms"),
        _ if ms < 10_000.0 => format!("{:.1}s", ms / 1_000.0),
        _ => format!("{:.0}s", ms / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, show_ms, show_rate, show_share};
    use crate::cli::top::sample::line;

    fn names(column: Column, is_down: bool) -> Vec<String> {
        let mut lines = [
            line("idle", "CLOSED", None),
            line("bad", "OPEN", Some(0.9)),
            line("fair", "RAMPING", Some(0.2)),
            line("good", "CLOSED", Some(0.0)),
        ];
        lines.sort_by(|a, b| column.compare(a, b, is_down));
        lines.map(|line| line.name).to_vec()
    }

    #[test]
    fn the_worst_circuit_comes_first_and_what_has_no_value_last() {
        for (column, is_down, expected) in [
            (Column::Circuit, false, ["bad", "fair", "good", "idle"]),
            (Column::Circuit, true, ["good", "idle", "fair", "bad"]),
            (Column::Upstream, true, ["idle", "good", "fair", "bad"]),
            (Column::Errors, true, ["bad", "fair", "good", "idle"]),
            (Column::Errors, false, ["good", "fair", "bad", "idle"]),
            (Column::Probe, false, ["bad", "fair", "good", "idle"]),
            (Column::Why, true, ["bad", "fair", "good", "idle"]),
            (Column::InFlight, true, ["bad", "fair", "good", "idle"]),
        ] {
            assert_eq!(names(column, is_down), expected, "{column:?} {is_down}");
        }
    }

    #[test]
    fn every_column_is_there_once_and_a_narrow_screen_keeps_state_and_name() {
        let kept = Column::ALL.iter().filter(|column| !Column::SPARED.contains(column));
        assert_eq!(kept.copied().collect::<Vec<_>>(), [Column::Circuit, Column::Upstream]);
        for (at, column) in Column::ALL.iter().enumerate() {
            assert_eq!(Column::ALL.iter().position(|other| other == column), Some(at));
        }
    }

    #[test]
    fn numbers_keep_what_tells_them_apart() {
        for (shown, text) in [
            (show_rate(0.04), "0.0"),
            (show_rate(9.96), "10.0"),
            (show_rate(1234.5), "1234"),
            (show_share(0.0), "0%"),
            (show_share(0.0004), "<0.1%"),
            (show_share(0.123), "12.3%"),
            (show_share(0.9996), ">99.9%"),
            (show_share(1.0), "100%"),
            (show_ms(0.71), "0.7ms"),
            (show_ms(42.4), "42ms"),
            (show_ms(1_250.0), "1.2s"),
            (show_ms(61_000.0), "61s"),
        ] {
            assert_eq!(shown, text);
        }
    }
}
