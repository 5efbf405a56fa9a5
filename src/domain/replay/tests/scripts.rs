//! A call each second: `+` succeeded, `-` answered 503, `c` found nobody listening, `w` answered
//! 429, `~` died in its body, `n` was given up by its caller, `r` was refused by the real circuit,
//! `K` and `k` are checks that succeeded and failed, ` ` is a second without.

use super::{after, call, ended, replay, replay_rules, replay_shared, second};
use crate::domain::{
    breaker::{Cause, Mode, Policy, RateRule},
    outcome::{Outcome, Reason},
    replay::{Call, Logged, OfRoute, Refused, Report, Rules, Sharing, Why},
    units::Percent,
};
use std::time::Duration;

fn calls(script: &str) -> Vec<Call> {
    let each = (0..).zip(script.chars()).filter_map(|(at, step)| {
        let at = second(at);
        Some(match step {
            '+' => call(at),
            '-' => ended(at, Reason::Http503),
            'c' => ended(at, Reason::ConnectRefused),
            'w' => ended(at, Reason::Http429),
            '~' => Call {
                status: Some(200),
                first_byte_us: Some(50_000),
                ..ended(at, Reason::ResetMidBody)
            },
            'n' => ended(at, Reason::ClientGoneBeforeHeaders),
            'r' => ended(at, Reason::BreakerOpen),
            'K' => Call { is_check: true, ..call(at) },
            'k' => Call { is_check: true, ..ended(at, Reason::ConnectRefused) },
            _ => return None,
        })
    });
    each.collect()
}

/// When trips came, in whole seconds, and how long each lasted.
fn trips(report: &Report) -> Vec<(i64, Option<i64>)> {
    let s = |us: i64| (us - second(0)) / 1_000_000;
    let lasted = |trip: &super::super::Trip| Some(s(trip.carried_again_us?) - s(trip.at_us));
    report.trips.iter().map(|trip| (s(trip.at_us), lasted(trip))).collect()
}

#[track_caller]
fn check(policy: Policy, script: &str, expected: &[(i64, Option<i64>)]) {
    assert_eq!(trips(&replay(policy, &calls(script))), expected, "{script}");
}

#[test]
fn the_rules_that_are_tried_decide_when_a_trip_comes() {
    check(after(3), "+--+---", &[(6, None)]);
    check(after(2), "+--+---", &[(2, None)]);
    check(after(4), "+--+---", &[]);
}

#[test]
fn a_proposal_in_shadow_is_tried_as_if_it_were_in_force() {
    let script = calls("+---+-rr+");
    let (auto, shadow) = (after(3), Policy { mode: Mode::Shadow, ..after(3) });
    let tried = replay(shadow, &script);
    assert_eq!(tried.trips, replay(auto, &script).trips);
    assert_eq!((trips(&tried), tried.trips[0].refused.total()), (vec![(3, None)], 3));
    assert_eq!(tried.upstreams["payments"].mode, Mode::Shadow);
}

#[test]
fn a_disabled_proposal_never_trips_and_lets_through_what_was_refused() {
    let disabled = Policy { mode: Mode::Disabled, ..after(1) };
    let report = replay(disabled, &calls("+--~~cckkr-"));
    assert_eq!(trips(&report), []);
    let summary = &report.upstreams["payments"];
    assert_eq!((summary.mode, summary.refused.total()), (Mode::Disabled, 0));
    let divergence = summary.divergence.as_ref().unwrap();
    assert_eq!((divergence.at_us, divergence.why), (second(9), Why::PassedWhatWasRefused));
}

#[test]
fn a_stored_call_is_the_probe_that_closes_the_circuit_or_does_not() {
    check(after(2), "--+++++++++++++", &[(1, Some(11))]);
    // The first probe fails and the circuit stays open twice as long, and a little more at random.
    let report = replay(after(2), &calls(&["--", &"-".repeat(12), &"+".repeat(40)].concat()));
    assert_eq!(report.trips.len(), 1);
    assert_eq!(report.trips[0].probes_failed, 1);
    assert!((31..=37).contains(&trips(&report)[0].1.unwrap()), "{report:?}");
}

#[test]
fn refused_calls_are_told_by_what_they_came_to() {
    let report = replay(after(2), &calls("--+-+cnw+++++++"));
    let expected = Refused { saved: 3, wrongly: 6, undecided: 1 };
    assert_eq!(report.trips[0].refused, expected);
    let summary = &report.upstreams["payments"];
    assert_eq!((summary.calls, summary.refused), (15, expected));
}

#[test]
fn a_replay_is_exact_until_it_does_what_was_not_done() {
    // What was done: three failures opened it.
    let script = "+---rrrrrrrrrr+";
    let same = replay(after(3), &calls(script));
    assert_eq!(trips(&same), [(3, Some(11))]);
    assert_eq!(same.upstreams["payments"].divergence, None);
    assert_eq!(same.upstreams["payments"].refused_by_both, 10);

    let sooner = replay(after(2), &calls(script));
    let divergence = sooner.upstreams["payments"].divergence.as_ref().unwrap();
    assert_eq!((divergence.at_us, divergence.why), (second(3), Why::RefusedWhatPassed));
    assert!(sooner.is_exact(&sooner.trips[0]));

    let later = replay(after(4), &calls(script));
    let divergence = later.upstreams["payments"].divergence.as_ref().unwrap();
    assert_eq!((divergence.at_us, divergence.why), (second(4), Why::PassedWhatWasRefused));
    assert_eq!(later.upstreams["payments"].really_refused, 10);
    assert_eq!(later.upstreams["payments"].refused_by_both, 0);
}

#[test]
fn a_trip_behind_the_divergence_is_no_longer_exact() {
    let report = replay(after(2), &calls("--+++++++++++++--"));
    let exact: Vec<bool> = report.trips.iter().map(|trip| report.is_exact(trip)).collect();
    assert_eq!(exact, [true, false]);
}

#[test]
fn bodies_that_die_callers_that_leave_and_overloads_count_as_they_do_live() {
    check(after(3), "~~~", &[(2, None)]);
    check(after(2), "-n-", &[(2, None)]);
    check(after(2), "-+-", &[]);
    check(after(2), "-w-", &[(2, None)]);
    check(after(1), "wwwwwnnnnn", &[]);
}

#[test]
fn calls_that_hang_count_as_they_do_live() {
    let waits = |at, us, reason| Call {
        duration_us: us,
        upstream_us: Some(us),
        ..ended(second(at), reason)
    };
    let gone = |at| waits(at, 10_000_000, Reason::ClientGoneBeforeHeaders);
    let calls = [calls("+++++"), vec![gone(6), gone(7), gone(8)]].concat();
    let report = replay(after(3), &calls);
    assert_eq!(trips(&report), [(10, None)], "two seconds after the third began");
    assert_eq!(report.trips[0].cause, Cause::HangingCalls);
    assert_eq!(report.doubts.waited, 3);
    let off = Policy { hangs_after: None, ..after(3) };
    assert_eq!(trips(&replay(off, &calls)), []);
    let cut_off = calls.iter().map(|call| Call { outcome: Outcome::Interrupted, ..call.clone() });
    assert_eq!(trips(&replay(after(3), &cut_off.collect::<Vec<_>>())), []);
}

#[test]
fn checks_count_and_one_ends_an_outage_of_connecting() {
    check(after(3), "ckk", &[(2, None)]);
    check(after(2), "cc  K ++", &[(1, Some(3))]);
    check(after(2), "--  K ++", &[(1, None)]);
}

#[test]
fn a_share_of_failures_opens_it_where_that_is_proposed() {
    let over = Percent::from_basis_points(5_000).unwrap();
    let rule =
        RateRule { over, window: Duration::from_secs(60), min_calls: 10.try_into().unwrap() };
    let policy = Policy { failure_rate: Some(rule), ..after(50) };
    let report = replay(policy, &calls(&"----+".repeat(6)));
    let trip = &report.trips[0];
    assert_eq!(trip.cause, Cause::FailureRate);
    assert!(trip.window_calls >= 10 && trip.window_failures * 2 > trip.window_calls, "{trip:?}");
}

#[test]
fn each_instance_has_its_own_circuit_unless_all_share_one() {
    let mut calls = calls("--+----");
    for (at, call) in calls.iter_mut().enumerate() {
        call.instance = ["orders-1", "orders-2"][at % 2].into();
    }
    let apart = replay(after(2), &calls);
    let of = |report: &Report| -> Vec<String> {
        report.trips.iter().map(|trip| trip.instance.to_string()).collect()
    };
    assert_eq!(of(&apart), ["orders-2", "orders-1"]);
    assert_eq!(apart.upstreams["payments"].circuits, 2);
    let shared = replay_shared(after(2), Sharing::OneForAll, &calls);
    assert_eq!(of(&shared), [""]);
    assert_eq!(trips(&shared), [(1, None)]);
}

#[test]
fn attempts_count_each_at_its_own_upstream() {
    let logged = |upstream: &str, reason: Option<Reason>| Logged {
        upstream: upstream.into(),
        verdict: reason.map_or(crate::domain::outcome::Verdict::Success, Reason::verdict),
        reason,
        duration_us: 10_000,
    };
    let retried = |at: i64, last| Call {
        attempts: 2,
        log: vec![logged("payments", Some(Reason::ConnectRefused)), last],
        upstream_us: Some(20_000),
        ..call(at)
    };
    let well = |at| retried(at, logged("payments", None));
    let elsewhere = |at| retried(at, logged("spare", None));
    assert_eq!(trips(&replay(after(2), &[well(second(0)), well(second(1))])), []);
    let report = replay(after(2), &[elsewhere(second(0)), elsewhere(second(1)), call(second(2))]);
    assert_eq!(trips(&report), [(1, None)]);
    assert_eq!(report.doubts.retried, 2);
    assert_eq!(report.trips[0].refused.wrongly, 1);
}

#[test]
fn a_route_with_a_circuit_of_its_own_is_judged_by_it_alone() {
    let (payments, charge) = ("payments".into(), "payments/charge".into());
    let of_route = OfRoute {
        upstream: std::sync::Arc::clone(&payments),
        route: "charge".into(),
        circuit: std::sync::Arc::clone(&charge),
    };
    let circuits = [(payments, after(2)), (charge, after(3))].into();
    let rules = Rules { circuits, of_routes: vec![of_route] };
    let on = |route: &str, call: Call| Call { route: route.into(), ..call };
    let calls = [
        on("charge", ended(second(0), Reason::Http503)),
        on("all", ended(second(1), Reason::Http503)),
        on("charge", ended(second(2), Reason::Http503)),
        on("charge", ended(second(3), Reason::Http503)),
        on("charge", ended(second(4), Reason::BreakerOpen)),
    ];
    let report = replay_rules(rules, Sharing::PerInstance, &calls);
    assert_eq!(trips(&report), [(3, None)]);
    assert_eq!(&*report.trips[0].upstream, "payments/charge");
    assert_eq!(report.trips[0].refused_by_both, 1);
    assert_eq!(report.upstreams["payments"].calls, 1);
}

#[test]
fn rows_that_stand_for_several_calls_count_as_many() {
    let mut calls = calls("+--+");
    (calls[0].weight, calls[3].weight) = (50, 7);
    let report = replay(after(2), &calls);
    assert_eq!(report.upstreams["payments"].calls, 59);
    assert_eq!(report.trips[0].refused.wrongly, 7);
    assert_eq!((report.doubts.folded_rows, report.doubts.folded_calls), (2, 57));
}

#[test]
fn numbers_that_no_call_has_harm_nobody() {
    let odd = |call: Call| Call {
        duration_us: u64::MAX,
        first_byte_us: Some(u64::MAX),
        upstream_us: Some(u64::MAX),
        weight: 0,
        ..call
    };
    let check = Call { is_check: true, weight: u32::MAX, ..odd(call(second(0))) };
    let grpc = Call { grpc_status: Some(14), ..odd(call(second(1))) };
    let before = Call { started_at_us: i64::MIN, ..odd(call(0)) };
    let report = replay(after(1), &[check, grpc, before]);
    assert_eq!((report.rows, report.trips.len()), (3, 1));
}

#[test]
fn nothing_gives_an_empty_report_and_unknown_upstreams_are_told() {
    let report = replay(after(2), &[]);
    assert_eq!((report.rows, report.trips.len()), (0, 0));
    assert_eq!(report.upstreams["payments"].calls, 0);
    let other = Call { upstream: "music".into(), ..ended(second(0), Reason::Http503) };
    let report = replay(after(1), &[other.clone(), other]);
    assert_eq!((report.doubts.elsewhere, report.trips.len()), (2, 0));
}
