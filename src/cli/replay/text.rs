//! The findings for people: a table of trips, then what really happened, then how far all that can
//! be relied on.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::findings::Findings;
use crate::{
    cli::{
        rows::show_us,
        screen::{Screen, fit, harmless, share, takes},
    },
    domain::{
        breaker::{Cause, Mode},
        replay::{Divergence, Sharing, Summary, Trip, Why},
    },
};

const HEADINGS: [&str; 10] = [
    "OPENED (UTC)",
    "UPSTREAM",
    "CAUSE",
    "OPEN FOR",
    "REFUSED",
    "SAVED",
    "WRONGLY",
    "REALLY",
    "EXACT",
    "INSTANCE",
];

/// Which columns may be cut when the screen is narrow.
const MAY_BE_CUT: [bool; 10] = [false, true, false, false, false, false, false, false, false, true];

/// Columns of numbers.
const NUMBERS: std::ops::RangeInclusive<usize> = 3..=6;

/// Cells that a column keeps on a narrow screen.
const LEAST: usize = 8;

/// Trips that are shown; JSON has more.
const SHOWN: usize = 200;

/// All that was found.
pub(super) fn report(findings: &Findings, screen: Screen) -> String {
    let report = &findings.report;
    let (from, to) = (second(report.span.from_us), second(report.span.to_us));
    let mut text = String::new();
    if findings.calls() == 0 {
        writeln!(text, "no calls from {from} to {to}").ok();
    } else {
        let trips = report.trips.len() as u64 + report.trips_left_out;
        table(&mut text, findings, screen);
        let (trips, calls) = (count(trips, "trip"), count(findings.calls(), "call"));
        let rows = count(report.rows, "row");
        let sharing = match findings.sharing {
            Sharing::PerInstance => "a circuit per instance",
            Sharing::OneForAll => "one circuit for all instances",
        };
        writeln!(text, "{trips} in {calls} ({rows}) from {from} to {to}, {sharing}").ok();
    }
    for (name, summary) in &report.upstreams {
        upstream(&mut text, findings, name, summary);
    }
    doubts(&mut text, findings);
    text
}

fn table(text: &mut String, findings: &Findings, screen: Screen) {
    let trips = &findings.report.trips;
    let shown = trips.iter().take(SHOWN).map(|trip| cells(findings, trip));
    let shown: Vec<[String; 10]> = shown.collect();
    if shown.is_empty() {
        return;
    }
    let widths = widths(&shown, screen);
    line(text, &HEADINGS.map(str::to_owned), &widths);
    shown.iter().for_each(|cells| line(text, cells, &widths));
    if trips.len() > SHOWN {
        writeln!(text, "… and {} more, see --json", trips.len() - SHOWN).ok();
    }
    text.push('\n');
}

fn cells(findings: &Findings, trip: &Trip) -> [String; 10] {
    let at = Timestamp::from_microsecond(trip.at_us).unwrap_or_default();
    let real = findings.real(trip).map(|opening| opening.at_us - trip.at_us);
    let open_for = trip.carried_again_us.map(|us| show_us((us - trip.at_us).unsigned_abs()));
    [
        at.strftime("%m-%d %H:%M:%S%.3f").to_string(),
        harmless(&trip.upstream),
        cause(trip),
        open_for.unwrap_or_else(|| "to the end".to_owned()),
        trip.refused.total().to_string(),
        trip.refused.saved.to_string(),
        trip.refused.wrongly.to_string(),
        real.map_or_else(|| "no".to_owned(), apart),
        if findings.report.is_exact(trip) { "yes" } else { "no" }.to_owned(),
        if trip.instance.is_empty() { "all".to_owned() } else { harmless(&trip.instance) },
    ]
}

/// How much later or sooner the store was told of the real one.
fn apart(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    format!("{sign}{}", show_us(us.unsigned_abs()))
}

/// The rule that was broken, with its numbers.
fn cause(trip: &Trip) -> String {
    let Trip { failure_count, window_calls, window_failures, .. } = trip;
    match trip.cause {
        Cause::ConsecutiveFailures => format!("{failure_count} failures in a row"),
        Cause::HangingCalls => format!("{failure_count} hang or failed"),
        Cause::FailureRate => format!("{window_failures} of {window_calls} failed"),
        Cause::SlowCalls => format!("slow calls, of {window_calls}"),
        other => other.as_str().to_owned(),
    }
}

fn upstream(text: &mut String, findings: &Findings, name: &str, summary: &Summary) {
    let shown = harmless(name);
    if summary.calls == 0 && summary.circuits == 0 {
        writeln!(text, "\n{shown}: no calls").ok();
        return;
    }
    let (calls, circuits) = (count(summary.calls, "call"), count(summary.circuits, "circuit"));
    let refused = summary.refused;
    writeln!(text, "\n{shown}: {calls}, {circuits}").ok();
    match summary.mode {
        Mode::Shadow => writeln!(text, "  configured as `shadow`, tried as `auto`").ok(),
        Mode::Disabled => writeln!(text, "  disabled by the configuration: it never trips").ok(),
        Mode::Auto | Mode::ForcedOpen | Mode::ForcedClosed => None,
    };
    writeln!(
        text,
        "  the rules would have refused {} that went through: {} failed (saved), {} succeeded\n  \
         (wrongly refused), {} neither",
        refused.total(),
        refused.saved,
        refused.wrongly,
        refused.undecided,
    )
    .ok();
    if summary.really_refused > 0 {
        writeln!(text, "  in truth {}", in_truth(summary)).ok();
    }
    let openings = || findings.openings.iter().filter(|opening| opening.upstream == name);
    let told = openings().count() as u64;
    if told > 0 {
        let lost = openings().filter(|opening| findings.is_only_real(opening)).count();
        let told = count(told, "opening");
        writeln!(text, "  the store was told of {told}, {lost} of them without a trip").ok();
    }
    match &summary.divergence {
        None => writeln!(text, "  exact to the end: the rules do what was done").ok(),
        Some(divergence) => writeln!(text, "  {}", until(divergence)).ok(),
    };
}

/// What the real circuits refused.
fn in_truth(summary: &Summary) -> String {
    let refused = was(summary.really_refused, "call");
    match summary.really_refused - summary.refused_by_both {
        0 => format!("{refused} refused, all by these rules too"),
        other => format!(
            "{refused} refused: {} by these rules too, and how the other {other} would\n  have \
             ended nobody knows",
            summary.refused_by_both,
        ),
    }
}

/// Where a replay stops being exact, and why.
fn until(divergence: &Divergence) -> String {
    let (at, id) = (time(divergence.at_us), divergence.task_id);
    let why = match divergence.why {
        Why::RefusedWhatPassed => "the rules refuse a call that went through",
        Why::PassedWhatWasRefused => "the rules let a call through that was refused",
    };
    format!("exact until {at}; then {why}\n  (task {id}), and all that follows is a guess")
}

fn doubts(text: &mut String, findings: &Findings) {
    let doubts = &findings.report.doubts;
    let told = [
        (findings.missing(), "at least", "that began in this time and has no row any more"),
        (doubts.folded_rows, "", "that stands for several calls, taken to have come at once"),
        (doubts.overloaded, "", "answered with an overload, whose Retry-After is not stored"),
        (doubts.retried, "", "of several attempts, the waits between which are not stored"),
        (doubts.waited, "", "that waited for long, taken to have been sent at once and no stream"),
        (doubts.interrupted, "", "cut off when Fusebox stopped"),
        (doubts.elsewhere, "", "to upstreams that this configuration does not have, left out"),
        (findings.unread, "", "written by a newer version, left out"),
    ];
    let nouns = ["call", "row", "call", "call", "attempt", "call", "call", "row"];
    let mut is_first = true;
    for ((number, qualified, what), noun) in told.into_iter().zip(nouns) {
        if number == 0 {
            continue;
        }
        if std::mem::take(&mut is_first) {
            text.push_str("\nwhat the rows do not say:\n");
        }
        let gap = if qualified.is_empty() { "" } else { " " };
        let (some, what) = (count(number, noun), plural(what, number));
        writeln!(text, "  {qualified}{gap}{some} {what}").ok();
    }
}

/// A relative clause, in the plural where there are several.
fn plural(what: &str, number: u64) -> String {
    if number == 1 {
        return what.to_owned();
    }
    what.replace("that stands", "that stand").replace("and has no row", "and have no row")
}

fn widths(cells: &[[String; 10]], screen: Screen) -> Vec<usize> {
    let length = |text: &str| text.chars().count();
    let widest = |at: usize| cells.iter().map(|row| length(&row[at])).max().unwrap_or(0);
    let wanted: Vec<_> =
        (0..10).map(|at| (widest(at).max(length(HEADINGS[at])), MAY_BE_CUT[at])).collect();
    let total = screen.width.unwrap_or(usize::MAX);
    let shared = (1..=wanted.len()).rev().map(|count| share(&wanted[..count], total, LEAST));
    shared.into_iter().find(|widths| takes(widths) <= total).unwrap_or_default()
}

fn line(text: &mut String, cells: &[String; 10], widths: &[usize]) {
    let fitted = cells.iter().zip(widths).enumerate().map(|(at, (cell, &width))| {
        if NUMBERS.contains(&at) { format!("{cell:>width$}") } else { fit(cell, width) }
    });
    let fitted: Vec<String> = fitted.collect();
    // Writing to a string cannot fail.
    writeln!(text, "{}", fitted.join("  ").trim_end()).ok();
}

/// A number and what it counts.
fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The same, before a participle.
fn was(number: u64, noun: &str) -> String {
    let verb = if number == 1 { "was" } else { "were" };
    format!("{} {verb}", count(number, noun))
}

/// A time to the second.
fn second(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as exact as it is known.
fn time(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
}

#[cfg(test)]
mod tests;
