//! The table: a line for each scenario, and how each instance of B learned of it.

use crate::{
    figures::{Kind, Samples, good_percent, took_ms},
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
            let (instances, patience) = (scenario.instances, scenario.patience.as_secs());
            text += &format!("\nB x {instances}, clients wait {patience} s\n");
        }
        text += &line(scenario, samples, lost, without, timeline);
    }
    text += "\nWhat needs C, by B's instances: calls that waited in vain, s until the first refusal\n";
    for (scenario, samples) in scenarios.iter().zip(samples) {
        if scenario.instances > 1 {
            text += &instances(scenario, samples, timeline);
        }
    }
    text
}

const NAME: usize = 18;

fn head() -> String {
    format!(
        "{:<NAME$}{:^20}{:^20}{:^17}{:>6}{:>7}{:^20}{:^20}\n{:<NAME$}{:>6}{:>7}{:>7}{:>6}{:>7}{:>7}\
         {:>8}{:>9}{:>6}{:>7}{:>6}{:>7}{:>7}{:>9}{:>9}\n",
        "",
        "B's other calls %",
        "A's own calls %",
        "B's other ms",
        "",
        "",
        "what needs C %",
        "its s until",
        "C is",
        "well",
        "hangs",
        "back",
        "well",
        "hangs",
        "back",
        "hangs50",
        "hangs99",
        "lost",
        "gone %",
        "well",
        "hangs",
        "back",
        "refused",
        "well",
    )
}

fn line(
    scenario: &Scenario,
    samples: &Samples,
    lost: usize,
    without: Option<usize>,
    timeline: Timeline,
) -> String {
    let percent = |kind, phase| good_percent(&samples.of(kind, phase, timeline));
    let mut text = format!("{:<NAME$}", scenario.name);
    for kind in [Kind::Unrelated, Kind::Own] {
        text += &format!(
            "{:>6.1}{:>7.1}{:>7.1}",
            percent(kind, Phase::Healthy),
            percent(kind, Phase::Hang),
            percent(kind, Phase::Back)
        );
    }
    let hang = samples.of(Kind::Unrelated, Phase::Hang, timeline);
    text += &format!("{:>8.1}{:>9.1}{lost:>6}", took_ms(&hang, 50), took_ms(&hang, 99));
    let gone = without.filter(|_| scenario.sidecars.is_some()).map(|all| gone_percent(lost, all));
    text += &gone.map_or_else(|| format!("{:>7}", "-"), |gone| format!("{gone:>7.1}"));
    let needing = Kind::Needing(0);
    text += &format!(
        "{:>6.1}{:>7.1}{:>7.1}",
        percent(needing, Phase::Healthy),
        percent(needing, Phase::Hang),
        percent(needing, Phase::Back)
    );
    let refused = samples.fails_fast_after(needing, timeline);
    text += &refused
        .map_or_else(|| format!("{:>9}", "never"), |it| format!("{:>9.1}", it.as_secs_f64()));
    let well = samples.recovers_after(needing, timeline);
    text += &format!("{:>9.1}\n", well.as_secs_f64());
    text
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn gone_percent(lost: usize, without: usize) -> f64 {
    100.0 * (1.0 - lost as f64 / without as f64)
}

fn instances(scenario: &Scenario, samples: &Samples, timeline: Timeline) -> String {
    let mut text = format!("{:<NAME$}", scenario.name);
    for number in 0..scenario.instances {
        let kind = Kind::Needing(number);
        let refused = samples.fails_fast_after(kind, timeline);
        let refused =
            refused.map_or_else(|| "never".to_owned(), |it| format!("{:.1}", it.as_secs_f64()));
        let vain = samples.waited_in_vain(kind, timeline);
        text += &format!("   b{}: {vain:>4} {refused:>6}", number + 1);
    }
    text + "\n"
}
