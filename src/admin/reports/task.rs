//! One reported task as it is sent, and what is wrong with it.

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::{
    admin::{feedback::score_of, window::time_us},
    config::suggest::did_you_mean,
    domain::{
        capture::{Captured, MAX_TEXT, Value},
        correlation::{CorrelationId, TraceId},
        learn::rollup::cost_nanos,
        outcome::{Outcome, Reason},
        report::{OUTCOMES, Report, usual_reason},
        secret,
        task::TaskId,
    },
};

/// A task as it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TaskJson {
    domain: Option<String>,
    action: Option<String>,
    duration_ms: Option<f64>,
    outcome: Option<String>,
    success: Option<bool>,
    failure_reason: Option<String>,
    id: Option<String>,
    started_at: Option<String>,
    impact_score: Option<f64>,
    cost: Option<f64>,
    params: Option<Map<String, Json>>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    parent_id: Option<String>,
}

/// What is wrong with which field.
#[derive(Debug)]
pub(super) struct Problem {
    field: &'static str,
    message: String,
}

impl Problem {
    fn missing(field: &'static str) -> Self {
        Self { field, message: "is missing".to_owned() }
    }

    fn expected(field: &'static str, expected: impl fmt::Display) -> Self {
        Self { field, message: format!("expected {expected}") }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// What a task is read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) now_us: i64,
    /// How long rows are kept: an older one has no place.
    pub(super) retention: Duration,
    /// Whether the batch may come again under a key.
    pub(super) has_key: bool,
}

/// The longest domain and action, in characters.
const MAX_NAME: usize = 64;
/// Parameters at most, the longest name of one, and the bytes of all together.
const MAX_PARAMS: usize = 16;
const MAX_PARAM_NAME: usize = 64;
const MAX_PARAM_BYTES: usize = 1_024;
/// The longest that a task may have taken.
const MAX_DURATION_MS: f64 = 31.0 * 86_400_000.0;
/// The most that it may have cost, in US dollars.
const MAX_COST: f64 = 1e6;
/// How far the reporter's clock may be ahead of ours.
const AHEAD_US: i64 = 60_000_000;
/// How far the time in an id may be from the one beside it: it is cut to milliseconds.
const ID_SLACK_US: i64 = 1_000;
/// What there must be left of retention, so that the row finds its place.
const MARGIN_US: i64 = 3_600_000_000;

const SECRET: &str = "no token, key, card number or address";

impl TaskJson {
    /// The domain and the action.
    pub(super) fn operation(&self) -> Result<(&str, &str), Problem> {
        Ok((named("domain", self.domain.as_deref())?, named("action", self.action.as_deref())?))
    }

    /// The task, checked. Where it names no id, one is made with `random`.
    pub(super) fn read(
        &self,
        context: &Context,
        random: impl FnOnce() -> u128,
    ) -> Result<Report, Problem> {
        let outcome = self.outcome()?;
        let duration_us = self.duration_us()?;
        let (id, started_at_us) = self.identity(context, duration_us, random)?;
        Ok(Report {
            id,
            started_at_us,
            correlation_id: self.correlation_id()?,
            trace_id: self.trace_id()?,
            parent_id: self.parent_id.as_deref().map(|id| uuid("parentId", id)).transpose()?,
            outcome,
            reason: self.reason(outcome)?,
            duration_us,
            captured: self.captured()?,
        })
    }

    fn outcome(&self) -> Result<Outcome, Problem> {
        match (&self.outcome, self.success) {
            (Some(name), None) => {
                let names = OUTCOMES.map(Outcome::as_str);
                let found = OUTCOMES.into_iter().find(|outcome| outcome.as_str() == name);
                found.ok_or_else(|| {
                    let near = did_you_mean(name, names);
                    Problem::expected("outcome", format_args!("one of {}{near}", names.join(", ")))
                })
            }
            (None, Some(true)) => Ok(Outcome::Success),
            (None, Some(false)) => Ok(Outcome::Failure),
            _ => Err(Problem::expected("outcome", "either `outcome` or `success`")),
        }
    }

    fn reason(&self, outcome: Outcome) -> Result<Option<Reason>, Problem> {
        let Some(name) = &self.failure_reason else { return Ok(usual_reason(outcome)) };
        let fitting = || Reason::ALL.iter().filter(|reason| reason.outcome() == outcome);
        let found = fitting().find(|reason| reason.as_str() == name);
        found.copied().map(Some).ok_or_else(|| {
            let near = did_you_mean(name, fitting().map(|reason| reason.as_str()));
            let expected = format!("a reason of outcome `{}`{near}", outcome.as_str());
            Problem::expected("failureReason", expected)
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    fn duration_us(&self) -> Result<u64, Problem> {
        let duration_ms = self.duration_ms.ok_or_else(|| Problem::missing("durationMs"))?;
        let is_within = (0.0..=MAX_DURATION_MS).contains(&duration_ms);
        is_within
            .then_some((duration_ms * 1_000.0).round() as u64)
            .ok_or_else(|| Problem::expected("durationMs", "milliseconds from 0 to 31 days"))
    }

    /// The id and when it began: each tells the other where only one is given.
    fn identity(
        &self,
        context: &Context,
        duration_us: u64,
        random: impl FnOnce() -> u128,
    ) -> Result<(TaskId, i64), Problem> {
        let id = self.id.as_deref().map(|id| uuid("id", id)).transpose()?;
        let given = self.started_at.as_deref().map(|text| {
            let is_age = text.starts_with('-') || !text.contains(['T', 't']);
            time_us(text, context.now_us)
                .filter(|_| !is_age || text.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| {
                    Problem::expected("startedAt", "a time such as 2026-11-22T10:00:00Z")
                })
        });
        let (given, of_id) = (given.transpose()?, id.map(time_of));
        let started_at_us = match (given, of_id) {
            (Some(at), Some(of_id)) if (at - of_id).abs() > ID_SLACK_US => {
                let message = "says another time than the id, whose first 48 bits are milliseconds";
                return Err(Problem { field: "startedAt", message: message.to_owned() });
            }
            (Some(at), _) | (None, Some(at)) => at,
            (None, None) if context.has_key => {
                let expected = "`startedAt` or `id`: under an `Idempotency-Key` it must be the same \
                                again";
                return Err(Problem::expected("startedAt", expected));
            }
            (None, None) => context.now_us - i64::try_from(duration_us).unwrap_or(0),
        };
        let kept = i64::try_from(context.retention.as_micros()).unwrap_or(i64::MAX);
        let oldest = context.now_us.saturating_sub(kept).saturating_add(MARGIN_US);
        if !(oldest..=context.now_us + AHEAD_US).contains(&started_at_us) {
            let message = "lies ahead, or so far back that rows of then are no longer kept";
            return Err(Problem { field: "startedAt", message: message.to_owned() });
        }
        Ok((id.unwrap_or_else(|| TaskId::mint(started_at_us, random())), started_at_us))
    }

    fn correlation_id(&self) -> Result<CorrelationId, Problem> {
        let Some(text) = &self.correlation_id else {
            return Ok(CorrelationId::mint(fastrand::u64(..)));
        };
        CorrelationId::keep(text.as_bytes()).ok_or_else(|| {
            let expected = format!("1 to 128 of [A-Za-z0-9._:-], {SECRET}");
            Problem::expected("correlationId", expected)
        })
    }

    fn trace_id(&self) -> Result<TraceId, Problem> {
        let Some(text) = &self.trace_id else {
            return Ok(TraceId::from_u128(fastrand::u128(..)));
        };
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = u128::from_str_radix(text, 16).ok().filter(|bits| is_hex && *bits != 0);
        bits.map(TraceId::from_u128)
            .ok_or_else(|| Problem::expected("traceId", "32 hexadecimal digits, not all zero"))
    }

    fn captured(&self) -> Result<Captured, Problem> {
        let impact_score = self.impact_score.map(|score| {
            score_of(score)
                .ok_or_else(|| Problem::expected("impactScore", "a number from 0 to 100"))
        });
        let cost = self.cost.map(|cost| {
            let is_within = (0.0..=MAX_COST).contains(&cost);
            is_within
                .then(|| cost_nanos(cost))
                .ok_or_else(|| Problem::expected("cost", "US dollars from 0 to 1000000"))
        });
        Ok(Captured {
            params: self.params.as_ref().map_or_else(|| Ok(Vec::new()), params)?,
            impact_score: impact_score.transpose()?,
            cost_nano_usd: cost.transpose()?,
        })
    }
}

fn params(given: &Map<String, Json>) -> Result<Vec<(Arc<str>, Value)>, Problem> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if given.len() > MAX_PARAMS || bytes > MAX_PARAM_BYTES {
        let expected = format!("{MAX_PARAMS} at most, of {MAX_PARAM_BYTES} bytes together");
        return Err(Problem::expected("params", expected));
    }
    given.iter().map(|(name, value)| Ok((param_name(name)?.into(), param(value)?))).collect()
}

fn param_name(name: &str) -> Result<&str, Problem> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let fits = (1..=MAX_PARAM_NAME).contains(&name.len());
    (is_plain && fits).then_some(name).ok_or_else(|| {
        let expected = format!("names of 1 to {MAX_PARAM_NAME} of [A-Za-z0-9._-]");
        Problem::expected("params", expected)
    })
}

fn param(value: &Json) -> Result<Value, Problem> {
    let value = match value {
        Json::Null => Some(Value::Missing),
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(Value::Int(whole)),
            None => number.as_f64().filter(|number| number.is_finite()).map(Value::Float),
        },
        Json::String(text) => is_text(text, MAX_TEXT).then(|| Value::Text(text.as_str().into())),
        Json::Array(_) | Json::Object(_) => None,
    };
    value.ok_or_else(|| {
        let expected =
            format!("numbers, booleans, or texts of 1 to {MAX_TEXT} characters, {SECRET}");
        Problem::expected("params", expected)
    })
}

fn name<'a>(field: &'static str, text: &'a str) -> Result<&'a str, Problem> {
    (is_text(text, MAX_NAME) && text.trim() == text).then_some(text).ok_or_else(|| {
        let expected = format!("1 to {MAX_NAME} characters without space around, {SECRET}");
        Problem::expected(field, expected)
    })
}

/// The same for one that must be there.
fn named<'a>(field: &'static str, text: Option<&'a str>) -> Result<&'a str, Problem> {
    name(field, text.ok_or_else(|| Problem::missing(field))?)
}

/// A text that may be kept.
fn is_text(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && !secret::is_in(text.as_bytes())
}

/// A UUID of version 7, whose time tells where its row is.
fn uuid(field: &'static str, text: &str) -> Result<TaskId, Problem> {
    let id = TaskId::parse(text).filter(|id| (id.as_u128() >> 76) & 0xf == 7);
    id.ok_or_else(|| Problem::expected(field, "a UUID of version 7"))
}

fn time_of(id: TaskId) -> i64 {
    i64::try_from(id.started_at_ms()).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests;
