//! The last transitions of this instance's breakers, and a way to hear of the next.
//!
//! The store's events are the record; this is the memory of one process, which also has what is
//! never shared (half-open, ramping, breakers of scope `instance`) and works while the store is
//! away. It is bounded: [`KEPT`] transitions of each breaker.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

use crate::domain::{breaker::Transition, task::TaskId};
#[cfg(test)]
use {
    crate::domain::breaker::{Cause, Mode, State},
    std::time::Duration,
};

/// Transitions kept of each breaker.
pub const KEPT: usize = 20;

/// Transitions that a slow listener may be behind before it misses some.
const BACKLOG: usize = 256;

/// A transition with its breaker and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The breaker's name.
    pub name: Arc<str>,
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// What happened.
    pub transition: Transition,
    /// Calls that were the reason, some of them.
    pub task_ids: Vec<TaskId>,
}

#[cfg(test)]
impl Moment {
    /// A circuit that was closed moved to this state.
    pub(super) fn sample(name: &str, at_us: i64, to: State) -> Self {
        let transition = Transition {
            from: State::Closed,
            to,
            cause: Cause::ConsecutiveFailures,
            failure_count: 5,
            window_calls: 5,
            window_failures: 5,
            open_for: Duration::from_secs(60),
            step: 1,
            by_connection: false,
            generation: 1,
            mode: Mode::Auto,
        };
        Self { name: Arc::from(name), at_us, transition, task_ids: Vec::new() }
    }
}

/// See the module docs.
#[derive(Debug)]
pub struct Timeline {
    // A std mutex: it is held for a push or a copy of twenty values, never across an await.
    kept: Mutex<BTreeMap<Arc<str>, VecDeque<Moment>>>,
    heard: broadcast::Sender<Moment>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { kept: Mutex::default(), heard: broadcast::Sender::new(BACKLOG) }
    }
}

impl Timeline {
    /// Notes a transition and tells whoever listens.
    pub fn note(&self, moment: Moment) {
        let mut kept = self.kept();
        let of_breaker = kept.entry(Arc::clone(&moment.name)).or_default();
        if of_breaker.len() == KEPT {
            of_breaker.pop_back();
        }
        of_breaker.push_front(moment.clone());
        // Sent under the lock so that listeners hear in the order of the record. An error only
        // says that nobody listens.
        self.heard.send(moment).ok();
    }

    /// The last transitions of a breaker, newest first.
    pub fn of(&self, name: &str) -> Vec<Moment> {
        self.kept().get(name).map(|moments| moments.iter().cloned().collect()).unwrap_or_default()
    }

    /// Forgets breakers that there are no more.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.kept().retain(|name, _| is_there(name));
    }

    /// Transitions from now on.
    pub fn listen(&self) -> broadcast::Receiver<Moment> {
        self.heard.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, VecDeque<Moment>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Moment, Timeline};
    use crate::domain::breaker::State;

    fn moment(name: &str, at_us: i64) -> Moment {
        Moment::sample(name, at_us, State::Open)
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let timeline = Timeline::default();
        for at_us in 0..=20 {
            timeline.note(moment("payments", at_us));
        }
        timeline.note(moment("music", 99));
        let kept: Vec<_> = timeline.of("payments").iter().map(|moment| moment.at_us).collect();
        assert_eq!(kept, (1..=20).rev().collect::<Vec<_>>());
        assert_eq!(kept.len(), KEPT);
        assert_eq!(timeline.of("nobody"), []);
    }

    #[test]
    fn what_the_configuration_takes_away_is_forgotten() {
        let timeline = Timeline::default();
        timeline.note(moment("payments", 1));
        timeline.note(moment("music", 2));
        timeline.keep(|name| name == "music");
        assert_eq!(timeline.of("payments"), []);
        assert_eq!(timeline.of("music").len(), 1);
    }

    #[test]
    fn a_listener_hears_what_happens_after_it_began_to_listen() {
        let timeline = Timeline::default();
        timeline.note(moment("payments", 1));
        let mut listener = timeline.listen();
        timeline.note(moment("payments", 2));
        assert_eq!(listener.try_recv().unwrap().at_us, 2);
        assert!(listener.try_recv().is_err());
    }
}
