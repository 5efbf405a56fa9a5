//! A running sum of evidence that something has changed.
//!
//! Each observation adds ln(P(it | changed) / P(it | as before)); the sum never falls below 0, so
//! good times are no credit against bad ones. It alarms above a limit, and then runs the other way
//! until the change is over.
//!
//! Source: E. S. Page, *Continuous inspection schemes*, Biometrika 41 (1954).

/// A running sum. Times are of whatever unit the caller counts in.
#[derive(Debug, Clone, PartialEq)]
pub struct Cusum {
    limit: f64,
    state: State,
    run: Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Looks for evidence of a change.
    Quiet,
    /// Looks for evidence that it is over.
    Alarmed,
}

/// The sum since it was last 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Run {
    sum: f64,
    since: i64,
}

/// What an observation decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something has changed, most likely at this time.
    Began {
        /// When the evidence began to mount.
        since: i64,
    },
    /// It is as before again, most likely from this time on.
    Ended {
        /// When the evidence began to mount.
        since: i64,
    },
}

impl Cusum {
    /// One that alarms when the evidence exceeds `limit`.
    pub fn new(limit: f64) -> Self {
        Self { limit, state: State::Quiet, run: Run::default() }
    }

    /// Whether a change has begun and not ended.
    pub fn is_alarmed(&self) -> bool {
        self.state == State::Alarmed
    }

    /// Whether there is no evidence of anything.
    pub fn is_at_rest(&self) -> bool {
        self.run.sum <= 0.0
    }

    /// Adds evidence of a change; of the contrary when negative.
    pub fn add(&mut self, evidence: f64, at: i64) -> Option<Change> {
        let evidence = if self.is_alarmed() { -evidence } else { evidence };
        if self.is_at_rest() {
            self.run.since = at;
        }
        self.run.sum = (self.run.sum + evidence).max(0.0);
        if self.run.sum <= self.limit {
            return None;
        }
        let since = self.run.since;
        self.run = Run::default();
        let (next, change) = match self.state {
            State::Quiet => (State::Alarmed, Change::Began { since }),
            State::Alarmed => (State::Quiet, Change::Ended { since }),
        };
        self.state = next;
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Cusum};

    /// The changes that evidence makes, one piece a tick, with a limit of 3.
    fn changes(evidence: &[f64]) -> Vec<(i64, Change)> {
        let mut cusum = Cusum::new(3.0);
        let at = |(tick, &evidence): (usize, &f64)| (i64::try_from(tick).unwrap(), evidence);
        let all = evidence.iter().enumerate().map(at);
        all.filter_map(|(tick, evidence)| Some((tick, cusum.add(evidence, tick)?))).collect()
    }

    #[test]
    fn evidence_mounts_and_the_beginning_is_when_it_began_to() {
        let seen = changes(&[-1.0, -1.0, 1.0, 1.0, -0.5, 1.0, 1.0, 1.0]);
        assert_eq!(seen, [(6, Change::Began { since: 2 })]);
    }

    #[test]
    fn good_times_are_no_credit() {
        let mut evidence = vec![-1.0; 1_000];
        evidence.extend([1.5, 1.5, 1.5]);
        assert_eq!(changes(&evidence), [(1_002, Change::Began { since: 1_000 })]);
    }

    #[test]
    fn a_change_ends_as_it_began() {
        let seen = changes(&[4.0, 1.0, -2.0, 1.0, -2.0, -2.0, -1.0, 4.0]);
        let began = |since| Change::Began { since };
        assert_eq!(seen, [(0, began(0)), (5, Change::Ended { since: 2 }), (7, began(7))]);
    }
}
