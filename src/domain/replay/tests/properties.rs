//! A machine that carries calls, written as rows, and replayed.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
};

use super::{BEGIN_US, call, ended, replay};
use crate::{
    clock,
    domain::{
        breaker::{
            Breaker, Cause, Observed, Permit, Policy, RateRule, Receipt, SlowRule, State,
            Transition,
        },
        outcome::{Reason, Verdict},
        replay::{Call, Replay, Rules, Sharing, Span, circuit::SEED},
        units::Percent,
    },
};

/// A call that is going to be made.
#[derive(Debug, Clone)]
struct Plan {
    /// After the one before it began.
    gap_us: i64,
    head_us: i64,
    body_us: i64,
    ending: Ending,
    is_idempotent: bool,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Well,
    Reset,
    With(Reason),
}

/// A trip as the machine and the report both tell it.
type Told = (i64, Cause, u32, u32, u32);

/// The machine under which the calls are really made.
struct Live {
    breaker: Breaker,
    base: std::time::Instant,
    trips: Vec<Told>,
}

/// What is still to come, at its time.
enum Coming {
    Wait(Permit, Plan, i64),
    Head(Permit, Plan),
    End(Receipt, bool),
}

impl Live {
    fn at(&self, us: i64) -> std::time::Instant {
        self.base + Duration::from_micros((us - BEGIN_US).try_into().unwrap())
    }

    fn saw(&mut self, moved: Option<Transition>, at_us: i64) {
        let Some(moved) = moved else { return };
        if moved.to == State::Open && moved.cause != Cause::ProbeFailed {
            let window = (moved.window_calls, moved.window_failures);
            self.trips.push((at_us, moved.cause, moved.failure_count, window.0, window.1));
        }
    }

    /// Lets one thing happen; what follows from it, and when.
    fn happen(&mut self, at_us: i64, what: Coming) -> Option<(i64, Coming)> {
        let now = self.at(at_us);
        match what {
            Coming::Wait(mut permit, plan, began_us) => {
                let waited = now - self.at(began_us);
                let (again, moved) = self.breaker.waits(&mut permit, waited, now);
                self.saw(moved, at_us);
                Some(waits(permit, plan, began_us, again))
            }
            Coming::Head(permit, plan) => {
                let (receipt, moved) = self.breaker.record(permit, observed(&plan), now);
                self.saw(moved, at_us);
                let dies = matches!(plan.ending, Ending::Reset);
                (!receipt.is_final()).then(|| (at_us + plan.body_us, Coming::End(receipt, dies)))
            }
            Coming::End(receipt, true) => {
                let moved = self.breaker.reclassify(receipt, now);
                self.saw(moved, at_us);
                None
            }
            Coming::End(receipt, false) => {
                self.breaker.settle(receipt);
                None
            }
        }
    }
}

/// What comes of a call that waits until it is looked at or judged.
fn waits(permit: Permit, plan: Plan, began_us: i64, look: Option<Duration>) -> (i64, Coming) {
    let look_us = look.map(|look| i64::try_from(look.as_micros()).unwrap());
    match look_us.filter(|look_us| *look_us < plan.head_us) {
        Some(look_us) => (began_us + look_us, Coming::Wait(permit, plan, began_us)),
        None => (began_us + plan.head_us, Coming::Head(permit, plan)),
    }
}

/// Makes the calls: the rows, and the trips that there were.
fn carry(policy: &Policy, plans: &[Plan]) -> (Vec<Call>, Vec<Told>) {
    let base = clock::now();
    let breaker = Breaker::new(policy.clone(), SEED, base);
    let mut live = Live { breaker, base, trips: Vec::new() };
    let mut coming: BTreeMap<(i64, usize), Coming> = BTreeMap::new();
    let (mut rows, mut at_us, mut number) = (Vec::new(), BEGIN_US, 0);
    let mut next = || {
        number += 1;
        number
    };
    for plan in plans {
        at_us += plan.gap_us;
        while let Some(entry) = coming.first_entry().filter(|entry| entry.key().0 <= at_us) {
            let ((at_us, _), what) = entry.remove_entry();
            let follows = live.happen(at_us, what);
            coming.extend(follows.map(|(at, what)| ((at, next()), what)));
        }
        let (decision, moved) = live.breaker.admit(plan.is_idempotent, live.at(at_us));
        live.saw(moved, at_us);
        rows.push(row(plan, at_us, decision.is_ok()));
        if let Ok(permit) = decision {
            let (at, what) = waits(permit, plan.clone(), at_us, policy.first_look());
            coming.insert((at, next()), what);
        }
    }
    while let Some(((at_us, _), what)) = coming.pop_first() {
        let follows = live.happen(at_us, what);
        coming.extend(follows.map(|(at, what)| ((at, next()), what)));
    }
    (rows, live.trips)
}

fn observed(plan: &Plan) -> Observed {
    let verdict = match plan.ending {
        Ending::Well | Ending::Reset => Verdict::Success,
        Ending::With(reason) => reason.verdict(),
    };
    Observed {
        verdict,
        latency: Duration::from_micros(plan.head_us.try_into().unwrap()),
        retry_after: None,
        by_connection: matches!(plan.ending, Ending::With(reason) if reason.is_connections()),
    }
}

fn row(plan: &Plan, at_us: i64, is_admitted: bool) -> Call {
    if !is_admitted {
        let refused = ended(at_us, Reason::BreakerOpen);
        return Call { is_idempotent: plan.is_idempotent, duration_us: 7, ..refused };
    }
    let us = |us: i64| u64::try_from(us).unwrap();
    let row = match plan.ending {
        Ending::Well => call(at_us),
        Ending::Reset => Call { status: Some(200), ..ended(at_us, Reason::ResetMidBody) },
        Ending::With(reason) => ended(at_us, reason),
    };
    let has_head = row.first_byte_us.is_some() || matches!(plan.ending, Ending::Reset);
    let duration_us = us(if has_head { plan.head_us + plan.body_us } else { plan.head_us });
    Call {
        is_idempotent: plan.is_idempotent,
        duration_us,
        upstream_us: Some(duration_us),
        first_byte_us: has_head.then_some(us(plan.head_us)),
        ..row
    }
}

fn plan(any_gap: bool) -> impl Strategy<Value = Plan> {
    let ending = prop_oneof![
        4 => Just(Ending::Well),
        1 => Just(Ending::Reset),
        4 => Just(Ending::With(Reason::Http503)),
        2 => Just(Ending::With(Reason::ConnectRefused)),
        1 => Just(Ending::With(Reason::Http429)),
        1 => Just(Ending::With(Reason::ClientGoneBeforeHeaders)),
    ];
    let shortest = i64::from(!any_gap);
    let gap = prop_oneof![shortest..3_000, 1_000..900_000_i64, 1_000_000..20_000_000_i64];
    (gap, 0..2_000_000_i64, 0..3_000_000_i64, ending, any::<bool>()).prop_map(
        |(gap_us, head_us, body_us, ending, is_idempotent)| Plan {
            gap_us,
            head_us,
            body_us,
            ending,
            is_idempotent,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    let rule =
        (0..8_000_u16, 5..60_u64, 1..10_u32).prop_map(|(over, window, min_calls)| RateRule {
            over: Percent::from_basis_points(over).unwrap(),
            window: Duration::from_secs(window),
            min_calls: min_calls.try_into().unwrap(),
        });
    let rates = (proptest::option::of(rule.clone()), proptest::option::of(rule));
    let hangs = proptest::option::of(200..1_900_u64);
    (1..7_u32, seconds(1..40), 1..4_u32, seconds(0..12), rates, hangs).prop_map(
        |(failures, open_for, close_after, ramp, (failure_rate, slow), hangs)| Policy {
            consecutive_failures: failures.try_into().unwrap(),
            open_for,
            close_after: close_after.try_into().unwrap(),
            ramp,
            failure_rate,
            slow_calls: slow
                .map(|rate| SlowRule { rate, slower_than: Duration::from_millis(1_500) }),
            hangs_after: hangs.map(Duration::from_millis),
            ..Policy::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_rules_that_were_in_force_give_exactly_the_trips_that_there_were(
        policy in policy(), plans in vec(plan(false), 0..120)
    ) {
        let (rows, trips) = carry(&policy, &plans);
        let report = replay(policy, &rows);
        let told = |trip: &super::super::Trip| {
            (trip.at_us, trip.cause, trip.failure_count, trip.window_calls, trip.window_failures)
        };
        assert_eq!(report.trips.iter().map(told).collect::<Vec<_>>(), trips);
        let summary = &report.upstreams["payments"];
        assert_eq!(summary.divergence, None);
        assert_eq!((summary.refused.total(), summary.really_refused), (0, summary.refused_by_both));
    }

    #[test]
    fn other_rules_are_exact_up_to_where_they_do_what_was_not_done(
        real in policy(), proposed in policy(), plans in vec(plan(false), 0..120)
    ) {
        let (rows, _) = carry(&real, &plans);
        let report = replay(proposed.clone(), &rows);
        let divergence = report.upstreams["payments"].divergence.clone();
        let until = divergence.map_or(i64::MAX, |divergence| divergence.at_us);
        // Carried under the proposal, the same calls meet the same until then.
        let (_, trips) = carry(&proposed, &plans);
        let before = |trip: &&Told| trip.0 < until;
        let exact = report.trips.iter().filter(|trip| trip.at_us < until);
        let exact: Vec<_> = exact.map(|trip| (trip.at_us, trip.cause)).collect();
        let expected: Vec<_> =
            trips.iter().filter(before).map(|trip| (trip.0, trip.1)).collect();
        assert_eq!(exact, expected);
    }

    #[test]
    fn no_order_of_rows_and_no_equal_times_are_too_much(
        policy in policy(), plans in vec(plan(true), 0..60), shuffled in any::<bool>()
    ) {
        let (mut rows, _) = carry(&policy, &plans);
        if shuffled {
            rows.sort_by_key(|row| row.duration_us);
        }
        let mut twice = rows.clone();
        twice.extend(rows);
        let report = replay(policy, &twice);
        let summary = &report.upstreams["payments"];
        let all = summary.refused.total() + summary.really_refused;
        assert!(report.rows >= all, "more were refused than there were");
        let order: Vec<i64> = report.trips.iter().map(|trip| trip.at_us).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn a_long_past_is_replayed_in_memory_that_does_not_grow_with_it() {
    let span = Span { from_us: BEGIN_US, to_us: i64::MAX };
    let circuits = [("payments".into(), Policy::default())].into();
    let rules = Rules { circuits, ..Rules::default() };
    let sharing = Sharing::PerInstance;
    let mut replay = Replay::new(rules, sharing, span, clock::now());
    let mut most = 0;
    for number in 0..200_000_i64 {
        replay.feed(&call(BEGIN_US + number * 10_000));
        most = most.max(replay.agenda.len());
    }
    assert!(most <= 12, "ten calls are under way at a time, and {most} things were to come");
    assert_eq!(replay.finish().rows, 200_000);
}
