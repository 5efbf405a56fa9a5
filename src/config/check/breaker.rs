//! The rules of a breaker.

use std::time::Duration;

use crate::{
    config::{keys, mapping::Mapping},
    domain::{
        breaker::{Policy, RateRule, SlowRule},
        grpc::JUDGED_WITHIN,
        units::show_duration,
    },
};

/// How much longer than the last word about a call its probe may take before another gets its slot.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// Reads the rules. `total` is how long a call may take.
pub(super) fn read(breaker: &Mapping<'_>, total: Duration) -> Policy {
    let open_for = breaker.get(&keys::OPEN_FOR);
    let open_for_max = breaker.get(&keys::OPEN_FOR_MAX);
    if open_for > open_for_max {
        let (open_for, open_for_max) = (show_duration(open_for), show_duration(open_for_max));
        let message =
            format!("must not be less than `open_for`, but {open_for_max} is less than {open_for}");
        breaker.error(&keys::OPEN_FOR_MAX, &message);
    }
    let failure_rate = breaker.optional_mapping(&keys::FAILURE_RATE);
    let slow_calls = breaker.optional_mapping(&keys::SLOW_CALLS);
    Policy {
        mode: breaker.get(&keys::MODE),
        consecutive_failures: breaker.get(&keys::CONSECUTIVE_FAILURES),
        open_for,
        open_for_max,
        close_after: breaker.get(&keys::CLOSE_AFTER),
        ramp: breaker.get(&keys::RAMP),
        failure_rate: failure_rate.and_then(|rule| read_failure_rate(&rule)),
        slow_calls: slow_calls.and_then(|rule| read_slow_calls(&rule)),
        hangs_after: Some(breaker.get(&keys::HANGS_AFTER)).filter(|after| !after.is_zero()),
        checked_within: None,
        // The head comes within `total`; of a stream the verdict comes later.
        probe_lease: total + JUDGED_WITHIN + LEASE_MARGIN,
        failure_statuses: breaker.distinct(&keys::FAILURE_STATUSES),
        failure_grpc_statuses: breaker.distinct(&keys::FAILURE_GRPC_STATUSES),
        scope: breaker.get(&keys::SCOPE),
        quorum: breaker.get(&keys::QUORUM),
    }
}

fn read_failure_rate(rule: &Mapping<'_>) -> Option<RateRule> {
    let over = rule.required(&keys::FAILURE_RATE_OVER);
    let window = rule.get(&keys::FAILURE_RATE_WINDOW);
    let min_calls = rule.get(&keys::FAILURE_RATE_MIN_CALLS);
    Some(RateRule { over: over?, window, min_calls })
}

fn read_slow_calls(rule: &Mapping<'_>) -> Option<SlowRule> {
    let over = rule.required(&keys::SLOW_CALLS_OVER);
    let slower_than = rule.required(&keys::SLOWER_THAN);
    let window = rule.get(&keys::SLOW_CALLS_WINDOW);
    let min_calls = rule.get(&keys::SLOW_CALLS_MIN_CALLS);
    let rate = RateRule { over: over?, window, min_calls };
    Some(SlowRule { rate, slower_than: slower_than? })
}
