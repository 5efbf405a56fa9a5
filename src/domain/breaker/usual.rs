//! How long answers of an upstream take as a rule: what a long wait is measured by.
//!
//! A report that takes ten seconds hangs no sooner than after twice that; an upstream that answers in
//! milliseconds is silent much earlier. The slowest answer of the last half hour to hour is the
//! measure, for it costs one comparison per answer, and errs towards waiting.

use std::time::{Duration, Instant};

/// How long an answer is remembered at least; at most twice that.
const REMEMBERED: Duration = Duration::from_secs(1_800);

/// Fewer answers than this tell nothing about the next.
const FEW: u32 = 5;

/// A call that waits so many times longer than the slowest answer took is no slow one.
const FAR_BEYOND: u32 = 2;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usual {
    answers: u32,
    /// Since when `slowest` is counted.
    began: Instant,
    slowest: Duration,
    /// Of the time before that.
    slowest_before: Duration,
}

impl Usual {
    pub(super) const fn new(now: Instant) -> Self {
        let (slowest, slowest_before) = (Duration::ZERO, Duration::ZERO);
        Self { answers: 0, began: now, slowest, slowest_before }
    }

    /// An answer came after so long.
    pub(super) fn note(&mut self, latency: Duration, now: Instant) {
        if now.saturating_duration_since(self.began) >= REMEMBERED {
            self.slowest_before = std::mem::take(&mut self.slowest);
            self.began = now;
        }
        self.slowest = self.slowest.max(latency);
        self.answers = self.answers.saturating_add(1);
    }

    /// What the slowest answer took lately.
    pub(super) fn slowest(&self) -> Duration {
        self.slowest.max(self.slowest_before)
    }

    /// How long a call waits until it hangs, when that is after `least` at least. None while too
    /// little is known.
    pub(super) fn hangs_after(&self, least: Duration) -> Option<Duration> {
        let far_beyond = self.slowest().saturating_mul(FAR_BEYOND);
        (self.answers >= FEW).then(|| far_beyond.max(least))
    }

    /// How long a call has waited at least that hung when it was given up. Its caller is the judge
    /// of what is too long, unless others have waited as long and were answered.
    pub(super) fn hung_after(&self, least: Duration) -> Duration {
        self.slowest().max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::Usual;
    use crate::clock;
    use std::time::Duration;

    const S: Duration = Duration::from_secs(1);

    /// After answers at these seconds that took so many.
    fn usual(answers: &[(u32, u32)]) -> Usual {
        let began = clock::now();
        let mut usual = Usual::new(began);
        answers.iter().for_each(|&(at, took)| usual.note(took * S, began + at * S));
        usual
    }

    #[test]
    fn few_answers_tell_nothing() {
        assert_eq!(usual(&[(0, 1); 4]).hangs_after(2 * S), None);
        assert_eq!(usual(&[(0, 1); 5]).hangs_after(2 * S), Some(2 * S));
        assert_eq!(usual(&[]).hung_after(2 * S), 2 * S, "whoever gives up can tell");
    }

    #[test]
    fn the_slowest_answer_is_the_measure() {
        let usual = usual(&[(0, 0), (1, 8), (9, 0), (10, 0), (11, 0)]);
        assert_eq!((usual.hangs_after(2 * S), usual.hung_after(2 * S)), (Some(16 * S), 8 * S));
    }

    #[test]
    fn an_answer_is_forgotten_after_half_an_hour_to_an_hour() {
        let fast = |at: &[u32]| at.iter().map(|&at| (at, 0)).collect::<Vec<_>>();
        for (later, slowest) in
            [(&[1_799][..], 8), (&[1_800], 8), (&[1_800, 3_599], 8), (&[1_800, 3_600], 0)]
        {
            let answers = [vec![(0, 8); 5], fast(later)].concat();
            assert_eq!(usual(&answers).slowest(), slowest * S, "{later:?}");
        }
        assert_eq!(usual(&[(0, 8), (90_000, 0)]).slowest(), 8 * S, "nothing newer was known");
    }
}
