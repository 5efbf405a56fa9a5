//! The table: medians of the rounds, and how Fusebox compares with each.

use crate::{
    proxies::Kind,
    round::{Round, median},
};

/// All rounds of one proxy, in order.
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Round>,
}

impl Line {
    /// The median of a figure over the rounds.
    fn of(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }
}

/// The whole table as text.
pub(crate) fn render(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<12}{:>10}{:>13}{:>10}{:>9}{:>9}{:>10}{:>13}{:>16}  {}\n",
        "",
        "calls/s",
        "CPU us/call",
        "kernel %",
        "p50 us",
        "p99 us",
        "added us",
        "RssAnon MiB",
        "CPU Fusebox/it",
        "(each round)"
    );
    lines.iter().for_each(|line| text.push_str(&row(line, lines)));
    text
}

fn row(line: &Line, lines: &[Line]) -> String {
    let other = |kind| lines.iter().find(|line| line.kind == kind);
    let direct = other(Kind::Direct).map_or(f64::NAN, |direct| direct.of(Round::p50_us));
    let ratios: Vec<f64> = other(Kind::Fusebox)
        .iter()
        .flat_map(|fusebox| fusebox.rounds.iter().zip(&line.rounds))
        .map(|(fusebox, it)| fusebox.cpu_us_per_call() / it.cpu_us_per_call())
        .filter(|ratio| ratio.is_finite())
        .collect();
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    format!(
        "{:<12}{:>10.0}{:>13}{:>10}{:>9}{:>9}{:>10}{:>13}{:>16}  {}\n",
        line.kind.name(),
        line.of(|round| round.load.calls_per_second),
        shown(line.of(Round::cpu_us_per_call), 1),
        shown(line.of(Round::kernel_percent), 0),
        shown(line.of(Round::p50_us), 0),
        shown(line.of(Round::p99_us), 0),
        shown(line.of(Round::p50_us) - direct, 0),
        shown(line.of(Round::mebibytes), 1),
        shown(median(ratios), 2),
        each.join(" "),
    )
}

/// A figure, or a dash where there is none.
fn shown(figure: f64, decimals: usize) -> String {
    if figure.is_finite() && figure != 0.0 {
        format!("{figure:.decimals$}")
    } else {
        "-".to_owned()
    }
}
