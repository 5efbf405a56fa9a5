//! `/api/v1/timeouts`: how long each upstream is worth waiting for, and what waiting only so long
//! would have done to the calls of the last day.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
};
use crate::{
    domain::learn::timeout::{Estimate, Mode},
    learning::waits::Known,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimeoutJson {
    upstream: Box<str>,
    /// `observe` or `widen`.
    mode: &'static str,
    configured_ms: f64,
    in_force_ms: f64,
    /// Null while too little is known.
    learned_ms: Option<f64>,
    /// `known`, `too_few` calls, or `hidden`: too many are cut for it to be seen.
    estimate: &'static str,
    /// Calls of the last day, as far as this instance has run.
    calls: u64,
    /// Of these, what the learned timeout would have cut that ended well, and the time that would
    /// not have been waited for calls that were cut anyway.
    false_cuts: u64,
    saved_seconds: f64,
}

/// `GET /api/v1/timeouts`
pub(super) async fn timeouts(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    let known = admin.sources.waits.known();
    Ok(reply::data(known.into_iter().map(TimeoutJson::from).collect::<Vec<_>>()))
}

impl From<Known> for TimeoutJson {
    fn from(known: Known) -> Self {
        let (estimate, is_known) = match known.estimate {
            Estimate::Known(_) => ("known", true),
            Estimate::TooFew => ("too_few", false),
            Estimate::Hidden => ("hidden", true),
        };
        Self {
            upstream: known.upstream,
            mode: match known.mode {
                Mode::Observe => "observe",
                Mode::Widen => "widen",
            },
            configured_ms: ms(known.configured),
            in_force_ms: ms(known.in_force),
            learned_ms: is_known.then(|| ms(known.learned)),
            estimate,
            calls: known.calls,
            false_cuts: known.outlook.false_cuts,
            saved_seconds: (known.outlook.saved.as_secs_f64() * 1_000.0).round() / 1_000.0,
        }
    }
}

fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}
