//! Why a circuit is as it is, in plain sentences: what happened, by which rule, with which numbers,
//! who says so, and what happens next.
//!
//! Text for people; programs read the fields that the sentences are made of. Each part answers one
//! question and may have nothing to say.

mod fleet;

use std::time::Duration;

use super::{
    breaker::{Cause, Mode, Ordered, Policy, Snapshot, State},
    order::Reach,
    task::TaskId,
    units::{show_duration, show_span},
};

pub use fleet::{FleetFacts, Sync};

/// Calls that are named as examples.
const EXAMPLES: usize = 3;

/// The sentences, in the order in which they should be read. `calls` are some of those that opened it
/// here.
pub fn explain(
    snapshot: &Snapshot,
    policy: &Policy,
    fleet: Option<&FleetFacts>,
    calls: &[TaskId],
) -> Vec<String> {
    let mut told = vec![state(snapshot)];
    told.extend(order(snapshot, policy));
    told.extend(because(snapshot, policy, fleet));
    told.extend(examples(snapshot, fleet, calls));
    told.extend(fleet.into_iter().flat_map(|facts| fleet::others(snapshot, policy, facts)));
    told.extend(in_shadow(snapshot));
    told.extend(next(snapshot, policy, fleet));
    told
}

/// How it is, and since when.
fn state(snapshot: &Snapshot) -> String {
    let since = show_span(snapshot.since);
    match (snapshot.mode, snapshot.state) {
        (Mode::Disabled, _) => format!(
            "The circuit is disabled: every call passes and nothing is counted, for {since} now."
        ),
        (Mode::ForcedOpen, _) => {
            format!("The circuit is forced open: every call is refused, for {since} now.")
        }
        (Mode::ForcedClosed, _) => format!(
            "The circuit is forced closed: every call passes and is counted, for {since} now."
        ),
        (Mode::Shadow, State::Closed) => {
            format!("The circuit is in shadow; by its rules it would have been closed for {since}.")
        }
        (Mode::Shadow, state) => format!(
            "The circuit is in shadow: every call passes; by its rules it would have been {} for {since}.",
            word(state)
        ),
        (Mode::Auto, State::Closed) => {
            format!("The circuit is closed: calls have passed for {since}.")
        }
        (Mode::Auto, State::Open) => {
            format!("The circuit is open: calls have been refused for {since}.")
        }
        (Mode::Auto, State::HalfOpen) => format!(
            "The circuit is half-open: one call at a time is tried, the others are refused, for {since} now."
        ),
        (Mode::Auto, State::Ramping) => {
            format!("The circuit is closing: a growing share of the calls has passed for {since}.")
        }
    }
}

const fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half-open",
        State::Ramping => "closing step by step",
    }
}

/// Who steers it, why and how long.
fn order(snapshot: &Snapshot, policy: &Policy) -> Option<String> {
    let Some(Ordered { signature, age, left, reach }) = &snapshot.order else {
        let how = match snapshot.mode {
            Mode::Auto => return None,
            Mode::Disabled => "`mode: disabled` or CIRCUIT_BREAKER_ENABLED=false".to_owned(),
            mode => format!("`mode: {}`", mode.as_str()),
        };
        return Some(format!("It is configured so, by {how}; nobody ordered it."));
    };
    let then = match policy.mode {
        Mode::Auto => "then it follows its rules again".to_owned(),
        mode => format!("then it is `{}` again, as configured", mode.as_str()),
    };
    let until = match left {
        Some(left) => format!("It ends by itself in {}; {then}.", show_span(*left)),
        None => format!("It holds until somebody lifts it; {then}."),
    };
    let (who, reason, ago) = (begun(signature.who()), &signature.reason, show_span(*age));
    let whom = for_whom(*reach);
    Some(format!("{who} ordered this{whom} {ago} ago: “{reason}”. {until}{}", untold(*reach)))
}

/// Who closed it, and forgot what had been counted.
fn reset(Ordered { signature, age, reach, .. }: &Ordered) -> String {
    let (who, reason, ago) = (begun(signature.who()), &signature.reason, show_span(*age));
    format!("{who} reset it{} {ago} ago: “{reason}”.{}", for_whom(*reach), untold(*reach))
}

const fn for_whom(reach: Reach) -> &'static str {
    match reach {
        Reach::Fleet | Reach::Untold => "",
        Reach::Here => " on this instance alone",
    }
}

const fn untold(reach: Reach) -> &'static str {
    match reach {
        Reach::Fleet | Reach::Here => "",
        Reach::Untold => {
            " The store has not been told yet, so the others do not know; they hear of it when the \
             store is back."
        }
    }
}

/// Calls that were the reason: those seen here, or else those that the fleet has on record.
fn examples(snapshot: &Snapshot, fleet: Option<&FleetFacts>, calls: &[TaskId]) -> Option<String> {
    if snapshot.state == State::Closed || !matches!(snapshot.mode, Mode::Auto | Mode::Shadow) {
        return None;
    }
    let calls = match (calls, fleet.and_then(FleetFacts::opening)) {
        ([], Some(opening)) => &opening.task_ids[..],
        _ => calls,
    };
    let newest: Vec<_> = calls.iter().rev().take(EXAMPLES).map(ToString::to_string).collect();
    let word = if newest.len() == 1 { "task" } else { "tasks" };
    (!newest.is_empty()).then(|| format!("For example {word} {}.", newest.join(", ")))
}

/// Which rule, with which numbers.
fn because(snapshot: &Snapshot, policy: &Policy, fleet: Option<&FleetFacts>) -> Vec<String> {
    if !matches!(snapshot.mode, Mode::Auto | Mode::Shadow) {
        return Vec::new();
    }
    let mut told = Vec::new();
    match snapshot.state {
        State::Closed => told.extend(closed(snapshot, fleet)),
        _ if !snapshot.is_opened_here => told.extend(taken_over(snapshot, fleet)),
        _ => told.extend(snapshot.opened_by.and_then(|cause| opened(cause, snapshot, policy))),
    }
    let tries = snapshot.step.saturating_sub(1);
    match (snapshot.state, snapshot.cause) {
        (State::Open, Some(Cause::ProbeFailed)) => {
            told.push("The last try to close it failed.".to_owned());
        }
        (State::HalfOpen, Some(Cause::CheckSucceeded)) => {
            told.push("A health check succeeded, which ended the open time early.".to_owned());
        }
        (State::HalfOpen, Some(Cause::Answered)) => {
            told.push(
                "A call that had hung was answered, which ended the open time early.".to_owned(),
            );
        }
        (State::Ramping, Some(Cause::ProbesSucceeded)) => {
            told.push(format!(
                "{} in a row succeeded.",
                count(policy.close_after.get(), "try", "tries")
            ));
        }
        _ => {}
    }
    if snapshot.state == State::Open && tries > 0 {
        told.push(format!(
            "It has opened {} in a row, so it stays open longer each time, up to {}.",
            count(snapshot.step, "time", "times"),
            show_duration(policy.open_for_max)
        ));
    }
    told
}

fn closed(snapshot: &Snapshot, fleet: Option<&FleetFacts>) -> Option<String> {
    let others = || fleet.and_then(FleetFacts::heard).and_then(|hearing| hearing.reset.as_ref());
    let told = match snapshot.cause? {
        Cause::Override if let Some(by) = snapshot.reset.as_ref().or_else(others) => {
            return Some(reset(by));
        }
        Cause::RampOver => "It had been open, came back, and carries all calls again.",
        Cause::ProbesSucceeded => "It had been open, and enough tries succeeded.",
        Cause::Fleet => "It had been open for all that share it, and the fleet closed it again.",
        Cause::Override => "Somebody reset it.",
        _ => return None,
    };
    Some(told.to_owned())
}

/// That others opened it; by which rule, where the store does not tell how they voted.
fn taken_over(snapshot: &Snapshot, fleet: Option<&FleetFacts>) -> Option<String> {
    let rule = match snapshot.opened_by? {
        _ if fleet.and_then(FleetFacts::opening).is_some() => String::new(),
        Cause::ConsecutiveFailures => {
            format!(", after {} in a row", count(snapshot.failure_count, "failure", "failures"))
        }
        Cause::HangingCalls => ", for calls waited in vain".to_owned(),
        Cause::FailureRate => ", by the share of calls that failed".to_owned(),
        Cause::SlowCalls => ", by the share of calls that were slow".to_owned(),
        _ => String::new(),
    };
    Some(format!(
        "Other instances saw it fail{rule}: the fleet opened it, and this one took that over."
    ))
}

/// What was seen here, and opened it.
fn opened(cause: Cause, snapshot: &Snapshot, policy: &Policy) -> Option<String> {
    let Snapshot { failure_count, window_calls, window_failures, .. } = *snapshot;
    Some(match cause {
        Cause::ConsecutiveFailures => format!(
            "{} in a row opened it; the rule is {}.",
            count(failure_count, "failure", "failures"),
            policy.consecutive_failures
        ),
        Cause::HangingCalls => {
            let after = policy.hangs_after.map_or_else(String::new, |after| {
                format!(", each for {} at least", show_duration(after))
            });
            format!(
                "{} in a row opened it, among them calls that waited in vain{after}; the rule is {}.",
                count(failure_count, "failure", "failures"),
                policy.consecutive_failures
            )
        }
        Cause::FailureRate => {
            let rule = policy.failure_rate.map_or_else(String::new, |rule| {
                format!(
                    "; the rule is more than {} of at least {} within {}, beyond chance",
                    rule.over,
                    count(rule.min_calls.get(), "call", "calls"),
                    show_duration(rule.window)
                )
            });
            let rate = snapshot.failure_rate.map(|rate| format!(", {rate}")).unwrap_or_default();
            format!(
                "{window_failures} of {window_calls} calls failed{rate}, which opened it{rule}."
            )
        }
        Cause::SlowCalls => {
            let rule = policy.slow_calls.map_or_else(String::new, |rule| {
                format!(
                    ": more than {} took longer than {} within {}, beyond chance",
                    rule.rate.over,
                    show_duration(rule.slower_than),
                    show_duration(rule.rate.window)
                )
            });
            format!("Slow calls opened it{rule}.")
        }
        Cause::Fleet
        | Cause::Override
        | Cause::Answered
        | Cause::OpenTimeOver
        | Cause::CheckSucceeded
        | Cause::ProbeFailed
        | Cause::ProbesSucceeded
        | Cause::RampOver => return None,
    })
}

fn in_shadow(snapshot: &Snapshot) -> Option<String> {
    let is_told = snapshot.mode == Mode::Shadow || snapshot.would_refuse > 0;
    is_told.then(|| {
        let calls = match snapshot.would_refuse {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        };
        format!("In shadow it would have refused {calls} since this instance started.")
    })
}

/// What happens next, and what brings it about.
fn next(snapshot: &Snapshot, policy: &Policy, fleet: Option<&FleetFacts>) -> Option<String> {
    if !matches!(snapshot.mode, Mode::Auto | Mode::Shadow) {
        return None;
    }
    let close_after = policy.close_after.get();
    let closes = format!("{} in a row close it", count(close_after, "success", "successes"));
    let is_away = fleet.is_some_and(FleetFacts::is_away);
    let is_agreed = fleet.is_some_and(|facts| facts.is_agreed && facts.sync != Sync::Alone);
    let is_for_all = is_agreed && !is_away;
    let is_alone_with_it = fleet.is_some_and(|facts| !facts.is_agreed && facts.can_ask());
    let prober = fleet.and_then(FleetFacts::heard).and_then(|hearing| hearing.prober.as_ref());
    Some(match snapshot.state {
        State::Closed => {
            let needed = policy.consecutive_failures.get();
            let left = needed.saturating_sub(snapshot.failure_count);
            match snapshot.failure_count {
                0 => format!("{} in a row would open it.", count(needed, "failure", "failures")),
                now => format!(
                    "{} in a row so far; {left} more would open it.",
                    count(now, "failure", "failures")
                ),
            }
        }
        State::Open | State::HalfOpen if is_for_all && prober.is_some() => format!(
            "What comes of that is next: {closes} for all, a failure that another instance confirms \
             opens it again."
        ),
        State::Open if is_for_all => format!(
            "{} one instance tries it for all, one that has a call to make then; {closes}, a failure \
             that another confirms opens it again.",
            soon(snapshot.retry_after)
        ),
        State::Open if is_agreed => format!(
            "{} instances begin to try it, each by itself while the store is away, about two of all \
             every 10s; {closes} here, a failure opens it again here.",
            soon(snapshot.retry_after)
        ),
        State::Open => format!(
            "In {} one call is tried{}; {closes}, a failure opens it again.",
            show_span(snapshot.retry_after),
            if is_alone_with_it {
                " here, and the others are asked again now and then"
            } else {
                ""
            }
        ),
        State::HalfOpen => format!(
            "The next health check or call that may be repeated is the try, after 30s any call; \
             {closes}, a failure opens it again."
        ),
        State::Ramping => {
            let left = policy.ramp.saturating_sub(snapshot.since);
            format!("In {} all calls pass, unless its rules open it again.", show_span(left))
        }
    })
}

fn soon(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "Now".to_owned(),
        wait => format!("In {}", show_span(wait)),
    }
}

/// Who, as a sentence begins: names stay as they are.
fn begun(who: &str) -> String {
    if who.contains(' ') { capital(who.to_owned()) } else { who.to_owned() }
}

/// A sentence as it begins.
fn capital(sentence: String) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => sentence,
    }
}

fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
