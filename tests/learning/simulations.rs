//! The bars of `cargo bench --bench learning`, with few runs and fixed seeds.

use std::time::Duration;

use fusebox::domain::learn::{recommend::Policy, warn::failures::LIMIT_OF_INSTANCE};

use crate::simulation::{
    Runs,
    changing::{Failing, Minutes, rising, unusual},
    mean,
    random::Random,
    recommending::{FIRST, Month, month},
    share,
    waiting::{self, Cuts, Rule, Service},
    worlds::{self, World},
};

const SECOND: Duration = Duration::from_secs(1);

/// Where the seeds begin of tests, and of the runs with which rules were made. A figure that was
/// seen while a rule was made says little about the rule, so the benchmark has seeds of its own.
const FAMILIAR: u64 = 0x5eed_0000;

fn runs<T: Send>(count: u32, run: impl Fn(&mut Random) -> T + Sync) -> Vec<T> {
    Runs { count, seed: FAMILIAR }.each(run)
}

fn months(world: &World, per_day: u32, count: u32) -> Vec<Month> {
    runs(count, |random| month(world, per_day, &FIRST, &Policy::default(), random))
}

#[test]
fn where_nothing_matters_hardly_anything_is_said_in_a_month() {
    let months = months(&worlds::NULL_18, 50, 30);
    let said = share(&months, |month| month.anything.is_some());
    assert!(said <= 0.05, "{said}");
}

#[test]
fn a_value_that_does_harm_is_found_within_days() {
    let months = months(&worlds::WORSE_18, 500, 6);
    assert!(months.iter().all(|month| month.found.is_some_and(|day| day <= 15)), "{months:?}");
    assert!(months.iter().all(|month| month.confirmed.is_some()), "{months:?}");
}

#[test]
fn a_value_that_does_good_is_recommended_and_nothing_else() {
    let months = months(&worlds::BETTER_COMBINED, 300, 3);
    assert!(months.iter().all(|month| month.advised.is_some()), "{months:?}");
    assert!(months.iter().all(|month| month.misled.is_none()), "{months:?}");
}

#[test]
fn a_value_that_easy_callers_prefer_is_not_recommended_where_callers_are_known() {
    let advised = |world: &World| {
        let months = months(world, 150, 3);
        share(&months, |month| month.advised.is_some())
    };
    assert!(advised(&worlds::CONFOUNDED) <= 0.0);
    assert!(advised(&worlds::REVERSED) <= 0.0);
    assert!(advised(&worlds::HIDDEN) >= 1.0, "nobody can know");
}

fn cuts(rule: Rule, per_minute: u32, median: f64) -> Cuts {
    let service = Service { rule, per_minute, median };
    let all = runs(4, |random| waiting::run(&service, random));
    Cuts {
        steady: mean(all.iter().map(|cuts| cuts.steady)),
        after: mean(all.iter().map(|cuts| cuts.after)),
        learned: all.iter().map(|cuts| cuts.learned).min().unwrap_or_default(),
        shortest: all.iter().map(|cuts| cuts.shortest).min().unwrap_or_default(),
        unknown: all.iter().map(|cuts| cuts.unknown).min().unwrap_or_default(),
        unknown_and_not_ceiling: all.iter().map(|cuts| cuts.unknown_and_not_ceiling).sum(),
    }
}

#[test]
fn a_learned_timeout_hardly_cuts_what_would_have_ended() {
    let learned = cuts(Rule::Tighten { from: 60 * SECOND }, 300, 0.4);
    assert!(learned.steady <= 0.002 && learned.after <= 0.01, "{learned:?}");
    assert!(learned.learned < 20 * SECOND, "{learned:?}");
    let naive = cuts(Rule::Naive, 300, 0.4);
    assert!(naive.steady > 0.02 && naive.after > 0.1, "{naive:?}");
}

#[test]
fn a_timeout_that_starts_too_low_recovers() {
    let learned = cuts(Rule::Tighten { from: Duration::from_millis(1_500) }, 300, 0.4);
    assert!(learned.steady <= 0.002 && learned.learned > 5 * SECOND, "{learned:?}");
}

#[test]
fn a_learned_timeout_keeps_to_its_floor_and_to_its_ceiling() {
    let fast = cuts(Rule::Tighten { from: SECOND }, 100, 0.005);
    assert_eq!(fast.shortest, SECOND / 2);
    let rare = cuts(Rule::Tighten { from: SECOND }, 1, 0.4);
    assert!(rare.unknown > 400 && rare.unknown_and_not_ceiling == 0, "{rare:?}");
    assert_eq!(rare.learned, 60 * SECOND);
}

#[test]
fn failures_are_noticed_within_calls_and_false_alarms_are_rare() {
    let failing = Failing { usual_permille: 20, limit: LIMIT_OF_INSTANCE };
    let delay = |rate| {
        let delays = runs(100, |random| failing.delay(rate, random).0);
        mean(delays.into_iter().map(|calls| calls as f64))
    };
    assert!(delay(0.2) < 40.0 && delay(0.5) < 14.0, "{} {}", delay(0.2), delay(0.5));
    let quiet = runs(20, |random| failing.false_alarm(150_000, random));
    assert!(mean(quiet.iter().map(|&calls| calls as f64)) > 30_000.0, "{quiet:?}");
}

#[test]
fn a_slowdown_is_noticed_within_minutes_and_false_alarms_are_rare() {
    for memory in [0.0, 0.5] {
        let minutes = Minutes { memory };
        let alarm = |slower, until| {
            let alarms = runs(20, |random| minutes.alarm(slower, until, random));
            mean(alarms.into_iter().map(|minutes| minutes as f64))
        };
        assert!(alarm(1.5, 100) < 5.0);
        assert!(alarm(1.0, 20_000) > 10_000.0, "{}", alarm(1.0, 20_000));
    }
}

#[test]
fn a_rise_is_seen_coming_and_no_rise_is_not() {
    let rises = runs(20, |random| rising(0.05, random));
    assert!(share(&rises, Option::is_some) >= 0.95);
    assert!(share(&rises, |rise| rise.is_some_and(|(_, held)| held)) >= 0.5);
    assert!(runs(20, |random| rising(0.0, random)).iter().all(Option::is_none));
}

#[test]
fn an_unusual_hour_is_seen_and_a_usual_one_is_not() {
    let said = |times| share(&runs(200, |random| unusual(times, random)), |said| *said);
    assert!(said(1.0) <= 0.01 && said(3.0) >= 0.9, "{} {}", said(1.0), said(3.0));
}
