//! How often learning is wrong, and how often it finds what is there:
//! `cargo bench --bench learning [-- PART…]`.
//!
//! Simulated months of tasks through the rule of recommendations, hours of calls under a learned
//! timeout, calls through change detection. All is seeded, so the table is the same every time. It
//! takes a quarter of an hour on two cores; `RUNS` (1,000) is how many times each line is run, and
//! `SEED` where the seeds begin. The parts are `nothing`,
//! `something`, `confounded`, `timeouts`, `failures` and `others`; without a name all. Fails when a
//! bar is missed.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod simulation;
mod table;

use std::{ops::RangeInclusive, process::ExitCode, time::Duration};

use fusebox::domain::learn::{
    contrast::Goal,
    formula::trend::median,
    recommend::Policy,
    warn::failures::{LIMIT_OF_FLEET, LIMIT_OF_INSTANCE},
};
use simulation::{
    Runs,
    changing::{Failing, Minutes, rising, unusual},
    mean,
    recommending::{FIRST, Month, SECOND, at_once, month},
    share,
    waiting::{self, Cuts, Rule, Service},
    worlds::{self, World},
};
use table::{Bar, Table};

/// Where the seeds of the table begin: nobody looked at these while rules were made.
const UNSEEN: u32 = 0x7ab1_e000;

/// Fills a part of the table with so many runs of each line.
type Part = fn(&mut Table, Runs);

/// The parts of the table, by name.
const PARTS: [(&str, Part); 7] = [
    ("nothing", nothing),
    ("later", later),
    ("something", something),
    ("confounded", confounded),
    ("timeouts", timeouts),
    ("failures", failures),
    ("others", others),
];

fn main() -> ExitCode {
    let runs = asked();
    let mut table = Table::default();
    println!("{} runs of each line, seeds from {:#x} on", runs.count, runs.seed);
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    for (name, part) in PARTS {
        if named.is_empty() || named.iter().any(|own| own == name) {
            part(&mut table, runs);
        }
    }
    if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The runs that are asked for.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
fn asked() -> Runs {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().ok().filter(|number| *number > 0).expect("a number from 1 up"))
    };
    Runs { count: number("RUNS").unwrap_or(1_000), seed: number("SEED").unwrap_or(UNSEEN).into() }
}

fn months(
    world: &World,
    per_day: u32,
    days: &RangeInclusive<i32>,
    goal: Goal,
    runs: Runs,
) -> Vec<Month> {
    let policy = Policy { goal, ..Policy::default() };
    runs.each(|random| month(world, per_day, days, &policy, random))
}

/// Traffic in which no parameter matters, from its first task on.
fn nothing(table: &mut Table, runs: Runs) {
    nothing_on(table, ("first 30 days", FIRST), runs);
}

/// The same when the window is full, and moves.
fn later(table: &mut Table, runs: Runs) {
    nothing_on(table, ("30 days after those", SECOND), runs);
}

fn nothing_on(table: &mut Table, (which, days): (&str, RangeInclusive<i32>), runs: Runs) {
    const RATES: [u32; 3] = [50, 500, 5_000];
    table.heading(&format!(
        "Recommendations: chance that anything is said in the {which}, where nothing is to say"
    ));
    for (world, goal, rates) in [
        (worlds::NULL_18, Goal::Success, &RATES[..]),
        (worlds::NULL_COMBINED, Goal::Success, &RATES),
        (worlds::NULL_COMBINED, Goal::Impact, &RATES),
        (worlds::NULL_LOPSIDED, Goal::Impact, &RATES),
        (worlds::NULL_COMBINED, Goal::Duration, &RATES[..2]),
        (worlds::NULL_COMBINED, Goal::Cost, &RATES[..2]),
        (worlds::NULL_NUMBERS, Goal::Success, &RATES[1..2]),
        (worlds::NULL_BAD_DAYS, Goal::Success, &RATES[1..2]),
    ] {
        for &per_day in rates {
            let runs = if per_day > 500 { runs.of(runs.count.div_ceil(2)) } else { runs };
            let months = months(&world, per_day, &days, goal, runs);
            let said = share(&months, |month| month.anything.is_some());
            let what = format!("{}, {}, {per_day}/day", world.name, goal.as_str());
            table.line(&what, said, Bar::AtMost(0.05), &error_of(said, runs));
        }
    }
}

/// How far a share of runs is off.
fn error_of(share: f64, runs: Runs) -> String {
    format!("+- {:.4}", (share * (1.0 - share) / f64::from(runs.count)).sqrt())
}

/// Traffic in which one value matters.
fn something(table: &mut Table, runs: Runs) {
    table.heading("Recommendations: chance that an effect is found in 30 days");
    for (world, per_day, bar) in [
        (worlds::WORSE_COMBINED, 50, Bar::AtLeast(0.75)),
        (worlds::WORSE_COMBINED, 500, Bar::AtLeast(0.99)),
        // Some 83 tasks a month: see below what can be found in these at all.
        (worlds::WORSE_18, 50, Bar::None),
        (worlds::WORSE_18, 500, Bar::AtLeast(0.99)),
        (worlds::BETTER_COMBINED, 50, Bar::AtLeast(0.75)),
        (worlds::BETTER_COMBINED, 500, Bar::AtLeast(0.99)),
        (worlds::BETTER_18, 50, Bar::None),
        (worlds::BETTER_18, 500, Bar::AtLeast(0.99)),
    ] {
        let months = months(&world, per_day, &FIRST, Goal::Success, runs);
        let found = share(&months, |month| month.found.is_some());
        let days = median(months.iter().filter_map(|month| month.found).map(f64::from));
        let beside = format!(
            "median day {:.0}; confirmed {:.2}, recommended {:.2}, something else {:.2}",
            days.unwrap_or(f64::NAN),
            share(&months, |month| month.confirmed.is_some()),
            share(&months, |month| month.advised.is_some()),
            share(&months, |month| month.misled.is_some()),
        );
        table.line(&format!("{}, {per_day}/day", world.name), found, bar, &beside);
    }
    table.heading("The same, had one looked only once, after 30 days, at 5 % over all 18 values");
    for world in [worlds::WORSE_18, worlds::BETTER_18] {
        let found = share(&runs.each(|random| at_once(&world, 50, random)), |found| *found);
        table.line(&format!("{}, 50/day", world.name), found, Bar::None, "");
    }
}

/// Traffic in which a value only seems to matter.
fn confounded(table: &mut Table, runs: Runs) {
    table.heading("Recommendations: chance that a confounded value is recommended in 30 days");
    for (world, per_day, bar) in [
        (worlds::CONFOUNDED, 50, Bar::AtMost(0.05)),
        (worlds::CONFOUNDED, 500, Bar::AtMost(0.05)),
        (worlds::CONFOUNDED, 5_000, Bar::AtMost(0.05)),
        (worlds::REVERSED, 500, Bar::AtMost(0.05)),
        (worlds::HIDDEN, 500, Bar::None),
    ] {
        let months = months(&world, per_day, &FIRST, Goal::Success, runs);
        let advised = share(&months, |month| month.advised.is_some());
        table.line(&format!("{}, {per_day}/day", world.name), advised, bar, "");
    }
}

/// Calls under a learned timeout.
fn timeouts(table: &mut Table, runs: Runs) {
    let rule = |rule, per_minute, median| Service { rule, per_minute, median };
    let seconds = Duration::from_secs;
    let tighten = Rule::Tighten { from: seconds(60) };
    let low = Rule::Tighten { from: Duration::from_millis(1_500) };
    let (fine, bad) = ((Bar::AtMost(0.2), Bar::AtMost(1.0)), (Bar::None, Bar::None));
    let lines = [
        ("learned, 500 calls a minute", rule(tighten, 500, 0.4), fine),
        ("learned, 60 a minute", rule(tighten, 60, 0.4), fine),
        ("learned, 5 a minute", rule(tighten, 5, 0.4), fine),
        ("learned, 1 a minute", rule(tighten, 1, 0.4), fine),
        ("learned from 1.5 s on, 500 a minute", rule(low, 500, 0.4), fine),
        ("learned, calls of 5 ms, 500 a minute", rule(tighten, 500, 0.005), fine),
        ("widened from 5 s on, 60 a minute", rule(Rule::Widen { from: seconds(5) }, 60, 0.4), fine),
        ("fixed at 5 s", rule(Rule::Fixed(seconds(5)), 60, 0.4), bad),
        ("1.2 x p99 of what ended, 500 a minute", rule(Rule::Naive, 500, 0.4), bad),
    ];
    table.heading(
        "Timeouts: per cent of calls cut that would have ended, steady and after 3 x slower",
    );
    for (what, service, (steady_bar, after_bar)) in lines {
        let cuts: Vec<Cuts> =
            runs.of(runs.count.div_ceil(10).max(40)).each(|random| waiting::run(&service, random));
        let beside = format!(
            "learned {:.2} s, never below {:.2} s; unknown {:.0} min, of these not at the ceiling {}",
            mean(cuts.iter().map(|cut| cut.learned.as_secs_f64())),
            cuts.iter().map(|cut| cut.shortest.as_secs_f64()).fold(f64::MAX, f64::min),
            mean(cuts.iter().map(|cut| f64::from(cut.unknown))),
            cuts.iter().map(|cut| cut.unknown_and_not_ceiling).sum::<u32>(),
        );
        let steady = 100.0 * mean(cuts.iter().map(|cut| cut.steady));
        table.line(&format!("{what}: steady"), steady, steady_bar, &beside);
        let after = 100.0 * mean(cuts.iter().map(|cut| cut.after));
        table.line(&format!("{what}: slower"), after, after_bar, "");
    }
}

/// Calls through the detection of a change of failures.
fn failures(table: &mut Table, runs: Runs) {
    table.heading("Failures: calls until an alarm");
    for (usual_permille, limit, quiet, delays) in [
        (20, LIMIT_OF_INSTANCE, 40_000.0, [(0.2, 40.0), (0.5, 14.0)]),
        (20, LIMIT_OF_FLEET, 300_000.0, [(0.2, 50.0), (0.5, 18.0)]),
        (2, LIMIT_OF_INSTANCE, 50_000.0, [(0.2, 18.0), (0.5, 8.0)]),
        (2, LIMIT_OF_FLEET, 300_000.0, [(0.2, 25.0), (0.5, 10.0)]),
    ] {
        let failing = Failing { usual_permille, limit };
        let name = format!("usually {} %, limit {limit}", usual_permille as f64 / 10.0);
        let calls = runs.each(|random| failing.false_alarm(2_000_000, random));
        let quiet_for = mean(calls.iter().map(|&calls| calls as f64));
        table.line(&format!("{name}: unchanged"), quiet_for, Bar::AtLeast(quiet), "");
        for (rate, bar) in delays {
            let delays = runs.of(runs.count.max(400)).each(|random| failing.delay(rate, random));
            let calls = mean(delays.iter().map(|delay| delay.0 as f64));
            let off = median(delays.iter().map(|delay| delay.1 as f64)).unwrap_or(f64::NAN);
            let beside = format!("beginning off by {off} calls");
            table.line(&format!("{name}: {rate} from now on"), calls, Bar::AtMost(bar), &beside);
        }
    }
}

/// Latency, trends, seasons.
fn others(table: &mut Table, runs: Runs) {
    table.heading("Latency: minutes until an alarm");
    let month = Bar::AtLeast(30.0 * 1_440.0);
    for (memory, quiet, soon) in [(0.0, month, 12.0), (0.5, month, 20.0)] {
        let minutes = Minutes { memory };
        for (slower, until, bar) in
            [(1.0, 200_000, quiet), (1.1, 1_000, Bar::AtMost(soon)), (1.5, 1_000, Bar::AtMost(4.0))]
        {
            let alarms = runs.each(|random| minutes.alarm(slower, until, random));
            let mean = mean(alarms.iter().map(|&minutes| minutes as f64));
            let what = format!("{slower} x slower, minutes alike by {memory}");
            table.line(&what, mean, bar, "");
        }
    }
    table.heading("Trends and seasons: chance that something is said");
    for (per_hour, bar) in [(0.0, Bar::AtMost(0.01)), (0.05, Bar::AtLeast(0.95))] {
        let found = runs.each(|random| rising(per_hour, random));
        let held = share(&found, |found| found.is_some_and(|(_, held)| held));
        let beside = format!("and its 80 % interval is right: {held:.2}");
        let said = share(&found, Option::is_some);
        table.line(&format!("p95 rises by {per_hour} an hour for 6 hours"), said, bar, &beside);
    }
    for (times, bar) in
        [(1.0, Bar::AtMost(0.01)), (2.0, Bar::AtLeast(0.5)), (3.0, Bar::AtLeast(0.9))]
    {
        let said =
            share(&runs.of(runs.count.max(400)).each(|random| unusual(times, random)), |said| {
                *said
            });
        table.line(&format!("{times} times the usual of that hour"), said, bar, "");
    }
}
