//! `/api/v1/events`: a stream of server-sent events for the dashboard.
//!
//! `event: state` carries everything that the page shows, once a second; `event: transition` comes
//! the moment a breaker moves, with a fresh `state` right behind it. A reader that is too slow
//! misses transitions but never a state, and each state holds the recent transitions too.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, watch},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    Admin, STREAMS,
    breakers::{Detailed, MomentJson, detailed},
    health::HealthJson,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    status::StatusJson,
    timeline::Moment,
    window::show_time,
};
use crate::clock;

/// How often the state is sent.
const EVERY: Duration = Duration::from_secs(1);

/// All that the dashboard shows.
#[derive(Serialize)]
struct StateJson {
    now: Option<String>,
    status: StatusJson,
    health: HealthJson,
    breakers: BTreeMap<String, Detailed>,
}

/// A transition as it happens.
#[derive(Serialize)]
struct TransitionJson<'a> {
    name: &'a str,
    #[serde(flatten)]
    moment: MomentJson,
}

/// One open stream.
struct Events {
    admin: Arc<Admin>,
    moments: broadcast::Receiver<Moment>,
    ticks: Interval,
    closing: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/events`
pub(super) async fn stream(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    let place = Arc::clone(&admin.streams).try_acquire_owned();
    let place = place.map_err(|_| Fault::TooManyStreams(STREAMS))?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events {
        moments: admin.sources.timeline.listen(),
        closing: admin.closing.clone(),
        ticks,
        admin,
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
        tokio::select! {
            _ = self.closing.changed() => None,
            heard = self.moments.recv() => match heard {
                Ok(moment) => {
                    self.ticks.reset_immediately();
                    let moment = TransitionJson { name: &moment.name, moment: (&moment).into() };
                    Some(frame("transition", &moment))
                }
                // Missed some, or nobody sends any more: the state has what counts.
                Err(_) => {
                    self.ticks.tick().await;
                    Some(self.state())
                }
            },
            _ = self.ticks.tick() => Some(self.state()),
        }
    }

    fn state(&self) -> Bytes {
        let now_us = clock::wall_us();
        let state = StateJson {
            now: show_time(now_us),
            status: StatusJson::of(&self.admin, now_us),
            health: HealthJson::of(&self.admin, now_us),
            breakers: detailed(&self.admin, now_us),
        };
        frame("state", &state)
    }
}

/// JSON has no line breaks of its own, so one `data` line holds it all.
fn frame(event: &str, value: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    format!("event: {event}\ndata: {json}\n\n").into()
}
