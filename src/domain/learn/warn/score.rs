//! What became of warnings: each is held against what happened.
//!
//! A warning comes true when its event begins within its horizon. The score of a signal is shown
//! with its warnings, and a signal that is mostly wrong falls silent.

use crate::domain::learn::formula::{share::Share, trend::median};

/// Warnings that must be decided before a signal is judged.
const ENOUGH: usize = 20;

/// A signal that is right less often than this is silent.
const MOSTLY: f64 = 0.5;

/// A warning of one signal. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warning {
    /// When it was made.
    pub made_at: i64,
    /// How far ahead it looked.
    pub horizon: i64,
    /// How likely it called itself.
    pub probability: f64,
}

/// What became of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its horizon has not passed.
    Pending,
    /// It came true, so long after it was made.
    True {
        /// Seconds.
        lead: i64,
    },
    /// It did not.
    False,
}

/// How good the warnings of a signal were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Warnings that were decided.
    pub decided: usize,
    /// The share of these that came true; none when none was.
    pub precision: Option<f64>,
    /// The share of events that were warned of; none when there were none.
    pub recall: Option<f64>,
    /// The median seconds from a warning that came true to its event.
    pub lead: Option<f64>,
    /// The mean square of what was said less what happened; 0 is best.
    ///
    /// Source: G. W. Brier, *Verification of forecasts expressed in terms of probability*, Monthly
    /// Weather Review 78 (1950).
    pub brier: Option<f64>,
}

impl Warning {
    /// Whether an event at this time makes it true.
    pub fn covers(&self, at: i64) -> bool {
        (self.made_at..=self.made_at + self.horizon).contains(&at)
    }

    /// What became of it, given when events began.
    pub fn fate(&self, events: &[i64], now: i64) -> Fate {
        let until = self.made_at + self.horizon;
        let first = events.iter().filter(|&&at| self.covers(at)).min();
        match first {
            Some(at) => Fate::True { lead: at - self.made_at },
            None if now <= until => Fate::Pending,
            None => Fate::False,
        }
    }
}

impl Score {
    /// The score of a signal's warnings, given when events began.
    pub fn of(warnings: &[Warning], events: &[i64], now: i64) -> Self {
        let fates = warnings.iter().map(|w| (w.probability, w.fate(events, now)));
        let warned = events.iter().filter(|&&at| warnings.iter().any(|w| w.covers(at)));
        let warned = Share::new(warned.count() as u64, events.len() as u64);
        Self::tally(fates, warned)
    }

    /// The score of warnings with what they called themselves and what became of them, and of how
    /// many events some warned.
    pub fn tally(fates: impl IntoIterator<Item = (f64, Fate)>, warned: Share) -> Self {
        let decided: Vec<(f64, Fate)> =
            fates.into_iter().filter(|(_, fate)| *fate != Fate::Pending).collect();
        let leads: Vec<i64> = decided.iter().filter_map(|(_, fate)| fate.lead()).collect();
        let square = |(p, fate): &(f64, Fate)| {
            let came = if fate.lead().is_some() { 1.0 } else { 0.0 };
            (p - came) * (p - came)
        };
        Self {
            decided: decided.len(),
            precision: part(leads.len() as f64, decided.len()),
            recall: (warned.trials > 0).then(|| warned.rate()),
            brier: part(decided.iter().map(square).sum(), decided.len()),
            lead: median(leads.into_iter().map(|lead| lead as f64)),
        }
    }

    /// How likely the next warning is to come true: as those before were, drawn towards one half
    /// while they are few.
    pub fn expectation(&self) -> f64 {
        let came_true = self.precision.unwrap_or_default() * self.decided as f64;
        (came_true + 1.0) / (self.decided as f64 + 2.0)
    }

    /// Whether the signal is wrong so often that it is to be silent.
    pub fn is_muted(&self) -> bool {
        self.decided >= ENOUGH && self.precision.is_some_and(|precision| precision < MOSTLY)
    }
}

impl Fate {
    const fn lead(self) -> Option<i64> {
        match self {
            Self::True { lead } => Some(lead),
            Self::Pending | Self::False => None,
        }
    }
}

fn part(sum: f64, of: usize) -> Option<f64> {
    (of > 0).then(|| sum / of as f64)
}

#[cfg(test)]
mod tests {
    use super::{Fate, Score, Warning};

    const HOUR: i64 = 3_600;

    fn warning(made_at: i64, probability: f64) -> Warning {
        Warning { made_at, horizon: HOUR, probability }
    }

    #[test]
    fn a_warning_is_pending_until_its_event_comes_or_its_horizon_passes() {
        let warning = warning(100, 0.8);
        assert_eq!(warning.fate(&[], 100 + HOUR), Fate::Pending);
        assert_eq!(warning.fate(&[99, 160, 400], 200), Fate::True { lead: 60 });
        assert_eq!(warning.fate(&[99, 101 + HOUR], 101 + HOUR), Fate::False);
    }

    #[test]
    fn a_score_tells_how_often_how_early_and_how_surely() {
        let warnings = [warning(0, 0.9), warning(10_000, 0.6), warning(99_000, 0.5)];
        let score = Score::of(&warnings, &[1_800, 50_000], 99_001);
        assert_eq!((score.decided, score.precision, score.recall), (2, Some(0.5), Some(0.5)));
        assert_eq!(score.lead, Some(1_800.0));
        let brier = (0.1_f64.powi(2) + 0.6_f64.powi(2)) / 2.0;
        assert!((score.brier.unwrap() - brier).abs() < 1e-12);
    }

    #[test]
    fn a_signal_that_is_mostly_wrong_falls_silent_once_it_has_been_tried() {
        let warnings: Vec<_> = (0..20).map(|at| warning(at * 10_000, 0.9)).collect();
        let events: Vec<i64> = (0..9).map(|at| at * 10_000 + 60).collect();
        assert!(Score::of(&warnings, &events, 1_000_000).is_muted());
        assert!(!Score::of(&warnings[..19], &events, 1_000_000).is_muted());
        let more: Vec<i64> = (0..10).map(|at| at * 10_000 + 60).collect();
        assert!(!Score::of(&warnings, &more, 1_000_000).is_muted());
    }

    #[test]
    fn the_next_warning_is_as_likely_as_those_before_came_true() {
        let of =
            |decided, precision| Score { decided, precision, ..Score::default() }.expectation();
        for (decided, precision, expected) in
            [(0, None, 0.5), (1, Some(1.0), 2.0 / 3.0), (98, Some(0.5), 0.5), (18, Some(1.0), 0.95)]
        {
            assert!((of(decided, precision) - expected).abs() < 1e-12, "{decided}");
        }
    }

    #[test]
    fn without_warnings_there_is_no_score() {
        let score = Score::of(&[], &[], 0);
        assert_eq!((score.precision, score.recall, score.brier), (None, None, None));
        assert!(!score.is_muted());
    }
}
