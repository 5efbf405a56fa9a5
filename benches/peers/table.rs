//! The table: medians of the rounds, and how Fusebox compares with each.

use std::time::Duration;

use crate::{load::Load, proxies::Kind};

/// One proxy in one round.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) load: Load,
    /// CPU time of the proxy for all calls of the round, the last row's commit included.
    pub(crate) cpu: Duration,
    /// The most that was resident while the load lasted.
    pub(crate) anonymous_bytes: u64,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "counts of seconds are far below 2^52")]
    fn cpu_us_per_call(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.load.calls as f64
    }
}

/// All rounds of one proxy, in order.
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Round>,
}

/// The whole table as text.
pub(crate) fn render(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<12}{:>12}{:>14}{:>12}{:>12}{:>14}{:>18}{:>20}\n",
        "",
        "calls/s",
        "CPU us/call",
        "p50 us",
        "p99 us",
        "RssAnon MiB",
        "CPU Fusebox/it",
        "(each round)"
    );
    let fusebox = lines.iter().find(|line| line.kind == Kind::Fusebox);
    for line in lines {
        text.push_str(&row(line, fusebox));
    }
    text
}

fn row(line: &Line, fusebox: Option<&Line>) -> String {
    let of = |figure: &dyn Fn(&Round) -> f64| median(line.rounds.iter().map(figure).collect());
    let ratios: Vec<f64> = fusebox
        .iter()
        .flat_map(|fusebox| fusebox.rounds.iter().zip(&line.rounds))
        .map(|(fusebox, it)| fusebox.cpu_us_per_call() / it.cpu_us_per_call())
        .collect();
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    format!(
        "{:<12}{:>12.0}{:>14.1}{:>12.0}{:>12.0}{:>14.1}{:>18.2}{:>20}\n",
        line.kind.name(),
        of(&|round| round.load.calls_per_second),
        of(&Round::cpu_us_per_call),
        of(&|round| round.load.p50.as_secs_f64() * 1e6),
        of(&|round| round.load.p99.as_secs_f64() * 1e6),
        of(&mebibytes),
        median(ratios),
        each.join(" "),
    )
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn mebibytes(round: &Round) -> f64 {
    round.anonymous_bytes as f64 / (1024.0 * 1024.0)
}

/// The middle one, of two the lower; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
