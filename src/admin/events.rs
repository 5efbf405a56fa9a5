//! `/api/v1/events`: a stream of server-sent events for the dashboard.
//!
//! `event: state` tells what each upstream is like, once a second, and so serves as the heartbeat;
//! `event: transition` comes the moment a breaker moves, with a fresh `state` right behind it, and
//! `event: warning` when an early warning begins or ends. A reader that is too slow skips states and
//! misses transitions, which `event: missed` then says; one that does not read at all is cut off by
//! the limits of [`server`](super::server).

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, extract::State};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::{
    Admin, STREAMS,
    breakers::MomentJson,
    predictions::PredictionJson,
    pulse,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    timeline::Moment,
    window::show_time,
};
use crate::learning::warnings;

/// A transition as it happens.
#[derive(Serialize)]
struct TransitionJson<'a> {
    name: &'a str,
    #[serde(flatten)]
    moment: MomentJson,
}

/// A warning as it begins or ends.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WarningJson {
    at: Option<String>,
    is_active: bool,
    #[serde(flatten)]
    prediction: PredictionJson,
}

/// How many transitions a reader has missed.
#[derive(Serialize)]
struct MissedJson {
    transitions: u64,
}

impl From<&warnings::Moment> for WarningJson {
    fn from(moment: &warnings::Moment) -> Self {
        let prediction = (&*moment.prediction).into();
        Self { at: show_time(moment.at_us), is_active: moment.begins, prediction }
    }
}

/// One open stream.
struct Events {
    /// What was shown first; taken when it is sent.
    first: Option<Bytes>,
    states: watch::Receiver<Bytes>,
    moments: broadcast::Receiver<Moment>,
    warnings: broadcast::Receiver<warnings::Moment>,
    closing: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/events`
pub(super) async fn stream(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    let place = Arc::clone(&admin.streams).try_acquire_owned();
    let place = place.map_err(|_| Fault::TooManyStreams(STREAMS))?;
    let mut states = admin.pulse.listen();
    states.mark_unchanged();
    let events = Events {
        moments: admin.sources.timeline.listen(),
        warnings: admin.sources.warnings.listen(),
        closing: admin.closing.clone(),
        states,
        first: Some(pulse::state(&admin)),
        _place: place,
    };
    let body = Body::from_stream(frames(events));
    Ok(reply::typed(StatusCode::OK, "text/event-stream", body))
}

fn frames(events: Events) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(events, async |mut events| {
        let frame = events.next().await?;
        Some((Ok(frame), events))
    })
}

impl Events {
    /// The next frame; none when the port closes.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        // In this order: a transition is told before the state that shows it.
        tokio::select! {
            biased;
            _ = self.closing.changed() => None,
            heard = self.moments.recv() => match heard {
                Ok(moment) => {
                    let moment = TransitionJson { name: &moment.name, moment: (&moment).into() };
                    Some(frame("transition", &moment))
                }
                Err(broadcast::error::RecvError::Lagged(transitions)) => {
                    Some(frame("missed", &MissedJson { transitions }))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            },
            Ok(moment) = self.warnings.recv() => {
                Some(frame("warning", &WarningJson::from(&moment)))
            }
            changed = self.states.changed() => {
                changed.ok()?;
                Some(self.states.borrow_and_update().clone())
            }
        }
    }
}

/// JSON has no line breaks of its own, so one `data` line holds it all.
pub(super) fn frame(event: &str, value: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    format!("event: {event}\ndata: {json}\n\n").into()
}
