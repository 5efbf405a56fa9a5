//! What an instance knows of itself: how close its calls come to their timeouts, and how full its
//! limits are.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::learn::{
        histogram::Histogram,
        recent::{Counts, WINDOW_SECONDS},
        timeout::Durations,
        warn::{
            claim::Claim,
            headroom::headroom,
            saturation::{FULL, saturation},
        },
    },
    store::Subject,
    telemetry::traffic::Traffic,
};

/// Samples that are kept, each of half a minute: a quarter of an hour.
const SAMPLES: usize = 30;

/// Seconds after the start before which no average says anything of limits.
const LEAST_SECONDS: u64 = WINDOW_SECONDS - 5;

/// Calls whose p99 exceeds the timeout so far are not what it bounds: bodies that take their time.
const UNBOUND: f64 = 1.1;

/// An upstream of this instance.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Calls at a time at most; none for any number.
    pub concurrency: Option<NonZeroU32>,
    /// Its numbers.
    pub traffic: Arc<Traffic>,
}

/// See the module docs.
#[derive(Debug)]
pub(super) struct Local(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    upstream: Upstream,
    samples: VecDeque<Counts>,
}

impl Local {
    pub(super) fn new(upstreams: Vec<Upstream>) -> Self {
        let watched = |upstream| Watched { upstream, samples: VecDeque::with_capacity(SAMPLES) };
        Self(upstreams.into_iter().map(watched).collect())
    }

    /// Notes the last half minute. To be called twice a minute.
    pub(super) fn sample(&mut self, now: Instant) {
        for watched in &mut self.0 {
            if watched.samples.len() == SAMPLES {
                watched.samples.pop_front();
            }
            watched.samples.push_back(watched.upstream.traffic.recent(now));
        }
    }

    /// What is to be said now.
    pub(super) fn claims(&self) -> Vec<(Subject, Claim)> {
        let claims = |watched: &Watched| {
            let subject = Subject::upstream(&watched.upstream.name);
            let claims = [watched.headroom(), watched.saturation()].into_iter().flatten();
            claims.map(move |claim| (subject.clone(), claim)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(claims).collect()
    }
}

impl Watched {
    fn headroom(&self) -> Option<Claim> {
        let mut ended = Histogram::default();
        self.samples.iter().for_each(|sample| ended.merge(&sample.durations));
        let timeout = self.upstream.timeout;
        let p99 = ended.quantile(0.99)?;
        let is_bound = p99 as f64 <= UNBOUND * timeout.as_secs_f64() * 1e6;
        let calls = Durations { ended, ..Durations::default() };
        let headroom = headroom(&calls, timeout).filter(|it| is_bound && it.is_short())?;
        Some(Claim::Headroom { headroom, timeout })
    }

    /// Judged by the last half minute, on average: that a limit is reached for a moment is what it
    /// is there for.
    fn saturation(&self) -> Option<Claim> {
        let limit = self.upstream.concurrency?.get();
        let Counts { durations, seconds, .. } = self.samples.back()?;
        if *seconds < LEAST_SECONDS {
            return None;
        }
        let mean = Duration::from_secs_f64(durations.mean()? / 1e6);
        let a_second = durations.count() as f64 / *seconds as f64;
        let used = saturation(a_second, mean, limit)?;
        let in_flight = used * f64::from(limit);
        (used >= FULL).then_some(Claim::Saturation { in_flight, limit })
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc, time::Duration};

    use super::{Local, Upstream};
    use crate::{
        clock,
        domain::learn::{recent::Counts, warn::Signal},
        telemetry::traffic::Traffic,
    };

    /// The signals that so many calls in so many seconds make, which take so long, against a timeout
    /// of a second and a limit of ten.
    fn signals(calls: u64, duration_ms: u64, seconds: u64) -> Vec<Signal> {
        let traffic = Arc::new(Traffic::new(clock::now()));
        let (timeout, concurrency) = (Duration::from_secs(1), NonZeroU32::new(10));
        let upstream = Upstream { name: "pay".into(), timeout, concurrency, traffic };
        let mut local = Local::new(vec![upstream]);
        for _ in 0..40 {
            local.sample(clock::now());
            let mut counts = Counts { calls, seconds, ..Counts::default() };
            counts.durations.record_many(1_000 * duration_ms, calls);
            *local.0[0].samples.back_mut().unwrap() = counts;
        }
        assert_eq!(local.0[0].samples.len(), super::SAMPLES);
        local.claims().iter().map(|(_, claim)| claim.signal()).collect()
    }

    #[test]
    fn calls_close_to_their_timeout_and_full_limits_are_told() {
        for (calls, duration_ms, seconds, expected) in [
            (290, 100, 30, &[][..]),
            (290, 900, 30, &[Signal::Headroom]),
            (2_900, 100, 30, &[Signal::Saturation]),
            (320, 900, 30, &[Signal::Headroom, Signal::Saturation]),
            (5, 900, 30, &[]),
            (290, 1_500, 30, &[Signal::Saturation]),
            // As full, though the window has just forgotten some of it.
            (2_520, 100, 26, &[Signal::Saturation]),
            // What has just begun.
            (1_000, 100, 5, &[]),
        ] {
            let signals = signals(calls, duration_ms, seconds);
            assert_eq!(signals, expected, "{calls} of {duration_ms} ms in {seconds} s");
        }
    }
}
