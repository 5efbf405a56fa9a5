//! How long each upstream is worth waiting for, as this instance learns it from its own calls.
//!
//! Calls come here when their rows are in the store, off the path of calls; a minute is looked at
//! when it is over. Calls that ended while the circuit was not closed are left out: an outage is no
//! guide to how long to wait.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::domain::{
    breaker::State,
    learn::{
        formula::share::Share,
        timeout::{Durations, Estimate, Learned, Memory, Mode, Outlook, Policy, outlook},
    },
    outcome::Reason,
    task::CallRecord,
};

/// What is learned from at a time.
const MINUTE: Duration = Duration::from_secs(60);

/// Hours of which it is told what a learned timeout would have done. Minutes of a day would take
/// megabytes for each upstream.
const DAY: usize = 24;

/// Minutes that are added up as one hour.
const HOUR: u8 = 60;

/// A row of a call that began longer ago says nothing about now.
const FRESH_US: i64 = 15 * 60_000_000;

/// The waits of all upstreams.
#[derive(Debug)]
pub struct Waits(Mutex<HashMap<Box<str>, Wait>>);

/// What is configured about one upstream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How long the first byte is waited for.
    pub configured: Duration,
    /// What is done with what is learned.
    pub mode: Mode,
    /// What a learned timeout keeps to.
    pub policy: Policy,
}

#[derive(Debug)]
struct Wait {
    terms: Terms,
    minute: Durations,
    /// Of the calls of this minute, those that the timeout cut.
    cut: Share,
    memory: Memory,
    learned: Learned,
    /// By the hour, of which the last has so many minutes.
    day: VecDeque<Durations>,
    minutes: u8,
}

/// What is known about the wait for one upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The upstream.
    pub upstream: Box<str>,
    /// What is done with it.
    pub mode: Mode,
    /// How long the first byte is waited for by configuration, and really.
    pub configured: Duration,
    /// See above.
    pub in_force: Duration,
    /// How long it should be waited for; the ceiling where nothing is known.
    pub learned: Duration,
    /// What that rests on.
    pub estimate: Estimate,
    /// Calls of the last day: of its last 23 hours, and of the one that is under way.
    pub calls: u64,
    /// What the learned timeout would have done to them.
    pub outlook: Outlook,
}

impl Waits {
    /// Of these upstreams. Calls of others are not learned from.
    pub fn new<N: Into<Box<str>>>(upstreams: impl IntoIterator<Item = (N, Terms)>) -> Self {
        let waits = Self(Mutex::default());
        waits.renew(upstreams);
        waits
    }

    /// From now on of these. What was learned of one whose terms are as before is kept.
    pub fn renew<N: Into<Box<str>>>(&self, upstreams: impl IntoIterator<Item = (N, Terms)>) {
        let mut waits = self.lock();
        let mut before = std::mem::take(&mut *waits);
        waits.extend(upstreams.into_iter().map(|(name, terms)| {
            let name = name.into();
            let stays = before.remove(&name).filter(|wait| wait.terms == terms);
            (name, stays.unwrap_or_else(|| Wait::new(terms)))
        }));
    }

    /// Calls have ended.
    pub fn saw(&self, calls: &[CallRecord], now_us: i64) {
        let mut waits = self.lock();
        for call in calls {
            let is_fresh = now_us.saturating_sub(call.started_at_us) < FRESH_US;
            if !is_fresh || call.breaker_state != State::Closed {
                continue;
            }
            for attempt in call.attempts.iter() {
                let upstream = attempt.instead.as_deref().unwrap_or(&call.site.upstream);
                if let Some(wait) = waits.get_mut(upstream) {
                    wait.take(attempt.reason, attempt.duration_us, u64::from(call.weight.max(1)));
                }
            }
        }
    }

    /// A minute is over. Tells `apply` how long each upstream is to be waited for now.
    pub fn minute_over(&self, mut apply: impl FnMut(&str, Duration)) {
        for (upstream, wait) in self.lock().iter_mut() {
            wait.minute_over();
            apply(upstream, wait.in_force());
        }
    }

    /// Lets minutes pass, until it is dropped.
    pub async fn forever(&self, mut apply: impl FnMut(&str, Duration)) -> Infallible {
        let mut minutes = interval(MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        minutes.tick().await;
        loop {
            minutes.tick().await;
            self.minute_over(&mut apply);
        }
    }

    /// What is known, by upstream.
    pub fn known(&self) -> Vec<Known> {
        let mut known: Vec<Known> =
            self.lock().iter().map(|(name, wait)| wait.known(name)).collect();
        known.sort_by(|a, b| a.upstream.cmp(&b.upstream));
        known
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    fn new(terms: Terms) -> Self {
        Self {
            terms,
            minute: Durations::default(),
            cut: Share::default(),
            memory: Memory::default(),
            learned: Learned::new(terms.configured),
            day: VecDeque::new(),
            minutes: HOUR,
        }
    }

    fn take(&mut self, reason: Option<Reason>, duration_us: u64, calls: u64) {
        let (into, cut) = match end(reason) {
            End::Answered => (&mut self.minute.ended, 0),
            End::CutByTimeout => (&mut self.minute.cut, calls),
            End::CutByOthers => (&mut self.minute.cut, 0),
            End::Neither => return,
        };
        into.record_many(duration_us, calls);
        self.cut = self.cut.plus(Share::new(cut, calls));
    }

    fn minute_over(&mut self) {
        let minute = std::mem::take(&mut self.minute);
        if self.minutes == HOUR {
            self.minutes = 0;
            self.day.push_back(Durations::default());
        }
        if self.day.len() > DAY {
            self.day.pop_front();
        }
        self.minutes += 1;
        if let Some(hour) = self.day.back_mut() {
            hour.ended.merge(&minute.ended);
            hour.cut.merge(&minute.cut);
        }
        self.memory.push(minute);
        let cut = std::mem::take(&mut self.cut);
        self.learned.step(&self.memory, cut, &self.terms.policy);
    }

    fn in_force(&self) -> Duration {
        let Terms { configured, mode, policy } = &self.terms;
        mode.in_force(*configured, &self.learned, policy)
    }

    fn known(&self, upstream: &str) -> Known {
        let mut day = Durations::default();
        for minute in &self.day {
            day.ended.merge(&minute.ended);
            day.cut.merge(&minute.cut);
        }
        Known {
            upstream: upstream.into(),
            mode: self.terms.mode,
            configured: self.terms.configured,
            in_force: self.in_force(),
            learned: self.learned.timeout(),
            estimate: self.learned.estimate(),
            calls: day.ended.count() + day.cut.count(),
            outlook: outlook(&day, self.learned.timeout()),
        }
    }
}

/// How the wait for an attempt's answer ended.
enum End {
    Answered,
    CutByTimeout,
    CutByOthers,
    /// It broke off, or failed: to fail fast is not to be fast.
    Neither,
}

fn end(reason: Option<Reason>) -> End {
    match reason {
        None => End::Answered,
        Some(Reason::TimeoutFirstByte) => End::CutByTimeout,
        Some(
            Reason::TimeoutTotal
            | Reason::TimeoutAttempt
            | Reason::CallerDeadline
            | Reason::ClientGoneBeforeHeaders,
        ) => End::CutByOthers,
        Some(_) => End::Neither,
    }
}

#[cfg(test)]
mod tests;
