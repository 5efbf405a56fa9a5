//! Records as bytes: a call when it begins, a call when it has ended, sums of calls.
//!
//! What is the same for many calls, their sites and endpoints, stands once in a segment and has a
//! number there. Outcomes, reasons, verdicts and states are numbers too, whose names stand in the
//! segment's header, so that a Fusebox of another version reads them as they were meant.

use std::sync::Arc;

use http::Method;

use super::{
    bytes::{Reader, Writer},
    captured,
    frame::{MAX_PAYLOAD, SUMS},
    vocabulary::Vocabulary,
};
use crate::domain::{
    correlation::{CorrelationId, TraceId},
    learn::{
        histogram::Histogram,
        rollup::{Rollup, RollupKey},
    },
    outcome::{Outcome, Reason},
    task::{Attempt, Attempts, CallRecord, CallSite, TaskId},
};

/// Gives what records refer to its number.
pub(super) trait Refer {
    /// The number of a site.
    fn site(&mut self, site: &Arc<CallSite>) -> u32;
    /// The number of a text.
    fn text(&mut self, text: &Arc<str>) -> u32;
}

/// Writes what is known when a call begins. `endpoint` is where it goes.
pub(super) fn put_began(
    out: &mut Vec<u8>,
    call: &CallRecord,
    endpoint: Option<&Arc<str>>,
    names: &mut impl Refer,
) {
    let mut out = Writer(out);
    out.u128(call.id.as_u128());
    out.i64(call.started_at_us);
    out.u128(call.trace_id.as_u128());
    out.u128(call.parent_id.map_or(0, TaskId::as_u128));
    out.u32(names.site(&call.site));
    out.u32(endpoint.map_or(NOBODY, |endpoint| names.text(endpoint)));
    out.maybe(call.deadline_ms);
    out.u8(call.breaker_state as u8);
    out.ascii(call.correlation_id.as_bytes());
    out.text(call.method.as_str());
}

/// Writes a call that has ended.
pub(super) fn put_ended(out: &mut Vec<u8>, call: &CallRecord, names: &mut impl Refer) {
    put_began(out, call, call.endpoint.as_ref(), names);
    let mut out = Writer(out);
    out.u16(call.status.unwrap_or(0));
    out.u8(call.outcome as u8);
    out.u8(call.reason.map_or(NO_REASON, |reason| reason as u8));
    out.u64(call.duration_us);
    out.maybe(call.upstream_us);
    out.maybe(call.first_byte_us);
    out.u64(call.request_bytes);
    out.u64(call.response_bytes);
    out.u32(call.weight);
    out.u8(u8::try_from(call.attempts.len()).unwrap_or(u8::MAX));
    for attempt in call.attempts.iter().take(usize::from(u8::MAX)) {
        out.u32(names.text(&attempt.endpoint));
        out.u8(attempt.verdict as u8);
        out.u8(attempt.reason.map_or(NO_REASON, |reason| reason as u8));
        out.u64(attempt.duration_us);
    }
    // What came later stands behind, so that an older version reads the rest, and an older record
    // ends here.
    out.u8(call.grpc_status.unwrap_or(NO_GRPC_STATUS));
    for (at, attempt) in (0..u8::MAX).zip(call.attempts.iter()) {
        if let Some(upstream) = &attempt.instead {
            out.u8(at);
            out.u32(names.text(upstream));
        }
    }
    if let Some(captured) = &call.captured {
        out.u8(CAPTURED);
        captured::put(out.0, captured);
    }
}

/// The id at the front of a record of a call.
pub(super) fn id_of(record: &[u8]) -> Option<TaskId> {
    Reader(record).u128().map(TaskId::from_u128)
}

/// Reads a call that began; it reads as one that Fusebox never saw the end of.
pub(super) fn began(record: &[u8], words: &Vocabulary) -> Option<CallRecord> {
    read_began(&mut Reader(record), words)
}

/// Reads a call that has ended.
pub(super) fn ended(record: &[u8], words: &Vocabulary) -> Option<CallRecord> {
    let mut from = Reader(record);
    let mut call = read_began(&mut from, words)?;
    call.status = Some(from.u16()?).filter(|&status| status != 0);
    call.outcome = words.outcome(from.u8()?)?;
    call.reason = words.reason(from.u8()?)?;
    call.duration_us = from.u64()?;
    call.upstream_us = from.maybe()?;
    call.first_byte_us = from.maybe()?;
    call.request_bytes = from.u64()?;
    call.response_bytes = from.u64()?;
    call.weight = from.u32()?;
    call.attempts = read_attempts(&mut from, words)?;
    call.grpc_status = from.u8().filter(|&code| code != NO_GRPC_STATUS);
    while let Some(at) = from.u8() {
        if at == CAPTURED {
            call.captured = Some(Box::new(captured::read(&mut from)?));
            break;
        }
        call.attempts.get_mut(usize::from(at))?.instead = Some(words.text(from.u32()?));
    }
    Some(call)
}

fn read_began(from: &mut Reader<'_>, words: &Vocabulary) -> Option<CallRecord> {
    let id = TaskId::from_u128(from.u128()?);
    let started_at_us = from.i64()?;
    let trace_id = TraceId::from_u128(from.u128()?);
    let parent = from.u128()?;
    let site = words.site(from.u32()?);
    let endpoint = match from.u32()? {
        NOBODY => None,
        number => Some(words.text(number)),
    };
    let deadline_ms = from.maybe()?;
    let breaker_state = words.state(from.u8()?)?;
    let correlation_id = CorrelationId::read(from.text_bytes()?)?;
    let method = Method::from_bytes(from.text_bytes()?).ok()?;
    Some(CallRecord {
        id,
        started_at_us,
        correlation_id,
        trace_id,
        parent_id: (parent != 0).then(|| TaskId::from_u128(parent)),
        site,
        endpoint,
        method,
        status: None,
        grpc_status: None,
        outcome: Outcome::Interrupted,
        reason: Some(Reason::Crashed),
        attempts: Attempts::default(),
        breaker_state,
        duration_us: 0,
        upstream_us: None,
        first_byte_us: None,
        deadline_ms,
        request_bytes: 0,
        response_bytes: 0,
        captured: None,
        weight: 1,
    })
}

fn read_attempts(from: &mut Reader<'_>, words: &Vocabulary) -> Option<Attempts> {
    let count = from.u8()?;
    (0..count)
        .map(|_| {
            Some(Attempt {
                instead: None,
                endpoint: words.text(from.u32()?),
                verdict: words.verdict(from.u8()?)?,
                reason: words.reason(from.u8()?)?,
                duration_us: from.u64()?,
            })
        })
        .collect()
}

/// Writes the sum of some calls.
fn put_rollup(out: &mut Vec<u8>, (key, sum): &(RollupKey, Rollup)) {
    let mut out = Writer(out);
    out.i64(key.minute);
    for text in [&*key.service, &*key.upstream, &*key.domain, &*key.action] {
        out.text(text);
    }
    out.u8(key.outcome as u8);
    out.u8(key.reason.map_or(NO_REASON, |reason| reason as u8));
    for number in [
        sum.count,
        sum.stored,
        sum.attempts,
        sum.duration_us,
        sum.request_bytes,
        sum.response_bytes,
    ] {
        out.u64(number);
    }
    let bins: Vec<_> = sum.durations.bins().collect();
    out.u16(u16::try_from(bins.len()).unwrap_or(u16::MAX));
    for (bin, calls) in bins {
        out.i64(i64::from(bin));
        out.u64(calls);
    }
}

/// Reads a sum, and moves past it.
pub(super) fn rollup(from: &mut Reader<'_>, words: &Vocabulary) -> Option<(RollupKey, Rollup)> {
    let key = RollupKey {
        minute: from.i64()?,
        service: from.text()?.into(),
        upstream: from.text()?.into(),
        domain: from.text()?.into(),
        action: from.text()?.into(),
        outcome: words.outcome(from.u8()?)?,
        reason: words.reason(from.u8()?)?,
    };
    let mut sum = Rollup {
        count: from.u64()?,
        stored: from.u64()?,
        attempts: from.u64()?,
        duration_us: from.u64()?,
        request_bytes: from.u64()?,
        response_bytes: from.u64()?,
        ..Rollup::default()
    };
    let count = from.u16()?;
    let bins: Option<Vec<_>> =
        (0..count).map(|_| Some((i16::try_from(from.i64()?).ok()?, from.u64()?))).collect();
    sum.durations = Histogram::from_bins(bins?);
    Some((key, sum))
}

/// What a record of dropped rows says.
#[derive(Debug)]
pub(super) struct Lost {
    /// The segment that held them; zero for rows that had none.
    pub(super) segment: u64,
    pub(super) sums: Vec<(RollupKey, Rollup)>,
}

/// Writes a record of dropped rows, with as many of their sums as fit a frame, but one at least.
/// Returns how many.
pub(super) fn put_lost(out: &mut Vec<u8>, segment: u64, sums: &[(RollupKey, Rollup)]) -> usize {
    Writer(out).u64(segment);
    let count_at = out.len();
    Writer(out).u32(0);
    let (mut end, mut count) = (out.len(), 0_u32);
    for (at, sum) in (1..).zip(sums) {
        put_rollup(out, sum);
        if out.len() + at * WORTH > MAX_PAYLOAD && count > 0 {
            break;
        }
        (end, count) = (out.len(), count + 1);
    }
    out.truncate(end);
    out[count_at..count_at + size_of::<u32>()].copy_from_slice(&count.to_le_bytes());
    let fitting = usize::try_from(count).unwrap_or(sums.len()).min(sums.len());
    put_worth(out, &sums[..fitting]);
    fitting
}

/// Writes what sums hold of impact and cost, where any does. It came later and stands behind all of
/// them, so that an older version reads the rest, and an older record ends before it.
fn put_worth(out: &mut Vec<u8>, sums: &[(RollupKey, Rollup)]) {
    if sums.iter().all(|(_, sum)| (sum.scored, sum.impact_micros, sum.priced) == (0, 0, 0)) {
        return;
    }
    let mut out = Writer(out);
    for (_, sum) in sums {
        out.u64(sum.scored);
        out.i64(sum.impact_micros);
        out.u64(sum.priced);
        out.u64(sum.cost_nanos);
    }
}

/// The bytes of what one sum holds of impact and cost.
const WORTH: usize = 4 * size_of::<u64>();

/// Reads a record of dropped rows.
pub(super) fn lost(record: &[u8], words: &Vocabulary) -> Option<Lost> {
    let mut from = Reader(record);
    let (segment, count) = (from.u64()?, from.u32()?);
    let sums: Option<Vec<_>> = (0..count).map(|_| rollup(&mut from, words)).collect();
    let mut sums = sums?;
    for (_, sum) in &mut sums {
        let Some(scored) = from.u64() else { break };
        sum.scored = scored;
        sum.impact_micros = from.i64()?;
        sum.priced = from.u64()?;
        sum.cost_nanos = from.u64()?;
    }
    Some(Lost { segment, sums })
}

/// Reads a row that stood for calls that were still being added: their sums make it what it was
/// going to be.
pub(super) fn fold(record: &[u8], words: &Vocabulary) -> Option<CallRecord> {
    let (row, sums) = record.split_at_checked(record.len().checked_sub(SUMS)?)?;
    let mut row = ended(row, words)?;
    let mut from = Reader(sums);
    let weight = from.u64()?.max(1);
    row.weight = u32::try_from(weight).unwrap_or(u32::MAX);
    row.duration_us = from.u64()? / weight;
    row.request_bytes = from.u64()? / weight;
    row.response_bytes = from.u64()? / weight;
    Some(row)
}

/// The number of no text.
const NOBODY: u32 = 0;
/// The number of no reason; reasons are far fewer.
pub(super) const NO_REASON: u8 = u8::MAX;
/// Stands, in place of the number of an attempt, before what the call meant.
const CAPTURED: u8 = u8::MAX;
/// The number of no code of gRPC; codes are far fewer.
const NO_GRPC_STATUS: u8 = u8::MAX;
