//! A month of tasks through the rule of recommendations, looked at every day.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use fusebox::domain::learn::{
    cell::{Cell, Observation},
    evidence::Evidence,
    formula::share::{self, Share},
    recommend::{Effect, Finding, Policy, Status, recommend},
    setting::{Bin, Setting},
};

use super::{
    random::Random,
    worlds::{Task, World},
};

/// The month after the first task, in which the window grows.
pub(crate) const FIRST: RangeInclusive<i32> = 1..=30;

/// The month after that, in which it moves.
pub(crate) const SECOND: RangeInclusive<i32> = 31..=60;

/// The most values that a first parameter has.
const MOST_VALUES: usize = 40;

const NAMES: [&str; 3] = ["bpm", "genre", "model"];

/// What was said in a month. Days count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Month {
    /// The first day on which anything was found, good or bad.
    pub(crate) anything: Option<i32>,
    /// The first day on which the first value of the first parameter was found to matter.
    pub(crate) found: Option<i32>,
    /// The first day on which that was confirmed.
    pub(crate) confirmed: Option<i32>,
    /// The first day on which the first value of the first parameter was recommended.
    pub(crate) advised: Option<i32>,
    /// The first day on which something else was.
    pub(crate) misled: Option<i32>,
}

/// What is said on these days, of so many tasks a day from day 1 on.
pub(crate) fn month(
    world: &World,
    per_day: u32,
    days: &RangeInclusive<i32>,
    policy: &Policy,
    random: &mut Random,
) -> Month {
    let mut evidence = Evidence::default();
    let mut month = Month::default();
    for day in 1..=*days.end() {
        add(&mut evidence, day, world, per_day, random);
        if !days.contains(&day) {
            continue;
        }
        let report = recommend(&evidence, day, policy);
        let stands = |finding: &&Finding| finding.status > Status::Collecting;
        if report.findings.iter().any(|finding| stands(&finding)) {
            month.anything.get_or_insert(day);
        }
        if let Some(finding) =
            report.findings.iter().filter(stands).find(|f| is_first(world, &f.setting))
        {
            let improves = policy.goal.improves(finding.contrast.difference);
            assert!(finding.effect == Some(Effect::Better) || !improves);
            month.found.get_or_insert(day);
            if finding.status == Status::Confirmed {
                month.confirmed.get_or_insert(day);
            }
        }
        match report.advice {
            Some(advice) if is_first(world, &advice.setting) => month.advised.get_or_insert(day),
            Some(_) => month.misled.get_or_insert(day),
            None => continue,
        };
    }
    month
}

/// Whether the first value of the first parameter is found by one exact test after 30 days, at 5 %
/// divided by 18: the most that can be asked of so few tasks.
pub(crate) fn at_once(world: &World, per_day: u32, random: &mut Random) -> bool {
    let (mut one, mut rest) = (Share::default(), Share::default());
    for day in FIRST {
        for _ in 0..per_day {
            let task = (world.task)(random, day);
            let hit = Share::new(u64::from(random.happens(task.rate)), 1);
            let group = if task.values[0] == 0 { &mut one } else { &mut rest };
            *group = group.plus(hit);
        }
    }
    share::p_value(one, rest) <= 0.05 / 18.0
}

fn is_first(world: &World, setting: &Setting) -> bool {
    setting.bin(NAMES[0]).is_some_and(|bin| bin.holds(&bin_of(world, 0, 0)))
}

fn bin_of(world: &World, parameter: usize, value: usize) -> Bin {
    if parameter == 0 && world.numbers {
        Bin::integer(90 + 10 * i64::try_from(value).unwrap_or_default())
    } else {
        Bin::text(&format!("v{value}"))
    }
}

/// Adds a day, as a store would: one cell for each caller and setting.
fn add(evidence: &mut Evidence, day: i32, world: &World, per_day: u32, random: &mut Random) {
    let mut cells = vec![Cell::default(); MOST_VALUES * 6 * 6 * 3];
    for _ in 0..per_day {
        let task = (world.task)(random, day);
        let [a, b, c] = task.values;
        cells[((a * 6 + b) * 6 + c) * 3 + task.caller].record(&observe(&task, world, random));
    }
    let mut settings: BTreeMap<(usize, Setting), Cell> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.tasks > 0) {
        let (caller, values) = (at % 3, [at / 108, at / 18 % 6, at / 3 % 6]);
        let parameters = values.iter().enumerate().take(world.parameters);
        let all =
            Setting::new(parameters.map(|(at, &value)| (NAMES[at], bin_of(world, at, value))));
        for setting in all.counted() {
            let caller = if world.callers_known { caller } else { 0 };
            settings.entry((caller, setting)).or_default().merge(cell);
        }
    }
    for ((caller, setting), cell) in &settings {
        evidence.add(day, &format!("caller-{caller}"), setting, cell);
    }
}

/// Impact, duration and cost vary and do not depend on the parameters.
fn observe(task: &Task, world: &World, random: &mut Random) -> Observation {
    let (scored, spread) = (random.unit(), random.unit());
    Observation {
        succeeded: random.happens(task.rate),
        duration: Duration::from_secs_f64(0.2 + 4.0 * spread * spread * spread),
        impact: (scored < 0.9).then(|| (world.impact)(scored / 0.9)),
        cost: Some(0.01 + 0.05 * spread),
    }
}
