//! `/api/v1/predictions`: what was warned of, what became of it, and how good each signal is.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
    window::{Reach, Window, show_time},
};
use crate::{
    clock,
    domain::learn::warn::{
        Signal,
        score::{Fate, Score},
    },
    store::{Merit, Prediction},
};

/// Active warnings that are listed at most.
const ACTIVE: u32 = 500;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PredictionsJson {
    /// False where the configuration says so; then nothing new is warned of.
    enabled: bool,
    /// The share of calls that is to succeed.
    objective: f64,
    /// Those that are still being said, whenever they were made, newest first.
    active: Vec<PredictionJson>,
    /// There are more of them.
    is_active_cut: bool,
    /// The others, newest first.
    past: Vec<PredictionJson>,
    signals: Vec<SignalJson>,
}

/// One warning.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PredictionJson {
    id: i64,
    signal: &'static str,
    upstream: String,
    /// Null where it is about the whole upstream.
    domain: Option<String>,
    action: Option<String>,
    /// In words.
    claim: String,
    /// In numbers.
    detail: Value,
    made_at: Option<String>,
    ended_at: Option<String>,
    horizon_seconds: u64,
    /// Of coming true, as far as the signal's past tells.
    probability: f64,
    /// The signal was silent: this is for the record.
    is_muted: bool,
    /// `open`, `cameTrue` or `didNot`.
    fate: &'static str,
    /// From the warning to what it warned of.
    lead_seconds: Option<i64>,
}

/// How good the warnings of a signal were in the last 30 days.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignalJson {
    signal: &'static str,
    /// Warnings whose fate is known.
    decided: usize,
    precision: Option<f64>,
    recall: Option<f64>,
    lead_seconds: Option<f64>,
    brier: Option<f64>,
    is_muted: bool,
}

impl From<&Prediction> for PredictionJson {
    fn from(prediction: &Prediction) -> Self {
        let notice = &prediction.notice;
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let (fate, lead_seconds) = match prediction.fate {
            Fate::Pending => ("open", None),
            Fate::True { lead } => ("cameTrue", Some(lead)),
            Fate::False => ("didNot", None),
        };
        let ended = (!prediction.is_active).then_some(prediction.active_until_us);
        Self {
            id: prediction.id,
            signal: notice.signal.as_str(),
            upstream: notice.subject.upstream.to_string(),
            domain: named(&notice.subject.domain),
            action: named(&notice.subject.action),
            claim: notice.claim.clone(),
            detail: notice.detail.clone(),
            made_at: show_time(prediction.made_at_us),
            ended_at: ended.and_then(show_time),
            horizon_seconds: notice.horizon.as_secs(),
            probability: notice.probability,
            is_muted: notice.is_muted,
            fate,
            lead_seconds,
        }
    }
}

/// `GET /api/v1/predictions`
pub(super) async fn predictions(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let asked = Asked::read(pairs, &["from", "limit"])?;
    let window = Window::read(&asked, Reach::WEEK, clock::wall_us())?;
    let limit = asked.limit(100, 500)?;
    let board = &admin.sources.warnings;
    let active = admin.turns.read(board.said(ACTIVE)).await?;
    // Those that are active are not what is asked for, so that they take no room.
    let most = limit.saturating_add(u32::try_from(active.len()).unwrap_or(u32::MAX));
    let made = admin.turns.read(board.past(window.from_us, most)).await?;
    let scores = admin.turns.read(board.scores()).await?;
    let settings = admin.sources.view.config().warnings;
    let past = made.iter().filter(|it| !it.is_active && active.iter().all(|of| of.id != it.id));
    let past = past.take(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(reply::data(PredictionsJson {
        enabled: settings.enabled,
        objective: settings.objective.as_ratio(),
        active: active.iter().map(PredictionJson::from).collect(),
        is_active_cut: active.len() >= ACTIVE as usize,
        past: past.map(PredictionJson::from).collect(),
        signals: Signal::ALL.iter().map(|&signal| of_signal(signal, &scores)).collect(),
    }))
}

fn of_signal(signal: Signal, scores: &[Merit]) -> SignalJson {
    let found = scores.iter().find(|(of, _)| *of == signal).map(|(_, score)| *score);
    let score: Score = found.unwrap_or_default();
    SignalJson {
        signal: signal.as_str(),
        decided: score.decided,
        precision: score.precision,
        recall: score.recall,
        lead_seconds: score.lead,
        brier: score.brier,
        is_muted: score.is_muted(),
    }
}
