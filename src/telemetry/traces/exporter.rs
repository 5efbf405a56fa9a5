//! The task that sends spans: every few seconds, or when there is a batch; what the collector does
//! not take for now, again a little later, and what it does not take in time, never.
//!
//! When the process stops everything that is left has one short time, the post under way included:
//! a collector that hangs must not keep others from ending.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::yield_now,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    partial::Partial,
    post::{Refused, packed, post},
    queue::{Sampled, Tracer},
    spans::request,
};
use crate::{clock, config::Traces, tls::EndpointTls};

/// The pause before a batch is sent again, which doubles.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// How long a batch is tried. Meanwhile others wait behind it, and what does not fit is dropped.
const TRIED_FOR: Duration = Duration::from_secs(60);

/// How long the last spans may take when the process stops, from then on.
const LAST_FLUSH: Duration = Duration::from_secs(3);

/// See the module docs.
#[derive(Debug)]
pub struct Exporter {
    tracer: Tracer,
    traces: Traces,
    tls: Option<EndpointTls>,
    resource: Vec<(String, String)>,
    /// The last batch was not taken, which was said.
    is_away: bool,
    /// What the collector said last of spans that it took in part, which was said.
    complaint: Option<String>,
}

impl Exporter {
    /// Sends what the data plane tells this tracer.
    pub const fn new(
        tracer: Tracer,
        traces: Traces,
        tls: Option<EndpointTls>,
        resource: Vec<(String, String)>,
    ) -> Self {
        Self { tracer, traces, tls, resource, is_away: false, complaint: None }
    }

    /// Sends until the process stops, and then what is left, while there is time.
    pub async fn run(mut self, closed: watch::Receiver<bool>) {
        let mut closing = closed.clone();
        let late = async {
            until_over(&mut closing).await;
            sleep(LAST_FLUSH).await;
        };
        tokio::select! {
            biased;
            () = self.send_all(closed) => {}
            () = late => self.abandon(),
        }
    }

    async fn send_all(&mut self, mut closed: watch::Receiver<bool>) {
        let mut ticks = interval(self.traces.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tracer = self.tracer.clone();
        while !is_over(&closed) {
            tokio::select! {
                _tick = ticks.tick() => {}
                () = tracer.fills() => {}
                () = until_over(&mut closed) => break,
            }
            self.flush(&mut closed).await;
        }
        self.flush(&mut closed).await;
    }

    /// Counts what is left as lost.
    fn abandon(&mut self) {
        let spans = self.tracer.abandon();
        self.tracer.lost(spans);
        tracing::warn!(spans, "stopped before the collector had every span");
    }

    /// Sends everything that waits.
    async fn flush(&mut self, closed: &mut watch::Receiver<bool>) {
        loop {
            let batch = self.tracer.take();
            if batch.is_empty() {
                return;
            }
            self.send(&batch, closed).await;
        }
    }

    async fn send(&mut self, batch: &[Sampled], closed: &mut watch::Receiver<bool>) {
        let spans = batch.iter().map(Sampled::spans).sum();
        // A move that one of them brought about is noticed by a task that may not have run yet.
        yield_now().await;
        let body = request(&self.resource, batch, &self.tracer.moves());
        let body = packed(body, self.traces.compression);
        let (until, mut pause) = (clock::now() + TRIED_FOR, BACKOFF_FIRST);
        loop {
            let refused = match post(&self.traces, self.tls.as_ref(), body.clone()).await {
                Ok(partial) => {
                    let rejected = self.rejected(partial).min(spans);
                    self.tracer.sent(spans - rejected);
                    self.tracer.rejected(rejected);
                    self.is_back();
                    return;
                }
                Err(refused) => refused,
            };
            self.is_gone(&refused);
            let Refused::ForNow { wait, .. } = &refused else { break };
            let wait = wait.map_or_else(|| jittered(pause), bounded);
            if is_over(closed) || clock::now() + wait > until {
                break;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = until_over(closed) => {}
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        self.tracer.lost(spans);
    }

    /// How many spans of a batch were rejected. What the collector says of them is told once, until
    /// it says something else.
    fn rejected(&mut self, partial: Option<Partial>) -> usize {
        let Some(Partial { rejected, message }) = partial else {
            self.complaint = None;
            return 0;
        };
        if self.complaint.as_ref() != Some(&message) {
            tracing::warn!(rejected, because = %message, "the collector has something against spans");
            self.complaint = Some(message);
        }
        usize::try_from(rejected).unwrap_or(usize::MAX)
    }

    /// Says so once for each outage.
    fn is_gone(&mut self, refused: &Refused) {
        if !std::mem::replace(&mut self.is_away, true) {
            let (because, consequence) = (refused.because(), "spans are dropped and counted");
            tracing::warn!(because, consequence, "the collector of traces does not take spans");
        }
    }

    fn is_back(&mut self) {
        if std::mem::replace(&mut self.is_away, false) {
            tracing::info!("the collector of traces takes spans again");
        }
    }
}

/// Half of a pause to all of it, so that not all instances come back at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// The pause that a collector asks for: none so short that it is asked in a loop, and none longer
/// than a batch is tried, after which it is given up.
fn bounded(asked: Duration) -> Duration {
    asked.clamp(BACKOFF_FIRST, TRIED_FOR)
}

async fn until_over(closed: &mut watch::Receiver<bool>) {
    // An error means that whoever would say so is gone, which is as good.
    let _closed_or_gone = closed.wait_for(|is_over| *is_over).await;
}

fn is_over(closed: &watch::Receiver<bool>) -> bool {
    *closed.borrow() || closed.has_changed().is_err()
}

#[cfg(test)]
mod tests;
