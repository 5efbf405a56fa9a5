use std::time::Duration;

use super::{Ballot, FleetFacts, Hearing, Opened, Sync, Vote};
use crate::domain::{
    breaker::{Cause, Ordered, Policy, Scope, Snapshot, State},
    explain::{
        explain,
        tests::{closed, open},
    },
    fleet::{
        drift::Drift,
        hearing::{Faction, Node},
    },
    order::{Reach, Signature},
    task::TaskId,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn node(name: &str, zone: &str) -> Node {
    Node { name: name.to_owned(), zone: Some(zone.to_owned()), host: None }
}

/// What all say, by number, and in which zone.
fn ballots(said: &[(usize, Vote, &str)]) -> Vec<Ballot> {
    let each = said.iter().flat_map(|&(count, vote, zone)| (0..count).map(move |_| (vote, zone)));
    let ballot = |(at, (vote, zone)): (usize, (Vote, &str))| {
        let calls = if vote == Vote::Abstain { 0 } else { 9 };
        let failures = if vote == Vote::Bad { 8 } else { 0 };
        let node = node(&format!("orders-{}", at + 1), zone);
        Ballot { node, vote: Some(vote), ago: s(3), calls, failures, alone: 1, of: 4 }
    };
    each.enumerate().map(ballot).collect()
}

fn facts(hearing: Hearing) -> FleetFacts {
    FleetFacts {
        is_agreed: true,
        epoch: 41,
        live: 20,
        sync: Sync::Listening,
        hearing: Some(Ok(hearing)),
        ..FleetFacts::default()
    }
}

#[track_caller]
fn check(snapshot: &Snapshot, facts: &FleetFacts, expect: &[&str]) {
    assert_eq!(explain(snapshot, &Policy::default(), Some(facts), &[]), expect);
}

#[test]
fn an_outage_of_the_fleet_says_how_it_was_voted_and_who_tries_next() {
    let opening = Opened {
        ago: s(19),
        by: node("orders-5", "eu-1b"),
        cause: Some(Cause::ConsecutiveFailures),
        failure_count: 5,
        bad: 11,
        good: 2,
        abstained: 4,
        electorate: 20,
        reporters: vec![node("orders-5", "eu-1b")],
        task_ids: vec![TaskId::from_u128(7)],
    };
    let hearing = Hearing { opening: Some(opening), electorate: 20, ..Hearing::default() };
    let taken_over = taken_over();
    check(
        &taken_over,
        &facts(hearing.clone()),
        &[
            "The circuit is open: calls have been refused for 19s.",
            "Other instances saw it fail: the fleet opened it, and this one took that over.",
            "For example task 00000000-0000-0000-0000-000000000007.",
            "This is the state of the whole fleet, its epoch 41.",
            "It was opened for all 19s ago, after 5 failures in a row: 11 of 20 said bad, 2 good, 4 that they cannot \
             tell, 3 nothing; `quorum: majority` asked for 9. The last word was that of orders-5 \
             (eu-1b).",
            "In 41s one instance tries it for all, one that has a call to make then; 2 successes in \
             a row close it, a failure that another confirms opens it again.",
        ],
    );
    let tried = Hearing {
        prober: Some((node("orders-7", "eu-1a"), s(8))),
        doubter: Some((node("orders-3", "eu-1b"), s(4))),
        ..hearing
    };
    let half_open = Snapshot { state: State::HalfOpen, retry_after: s(0), ..taken_over };
    let told = explain(&half_open, &Policy::default(), Some(&facts(tried)), &[]);
    assert_eq!(
        told[5..],
        [
            "A try failed 4s ago, that of orders-3 (eu-1b); it counts when another instance has \
             failed too, or none has tried for 20s.",
            "One instance tries it out for all: orders-7 (eu-1a), for 8s more unless it renews that.",
            "What comes of that is next: 2 successes in a row close it for all, a failure that \
             another instance confirms opens it again.",
        ]
    );
}

/// A circuit that others opened nineteen seconds ago.
fn taken_over() -> Snapshot {
    Snapshot { cause: Some(Cause::Fleet), is_opened_here: false, ..open() }
}

#[test]
fn what_was_seen_here_and_agreed_to_is_one_story() {
    let opening = Opened {
        ago: s(18),
        by: node("orders-5", "eu-1b"),
        cause: Some(Cause::ConsecutiveFailures),
        failure_count: 5,
        bad: 2,
        good: 1,
        electorate: 3,
        ..Opened::default()
    };
    let hearing = Hearing { opening: Some(opening), electorate: 3, ..Hearing::default() };
    let agreed = Snapshot { cause: Some(Cause::Fleet), ..open() };
    check(
        &agreed,
        &facts(hearing.clone()),
        &[
            "The circuit is open: calls have been refused for 19s.",
            "5 failures in a row opened it; the rule is 5.",
            "This is the state of the whole fleet, its epoch 41.",
            "The fleet agreed 18s ago: 2 of 3 said bad, 1 good; `quorum: majority` asked for 2. The last \
             word was that of orders-5 (eu-1b).",
            "In 41s one instance tries it for all, one that has a call to make then; 2 successes in \
             a row close it, a failure that another confirms opens it again.",
        ],
    );
    for told in [agreed, taken_over()] {
        let told = explain(&told, &Policy::default(), Some(&facts(hearing.clone())), &[]).join(" ");
        let is_own = told.contains("failures in a row opened it");
        assert_ne!(is_own, told.contains("took that over"), "one or the other: {told}");
    }
}

#[test]
fn while_the_store_is_away_nobody_tries_for_all() {
    let sync = Sync::Away { since: s(90), because: None };
    let away = FleetFacts { is_agreed: true, epoch: 41, live: 3, sync, ..FleetFacts::default() };
    check(
        &taken_over(),
        &away,
        &[
            "The circuit is open: calls have been refused for 19s.",
            "Other instances saw it fail, after 5 failures in a row: the fleet opened it, and this one \
             took that over.",
            "This was the state of the whole fleet, its epoch 41, when the store was last heard.",
            "The store has been away for 1m 30s: what others do is not known here.",
            "In 41s instances begin to try it, each by itself while the store is away, about two of all \
             every 10s; 2 successes in a row close it here, a failure opens it again here.",
        ],
    );
    let alone = FleetFacts { is_agreed: false, ..away };
    let told = explain(&closed(), &Policy::default(), Some(&alone), &[]);
    assert_eq!(
        told[1],
        "Only this instance lets calls pass: it was open for all when the store was last heard."
    );
}

#[test]
fn a_reset_is_told_with_who_and_why_wherever_it_was_ordered() {
    let signature = Signature::new(Some("ann"), "the ledger is back").expect("signed");
    let reset =
        |reach| Some(Ordered { signature: signature.clone(), age: s(4), left: None, reach });
    let closed = Snapshot { cause: Some(Cause::Override), ..closed() };
    let told = |snapshot: &Snapshot, facts: &FleetFacts| {
        explain(snapshot, &Policy::default(), Some(facts), &[])[1..].join(" ")
    };
    let heard = Hearing { reset: reset(Reach::Fleet), ..Hearing::default() };
    let elsewhere = told(&closed, &facts(heard));
    assert_eq!(
        elsewhere,
        "ann reset it 4s ago: “the ledger is back”. 5 failures in a row would open it."
    );
    let here = Snapshot { reset: reset(Reach::Here), ..closed.clone() };
    let alone = FleetFacts { is_agreed: false, ..facts(Hearing::default()) };
    assert_eq!(
        told(&here, &alone),
        "ann reset it on this instance alone 4s ago: “the ledger is back”. Only this instance lets \
         calls pass: for the others the fleet keeps it open. 5 failures in a row would open it."
    );
    let untold = Snapshot { reset: reset(Reach::Untold), ..closed.clone() };
    assert!(told(&untold, &alone).contains("The store has not been told yet"));
    let unknown = told(&closed, &facts(Hearing::default()));
    assert_eq!(unknown, "Somebody reset it. 5 failures in a row would open it.");
}

#[test]
fn a_few_that_fail_are_named_with_what_they_have_in_common() {
    let ballots =
        ballots(&[(3, Vote::Bad, "eu-1b"), (9, Vote::Good, "eu-1a"), (8, Vote::Good, "eu-1c")]);
    let hearing = Hearing { ballots, electorate: 20, asked: Some(s(6)), ..Hearing::default() };
    let alone = FleetFacts { is_agreed: false, ..facts(hearing) };
    check(
        &open(),
        &alone,
        &[
            "The circuit is open: calls have been refused for 19s.",
            "5 failures in a row opened it; the rule is 5.",
            "Only this instance has cut it off: the others go on calling it.",
            "A vote was called 6s ago: 3 of 20 say bad, 17 good; `quorum: majority` asks for 11.",
            "It fails for orders-1 (eu-1b) with 8 of 9 calls failed, orders-2 (eu-1b) with 8 of 9 \
             calls failed, orders-3 (eu-1b) with 8 of 9 calls failed.",
            "All 3 that fail are in eu-1b, none of the 17 elsewhere.",
            "In 41s one call is tried here, and the others are asked again now and then; 2 successes \
             in a row close it, a failure opens it again.",
        ],
    );
}

#[test]
fn a_round_that_goes_on_says_how_long() {
    let ballots = ballots(&[(6, Vote::Bad, "a"), (1, Vote::Good, "a"), (2, Vote::Abstain, "a")]);
    let hearing =
        Hearing { ballots, electorate: 20, asked: Some(s(2)), left: s(3), ..Hearing::default() };
    let told = explain(&closed(), &Policy::default(), Some(&facts(hearing)), &[]);
    assert_eq!(
        told[1],
        "A vote was called 2s ago, which goes on for 3s more: 6 of 20 say bad, 1 good, 2 that \
         they cannot tell, 11 nothing; `quorum: majority` asks for 10."
    );
    assert!(told[2].contains("with 8 of 9 calls failed and 1 more."), "{}", told[2]);
}

#[test]
fn other_rules_are_told_as_the_store_has_them_now_or_as_they_were_heard_last() {
    let faction = |rules: &str, count, name: &str, since| Faction {
        key: "payments".to_owned(),
        rules: rules.to_owned(),
        count,
        names: vec![name.to_owned()],
        since: s(since),
    };
    let factions = vec![faction("aa", 19, "orders-1", 900), faction("bb", 1, "orders-3", 60)];
    let hearing = Hearing { factions, ..Hearing::default() };
    let sentence = "1 of 20 instances (orders-3) has other rules than the rest, for 1m.";
    let told = explain(&closed(), &Policy::default(), Some(&facts(hearing)), &[]);
    assert!(told.contains(&sentence.to_owned()), "{told:?}");
    let drift = Drift {
        usual: "aa".to_owned(),
        of: 20,
        count: 1,
        names: vec!["orders-3".to_owned()],
        since: s(60),
        rules: Vec::new(),
    };
    let away = FleetFacts {
        hearing: Some(Err("the store is unavailable".to_owned())),
        drift: Some(drift),
        ..facts(Hearing::default())
    };
    let told = explain(&closed(), &Policy::default(), Some(&away), &[]);
    assert!(told.contains(&sentence.to_owned()), "{told:?}");
    let fault = "Who said what is not known: the store does not answer (the store is unavailable).";
    assert!(told.contains(&fault.to_owned()), "{told:?}");
}

#[test]
fn an_instance_that_is_sick_itself_says_so() {
    let why = "2 of the 3 upstreams that are called here fail here and work for others (a, b): it \
               is this instance, not the upstreams";
    let sick = FleetFacts { sick: Some(why.to_owned()), ..facts(Hearing::default()) };
    let told = explain(&open(), &Policy::default(), Some(&sick), &[]);
    assert!(told.contains(&format!("As to this instance: {why}.")), "{told:?}");
}

#[test]
fn who_hears_of_others_late_or_not_at_all_says_so() {
    let polling = Sync::Polling { every: s(2), because: Some("LISTEN is not heard".to_owned()) };
    let told = |sync: Sync, policy: &Policy| {
        let facts = FleetFacts { sync, live: 3, ..FleetFacts::default() };
        explain(&open(), policy, Some(&facts), &[]).join(" ")
    };
    assert!(told(polling, &Policy::default()).contains(
        "What others do arrives within 2s: the store is asked, it does not tell (LISTEN is not \
         heard)."
    ));
    let away = Sync::Away { since: s(90), because: None };
    let away = told(away, &Policy::default());
    assert!(away.contains("This instance has cut it off by itself."));
    assert!(away.contains("The store has been away for 1m 30s: what others do is not known here."));
    let mine = Policy { scope: Scope::Instance, ..Policy::default() };
    assert!(told(Sync::Listening, &mine).contains("No other instance shares it."));
}
