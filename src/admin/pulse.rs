//! The state that everyone who watches is sent: made once a second, for all of them together.
//!
//! Nothing is queued for anybody. A watcher finds the newest state when it has taken the one before,
//! so a slow one skips some, and transitions that come in a burst are shown by one state.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{
    sync::{Notify, broadcast, watch},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Admin, breakers::BreakerJson, events::frame, health::HealthJson, series::Series,
    status::StatusJson, window::show_time,
};
use crate::clock;

/// How often the state is sent.
const EVERY: Duration = Duration::from_secs(1);

/// How soon after a state the next one may be sent, because a breaker moved.
const SOONEST: Duration = Duration::from_millis(100);

/// See the module docs.
pub(super) struct Pulse {
    state: watch::Sender<Bytes>,
    moved: Notify,
    // A std mutex: it is held for a look at a few numbers of each upstream, never across an await.
    series: Mutex<Series>,
}

/// What each upstream is like now.
#[derive(Serialize)]
struct StateJson {
    now: Option<String>,
    status: StatusJson,
    health: HealthJson,
    breakers: BTreeMap<String, BreakerJson>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(Bytes::new()),
            moved: Notify::new(),
            series: Mutex::default(),
        }
    }
}

impl Pulse {
    /// States from now on.
    pub(super) fn listen(&self) -> watch::Receiver<Bytes> {
        self.state.subscribe()
    }

    /// Something was changed that watchers should not wait a second to see.
    pub(super) fn soon(&self) {
        self.moved.notify_one();
    }

    /// The traffic of the last minutes.
    pub(super) fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends states as long as it is polled; while nobody watches, none is made.
pub(super) async fn beat(admin: Arc<Admin>) {
    let pulse = &admin.pulse;
    let mut moments = admin.sources.timeline.listen();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Instant = ticks.tick().await;
    loop {
        tokio::select! {
            now = ticks.tick() => {
                last = now;
                pulse.series().note(now.into_std(), || admin.sources.view.traffic());
                if pulse.state.receiver_count() > 0 {
                    pulse.state.send_replace(state(&admin));
                }
            }
            () = pulse.moved.notified() => ticks.reset_at(last + SOONEST),
            heard = moments.recv() => match heard {
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    ticks.reset_at(last + SOONEST);
                }
                // The process ends; so does this.
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

/// The state now, as a frame.
pub(super) fn state(admin: &Admin) -> Bytes {
    let now_us = clock::wall_us();
    let views = admin.sources.view.breakers();
    let breakers = views.iter().map(|view| (view.name.to_string(), BreakerJson::new(view, now_us)));
    let state = StateJson {
        now: show_time(now_us),
        status: StatusJson::of(admin, now_us),
        health: HealthJson::of(admin, now_us),
        breakers: breakers.collect(),
    };
    frame("state", &state)
}
