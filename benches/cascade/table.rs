//! The table: a line for each scenario, and how each instance of B learned of it.

use std::time::Duration;

use crate::{
    figures::{Call, Kind, Samples, good_percent, took_ms},
    scenarios::Scenario,
    timeline::{Phase, Timeline},
};

/// The whole table as text.
pub(crate) fn render(scenarios: &[Scenario], samples: &[Samples], timeline: Timeline) -> String {
    let mut text = head();
    let mut without = None;
    for (scenario, samples) in scenarios.iter().zip(samples) {
        let lost = samples.lost(timeline);
        if scenario.sidecars.is_none() {
            without = Some(lost);
            text += &format!("{}\n", title(scenario));
        }
        text += &line(scenario, samples, lost, without, timeline);
    }
    text += "\nWhat needs C, at each instance of B: calls that waited in vain, and when one was first\n\
             refused. The first has ten a second, the others one.\n";
    for (scenario, samples) in scenarios.iter().zip(samples) {
        if scenario.instances > 1 {
            text += &instances(scenario, samples, timeline);
        }
    }
    text
}

const NAME: usize = 28;

fn head() -> String {
    format!(
        "{:<NAME$}{:>6}{:>16}{:>28}{:>16}{:>16}{:>18}\n{:<NAME$}{:>6}{:>8}{:>8}{:>14}{:>14}{:>8}\
         {:>8}{:>7}{:>9}{:>9}{:>9}\n",
        "",
        "all %",
        "B's other %",
        "B's other ms, 50%/99%",
        "A's own %",
        "of those",
        "what needs C, s",
        "C is",
        "well",
        "hung",
        "back",
        "well",
        "hung",
        "hung",
        "back",
        "lost",
        "gone",
        "refused",
        "well",
    )
}

/// What the lines up to the next one without Fusebox have in common.
fn title(scenario: &Scenario) -> String {
    let (instances, patience) = (scenario.instances, scenario.patience.as_secs());
    let of = if instances == 1 { "instance" } else { "instances" };
    format!("{instances} {of} of B, clients wait {patience} s")
}

fn line(
    scenario: &Scenario,
    samples: &Samples,
    lost: usize,
    without: Option<usize>,
    timeline: Timeline,
) -> String {
    let of = |kind, phase| samples.of(kind, phase, timeline);
    let percent = |kind, phase| good_percent(&of(kind, phase));
    let well = good_percent(&samples.in_phase(Phase::Healthy, timeline));
    // Without any loss there is nothing to be gone.
    let without = without.filter(|all| scenario.sidecars.is_some() && *all > 0);
    let gone = without.map(|all| gone_percent(lost, all));
    let needing = Kind::Needing(0);
    format!(
        "{:<NAME$}{well:>6.1}{:>8.1}{:>8.1}{:>14}{:>14}{:>8.1}{:>8.1}{lost:>7}{:>9}{:>9}{:>9}\n",
        scenario.name,
        percent(Kind::Unrelated, Phase::Hang),
        percent(Kind::Unrelated, Phase::Back),
        quantiles(&of(Kind::Unrelated, Phase::Healthy)),
        quantiles(&of(Kind::Unrelated, Phase::Hang)),
        percent(Kind::Own, Phase::Hang),
        percent(Kind::Own, Phase::Back),
        gone.map_or_else(|| "-".to_owned(), |gone| format!("{gone:.1}%")),
        seconds(samples.fails_fast_after(needing, timeline)),
        seconds(samples.recovers_after(needing, timeline)),
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn gone_percent(lost: usize, without: usize) -> f64 {
    100.0 * (1.0 - lost as f64 / without as f64)
}

fn quantiles(calls: &[Call]) -> String {
    format!("{:.1}/{:.1}", took_ms(calls, 50), took_ms(calls, 99))
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
}

fn instances(scenario: &Scenario, samples: &Samples, timeline: Timeline) -> String {
    let mut text = format!("{:<NAME$}", scenario.name);
    for number in 0..scenario.instances {
        let kind = Kind::Needing(number);
        let refused = seconds(samples.fails_fast_after(kind, timeline));
        let vain = samples.waited_in_vain(kind, timeline);
        text += &format!("{vain:>8} {refused:>7}");
    }
    text + "\n"
}
