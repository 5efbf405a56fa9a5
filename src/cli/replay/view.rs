//! The findings as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::findings::Findings;
use crate::{
    domain::replay::{Divergence, Refused, Sharing, Summary, Trip},
    store::Opening,
};

/// All that was found, as one object.
pub(super) fn json(findings: &Findings) -> Value {
    let report = &findings.report;
    let upstreams = report.upstreams.iter().map(|(name, it)| (name.to_string(), upstream(it)));
    let only_real = findings.openings.iter().filter(|opening| findings.is_only_real(opening));
    json!({
        "from": time(report.span.from_us),
        "to": time(report.span.to_us),
        "rows": report.rows,
        "calls": findings.calls(),
        "circuits": match findings.sharing {
            Sharing::PerInstance => "per_instance",
            Sharing::OneForAll => "one_for_all",
        },
        "trips": report.trips.iter().map(|it| trip(findings, it)).collect::<Vec<_>>(),
        "tripsLeftOut": report.trips_left_out,
        "upstreams": upstreams.collect::<serde_json::Map<_, _>>(),
        "realOpenings": findings.openings.iter().map(opening).collect::<Vec<_>>(),
        "onlyReal": only_real.map(opening).collect::<Vec<_>>(),
        "doubts": {
            "missingCalls": findings.missing(),
            "foldedRows": report.doubts.folded_rows,
            "foldedCalls": report.doubts.folded_calls,
            "overloaded": report.doubts.overloaded,
            "retried": report.doubts.retried,
            "waited": report.doubts.waited,
            "interrupted": report.doubts.interrupted,
            "elsewhere": report.doubts.elsewhere,
            "unreadRows": findings.unread,
        },
        "tookMs": u64::try_from(findings.took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn trip(findings: &Findings, trip: &Trip) -> Value {
    json!({
        "at": time(trip.at_us),
        "upstream": &*trip.upstream,
        "instance": (!trip.instance.is_empty()).then_some(&*trip.instance),
        "cause": trip.cause.as_str(),
        "failureCount": trip.failure_count,
        "windowCalls": trip.window_calls,
        "windowFailures": trip.window_failures,
        "taskId": trip.task_id.to_string(),
        "carriedAgain": trip.carried_again_us.map(time),
        "openForMs": trip.carried_again_us.map(|us| (us - trip.at_us) / 1_000),
        "probesFailed": trip.probes_failed,
        "refused": refused(&trip.refused),
        "refusedByBoth": trip.refused_by_both,
        "exact": findings.report.is_exact(trip),
        "real": findings.real(trip).map(opening),
    })
}

fn upstream(summary: &Summary) -> Value {
    json!({
        "mode": summary.mode.as_str(),
        "circuits": summary.circuits,
        "calls": summary.calls,
        "refused": refused(&summary.refused),
        "reallyRefused": summary.really_refused,
        "refusedByBoth": summary.refused_by_both,
        "divergence": summary.divergence.as_ref().map(divergence),
    })
}

fn divergence(divergence: &Divergence) -> Value {
    json!({
        "at": time(divergence.at_us),
        "why": divergence.why.as_str(),
        "taskId": divergence.task_id.to_string(),
        "instance": &*divergence.instance,
    })
}

fn refused(refused: &Refused) -> Value {
    json!({
        "total": refused.total(),
        "saved": refused.saved,
        "wrongly": refused.wrongly,
        "undecided": refused.undecided,
    })
}

fn opening(opening: &Opening) -> Value {
    json!({
        "at": time(opening.at_us),
        "upstream": opening.upstream,
        "instance": opening.instance,
        "cause": opening.cause,
    })
}

/// A time as the API writes it; null for one that no calendar has.
fn time(at_us: i64) -> Option<String> {
    Timestamp::from_microsecond(at_us).ok().map(|at| at.to_string())
}
