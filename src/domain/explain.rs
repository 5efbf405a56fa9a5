//! Why a circuit is as it is, in plain sentences: what happened, by which rule, with which numbers,
//! who says so, and what happens next.
//!
//! Text for people; programs read the fields that the sentences are made of. Each part answers one
//! question and may have nothing to say.

mod fleet;

use super::{
    breaker::{Cause, Mode, Ordered, Policy, Snapshot, State},
    units::{show_duration, show_span},
};

pub use fleet::{FleetFacts, Sync};

/// The sentences, in the order in which they should be read.
pub fn explain(snapshot: &Snapshot, policy: &Policy, fleet: Option<&FleetFacts>) -> Vec<String> {
    let mut told = vec![state(snapshot)];
    told.extend(order(snapshot, policy));
    told.extend(because(snapshot, policy));
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
    let Some(Ordered { signature, age, left }) = &snapshot.order else {
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
    let (by, reason, ago) = (&signature.by, &signature.reason, show_span(*age));
    Some(format!("{by} ordered this {ago} ago: “{reason}”. {until}"))
}

/// Which rule, with which numbers.
fn because(snapshot: &Snapshot, policy: &Policy) -> Vec<String> {
    if !matches!(snapshot.mode, Mode::Auto | Mode::Shadow) {
        return Vec::new();
    }
    let mut told = Vec::new();
    match snapshot.state {
        State::Closed => told.extend(closed(snapshot)),
        _ => told.extend(snapshot.opened_by.map(|cause| opened(cause, snapshot, policy))),
    }
    let tries = snapshot.step.saturating_sub(1);
    match (snapshot.state, snapshot.cause) {
        (State::Open, Some(Cause::ProbeFailed)) => {
            told.push("The last try to close it failed.".to_owned());
        }
        (State::Open, Some(Cause::Fleet)) => {
            told.push("Another instance opened it, and this one took that over.".to_owned());
        }
        (State::HalfOpen, Some(Cause::CheckSucceeded)) => {
            told.push("A health check succeeded, which ended the open time early.".to_owned());
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

fn closed(snapshot: &Snapshot) -> Option<String> {
    let told = match snapshot.cause? {
        Cause::RampOver => "It had been open, came back, and carries all calls again.",
        Cause::ProbesSucceeded => "It had been open, and enough tries succeeded.",
        Cause::Fleet => "Another instance closed it, and this one took that over.",
        Cause::Override => "An order closed it.",
        _ => return None,
    };
    Some(told.to_owned())
}

/// What opened it.
fn opened(cause: Cause, snapshot: &Snapshot, policy: &Policy) -> String {
    let Snapshot { failure_count, window_calls, window_failures, .. } = *snapshot;
    match cause {
        Cause::ConsecutiveFailures => format!(
            "{} in a row opened it; the rule is {}.",
            count(failure_count, "failure", "failures"),
            policy.consecutive_failures
        ),
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
        Cause::Fleet => "Another instance opened it.".to_owned(),
        Cause::Override => "An order opened it.".to_owned(),
        other => format!("It opened by `{}`.", other.as_str()),
    }
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
    let is_for_all = fleet.is_some_and(|facts| facts.is_agreed && facts.sync != Sync::Alone);
    let tried = if is_for_all { "one call of the whole fleet is" } else { "one call is" };
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
        State::Open => format!(
            "In {} {tried} tried; {closes}, a failure opens it again.",
            show_span(snapshot.retry_after)
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

fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
