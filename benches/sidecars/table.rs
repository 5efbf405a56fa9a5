//! The tables, and what follows from them for a fleet ten times as large.

use std::time::Duration;

use fusebox::domain::fleet::{beat_every, poll_every, poll_every_of_a_voter};

use crate::{
    idle::Idle,
    incident::{Incident, Times},
    prices::Prices,
};

/// What a fleet of one size came to.
pub(crate) struct Line {
    pub(crate) size: usize,
    pub(crate) idle: Idle,
    /// All call the upstream that fails.
    pub(crate) all: Incident,
    /// One in ten does.
    pub(crate) few: Incident,
    pub(crate) prices: Prices,
}

/// The size that is not measured.
const LARGE: u32 = 10_000;
/// As many are asked in a vote, about, and look more often.
const VOTERS: u32 = 64;
/// Connections of a sidecar: breakers, history.
const CONNECTIONS_EACH: u32 = 2;

pub(crate) fn render(lines: &[Line]) -> String {
    let mut text = format!(
        "All is well. Share of one core, in percent, and µs of the server's CPU for one of each\n\
         {:>8}{:>9}{:>9}{:>10}{:>8}{:>10}{:>9}{:>9}{:>10}{:>9}\n",
        "sidecars",
        "polls/s",
        "beats/s",
        "Postgres",
        "pooler",
        "sidecars",
        "µs/poll",
        "µs/beat",
        "WAL kB/s",
        "HOT %"
    );
    lines.iter().for_each(|line| text += &idle(line));
    text += &format!(
        "\nThe upstream fails for all at once. Seconds from the first circuit that opens, 50 %/last\n\
         {:>8}{:>12}{:>14}{:>14}{:>9}{:>7}{:>8}{:>8}{:>13}\n",
        "sidecars",
        "who calls",
        "refuse",
        "fleet's",
        "written",
        "words",
        "epochs",
        "events",
        "CPU ms"
    );
    let with = |choose: fn(&Line) -> (&str, &Incident)| {
        lines.iter().map(move |line| outage(line.size, choose(line))).collect::<String>()
    };
    text += &with(|line| ("all", &line.all));
    text += &with(|line| ("one in ten", &line.few));
    text += &format!(
        "\nIt is well again. Seconds from the first circuit that lets calls pass, 50 %/last\n\
         {:>8}{:>12}{:>14}{:>9}{:>7}{:>8}\n",
        "sidecars", "who calls", "pass", "written", "words", "probers"
    );
    text += &lines.iter().map(|line| recovery(line.size, "all", &line.all)).collect::<String>();
    text +=
        &lines.iter().map(|line| recovery(line.size, "one in ten", &line.few)).collect::<String>();
    text + &lines.last().map(|line| extrapolation(&line.prices)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn idle(line: &Line) -> String {
    let Line { size, idle, prices, .. } = line;
    let each = |count: u64| count as f64 / idle.span.as_secs_f64();
    let wal = each(u64::try_from(idle.done.wal_bytes).unwrap_or(0)) / 1e3;
    let hot = 100.0 * idle.done.hot_beats as f64 / idle.done.beats.max(1) as f64;
    format!(
        "{size:>8}{:>9.0}{:>9.1}{:>10.1}{:>8.1}{:>10.1}{:>9.0}{:>9.0}{wal:>10.1}{hot:>9.0}{}\n",
        each(idle.asked.polls),
        each(idle.asked.beats),
        idle.percent(idle.done.cpu),
        idle.percent(idle.pooler),
        idle.percent(idle.sidecars),
        micros(prices.poll),
        micros(prices.beat),
        remarks(idle.asked.failed, idle.done.rows),
    )
}

fn outage(size: usize, (who, incident): (&str, &Incident)) -> String {
    let Incident { refused, opened, opening, epochs, events, .. } = incident;
    let began = refused.first();
    let times =
        |times: &Times| format!("{:.2}/{:.2}", times.seconds(50, began), times.seconds(100, began));
    format!(
        "{size:>8}{who:>12}{:>14}{:>14}{:>9}{:>7}{epochs:>8}{events:>8}{:>13}{}\n",
        times(refused),
        times(opened),
        opening.asked.written(),
        opening.asked.words(),
        opening.done.cpu.as_millis(),
        remarks(opening.asked.failed, 0),
    )
}

fn recovery(size: usize, who: &str, incident: &Incident) -> String {
    let Incident { passed, closing, probes, .. } = incident;
    let began = passed.first();
    let times = format!("{:.2}/{:.2}", passed.seconds(50, began), passed.seconds(100, began));
    let (written, words) = (closing.asked.written(), closing.asked.words());
    let remarks = remarks(closing.asked.failed, 0);
    format!("{size:>8}{who:>12}{times:>14}{written:>9}{words:>7}{probes:>8}{remarks}\n")
}

/// What should not be.
fn remarks(failed: u64, rows: i64) -> String {
    let failed = if failed > 0 { format!("  {failed} failed") } else { String::new() };
    if rows > 0 { format!("{failed}  {rows} rows of breakers written") } else { failed }
}

fn extrapolation(prices: &Prices) -> String {
    let (poll, beat) = (poll_every(LARGE, false), beat_every(LARGE));
    let voter = poll_every_of_a_voter(LARGE, false, 1);
    let per_second = |many: u32, every: Duration| f64::from(many) / every.as_secs_f64();
    let (polls, beats) =
        (per_second(LARGE - VOTERS, poll) + per_second(VOTERS, voter), per_second(LARGE, beat));
    let cost = polls * prices.poll.as_secs_f64() + beats * prices.beat.as_secs_f64();
    format!(
        "\n{LARGE} sidecars, {VOTERS} of them every {voter:.1?}, the others every {poll:.1?}: {polls:.0} \
         polls/s of {:.0} µs, and {beats:.0} beats/s of {:.0} µs, are {:.1} % of a core.\n\
         {} connections: without a pooler these are too many first. \
         Who makes no calls hears of an outage after {poll:.1?} of polling.\n",
        micros(prices.poll),
        micros(prices.beat),
        100.0 * cost,
        LARGE * CONNECTIONS_EACH,
    )
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
