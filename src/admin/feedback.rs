//! `POST /api/v1/tasks/{id}/feedback`: an impact score that comes after its task has ended.
//!
//! The row and the sums change together, once: the same score again changes nothing. A row may still
//! be on its way through the journal, a quarter of a second as a rule: a score for a task that began
//! not long ago, or while the writer is behind, is held for a while and tried again.

use std::{sync::Arc, time::Duration};

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    Admin, body,
    query::{Asked, Pairs, Segment},
    reply::{self, Answer, Fault},
};
use crate::{
    clock,
    domain::{
        report::{LateScore, Scored},
        secret,
        task::TaskId,
    },
};

/// Scores that are held at a time.
pub(super) const WAITING: usize = 16;

/// How long a score is held, and how often it is tried meanwhile.
const HOLD: Duration = Duration::from_secs(3);
const TRY_EVERY: Duration = Duration::from_millis(200);

/// A task that began longer ago has its row, unless the writer is behind.
const RECENT_US: u64 = 10 * 60 * 1_000_000;

/// More rows than these are no longer a moment's work for the writer.
const BACKLOG: u64 = 5_000;

/// The largest body, and the longest source in characters.
const MAX_BODY: usize = 4 * 1024;
const MAX_SOURCE: usize = 64;

/// Who scored it, when nobody is named.
const SOMEBODY: &str = "feedback";

/// What a body says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    impact_score: f64,
    source: Option<String>,
}

/// What became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    impact_score: f32,
    impact_source: String,
    /// False when the row said so already.
    changed: bool,
}

/// `POST /api/v1/tasks/{id}/feedback`
pub(super) async fn take(
    State(admin): State<Arc<Admin>>,
    Segment(text): Segment,
    pairs: Pairs,
    request: Request,
) -> Answer {
    Asked::read(pairs, &[])?;
    let id = TaskId::parse(&text).ok_or_else(|| Fault::unreadable("id", "a task id, a UUID"))?;
    let (_, bytes) = body::read(request, MAX_BODY).await?;
    let late = late_score(id, body::parse(&bytes)?)?;
    let changed = match held(&admin, &late).await? {
        Scored::Changed => true,
        Scored::Same => false,
        Scored::Unknown => return Err(missing(&admin, id)),
    };
    let LateScore { score, source, .. } = late;
    let told = Told { id: id.to_string(), impact_score: score, impact_source: source, changed };
    Ok(reply::data(told))
}

fn late_score(id: TaskId, Body { impact_score, source }: Body) -> Result<LateScore, Fault> {
    let score = score_of(impact_score)
        .ok_or_else(|| Fault::unreadable("impactScore", "a number from 0 to 100"))?;
    let source = source.unwrap_or_else(|| SOMEBODY.to_owned());
    let length = source.chars().count();
    let is_text = (1..=MAX_SOURCE).contains(&length) && !source.contains(char::is_control);
    if !is_text || secret::is_in(source.as_bytes()) {
        let expected = format!("1 to {MAX_SOURCE} characters that are no token, key or address");
        return Err(Fault::unreadable("source", expected));
    }
    Ok(LateScore { id, score, source })
}

/// A score as columns hold it.
#[expect(clippy::cast_possible_truncation, reason = "a score has few digits")]
pub(super) fn score_of(number: f64) -> Option<f32> {
    (0.0..=100.0).contains(&number).then_some(number as f32)
}

/// Scores a task, again and again for a while when its row may be on its way.
async fn held(admin: &Admin, late: &LateScore) -> Result<Scored, Fault> {
    let score = || admin.questions.read(admin.sources.history.score(late));
    let first = score().await?;
    if first != Scored::Unknown || !may_be_on_its_way(admin, late.id) {
        return Ok(first);
    }
    let _place = admin.scores.try_acquire().map_err(|_| Fault::TooManyScores(WAITING))?;
    let until = Instant::from_std(clock::now()) + HOLD;
    while Instant::from_std(clock::now()) < until {
        sleep(TRY_EVERY).await;
        let scored = score().await?;
        if scored != Scored::Unknown {
            return Ok(scored);
        }
    }
    Ok(Scored::Unknown)
}

fn may_be_on_its_way(admin: &Admin, id: TaskId) -> bool {
    let now_us = u64::try_from(clock::wall_us()).unwrap_or_default();
    // One of the far future is made up: its row is on no way.
    let age_us = now_us.abs_diff(id.started_at_ms().saturating_mul(1_000));
    age_us <= RECENT_US || has_backlog(admin)
}

/// Whether the writer has fallen behind, as it does while the store is away.
fn has_backlog(admin: &Admin) -> bool {
    admin.sources.view.status().history.waiting > BACKLOG
}

/// What is told of a task without a row.
fn missing(admin: &Admin, id: TaskId) -> Fault {
    if has_backlog(admin) { Fault::NotYet } else { Fault::NotFound(format!("task `{id}`")) }
}
