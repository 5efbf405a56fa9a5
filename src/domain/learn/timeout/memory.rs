//! What a learned timeout remembers: the last minutes as they were, the last day fading.
//!
//! The last quarter of an hour alone would forget at night what calls take by day; the day alone
//! would take hours to believe that an upstream has become slower. So both are asked, and the
//! longer answer counts.

use std::{collections::VecDeque, time::Duration};

use crate::domain::learn::{
    formula::survival::{Survival, upper_share},
    histogram::{Histogram, end_of},
};

/// Minutes that are kept as they were.
const RECENT: usize = 15;

/// Minutes after which an older one counts half: a day ago it counts 1/64.
const HALF_LIFE: f64 = 240.0;

/// How long calls took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durations {
    /// Those that came to their end.
    pub ended: Histogram,
    /// How long those had taken that were cut short: by a timeout, the caller's deadline, or the
    /// caller going away.
    pub cut: Histogram,
}

/// What the calls so far say of how long it takes until almost all have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimate {
    /// No longer than this, with 95 % confidence.
    Known(Duration),
    /// There are too few calls to tell.
    TooFew,
    /// So many were cut short that it cannot be seen.
    Hidden,
}

/// Durations by minute, the older ones fading.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    recent: VecDeque<Durations>,
    fading: Survival,
}

impl Memory {
    /// Adds the next minute; one without calls too, for time passes. Minutes of an incident are
    /// left out by whoever knows of it.
    pub fn push(&mut self, minute: Durations) {
        self.fading.fade((-1.0 / HALF_LIFE).exp2());
        self.recent.push_back(minute);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            add(&mut self.fading, &oldest);
        }
    }

    /// How long it takes until a share `q` of the calls has ended, at most.
    pub fn estimate(&self, q: f64) -> Estimate {
        let mut lately = Survival::default();
        self.recent.iter().for_each(|minute| add(&mut lately, minute));
        let mut all = self.fading.clone();
        self.recent.iter().for_each(|minute| add(&mut all, minute));
        match (bound(&lately, q), bound(&all, q)) {
            (Estimate::Known(a), Estimate::Known(b)) => Estimate::Known(a.max(b)),
            (Estimate::TooFew, all) => all,
            (Estimate::Hidden, _) | (_, Estimate::Hidden) => Estimate::Hidden,
            (known, Estimate::TooFew) => known,
        }
    }
}

fn add(survival: &mut Survival, durations: &Durations) {
    durations.ended.bins().for_each(|(bin, calls)| survival.ended(bin, calls as f64));
    durations.cut.bins().for_each(|(bin, calls)| survival.cut(bin, calls as f64));
}

/// The upper confidence bound of the `q` quantile.
fn bound(survival: &Survival, q: f64) -> Estimate {
    let Some(share) = upper_share(q, survival.count()) else { return Estimate::TooFew };
    survival
        .quantile(share)
        .map_or(Estimate::Hidden, |bin| Estimate::Known(Duration::from_micros(end_of(bin))))
}

#[cfg(test)]
mod tests {
    use super::{Durations, Estimate, Memory};
    use std::time::Duration;

    fn minute(calls: u64, ms: u64) -> Durations {
        let mut durations = Durations::default();
        durations.ended.record_many(ms * 1_000, calls);
        durations
    }

    fn known(memory: &Memory) -> Duration {
        match memory.estimate(0.995) {
            Estimate::Known(longest) => longest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn few_calls_a_minute_are_enough_after_some_hours() {
        let mut memory = Memory::default();
        let minutes = (1..=600).find(|_| {
            memory.push(minute(5, 20));
            memory.estimate(0.995) != Estimate::TooFew
        });
        assert!((120..240).contains(&minutes.unwrap()), "{minutes:?}");
    }

    #[test]
    fn becoming_slower_is_believed_within_minutes_and_becoming_faster_after_a_day() {
        let mut memory = Memory::default();
        (0..600).for_each(|_| memory.push(minute(500, 20)));
        (0..3).for_each(|_| memory.push(minute(500, 60)));
        assert!(known(&memory) >= Duration::from_millis(60));
        (0..60).for_each(|_| memory.push(minute(500, 20)));
        assert!(known(&memory) >= Duration::from_millis(60));
        (0..1_440).for_each(|_| memory.push(minute(500, 20)));
        assert!(known(&memory) < Duration::from_millis(25));
    }

    #[test]
    fn the_estimate_is_never_below_what_calls_took() {
        let mut memory = Memory::default();
        memory.push(minute(10_000, 777));
        let longest = known(&memory);
        assert!(longest >= Duration::from_millis(777) && longest < Duration::from_millis(815));
    }
}
