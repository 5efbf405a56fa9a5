//! What makes a warning come true.
//!
//! Each signal is held to something that would have hurt: failures that go on, timeouts, calls that
//! find no place; and every signal to its upstream's breaker, whose opening nobody may dispute. What
//! is looked at begins after the warning: that it was right about the past is no merit.

use super::{
    Signal,
    past::{Minute, Past},
    score::{Fate, Warning},
};
use crate::domain::learn::formula::{share::Share, trend::median};

/// Minutes that are looked at together.
const WINDOW: i64 = 5;

/// Calls in these below which a share says nothing.
const ENOUGH: u64 = 10;

/// Minutes with a p95 without which there is none to speak of.
const ENOUGH_MINUTES: usize = 3;

/// In five minutes on end, all after the warning:
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// More than this share of the calls fail.
    Failing(f64),
    /// The p95, in µs, is at least this.
    Slow(f64),
    /// More than this share of the calls time out.
    TimingOut(f64),
    /// More than this share of the calls find no place.
    TurnedAway(f64),
}

impl Event {
    /// What a signal is held to, given its bar.
    pub const fn of(signal: Signal, bar: f64) -> Self {
        match signal {
            Signal::Failures | Signal::Budget | Signal::Season => Self::Failing(bar),
            Signal::Latency | Signal::Trend => Self::Slow(bar),
            Signal::Headroom => Self::TimingOut(bar),
            Signal::Saturation => Self::TurnedAway(bar),
        }
    }

    /// What became of a warning, as far as `past` reaches; `openings` are the seconds at which the
    /// breaker opened. None of them counts before it was made.
    pub fn fate(self, warning: &Warning, past: Option<&Past>, openings: &[i64], now: i64) -> Fate {
        let mut events = openings.to_vec();
        events.extend(past.and_then(|past| self.first(warning.made_at, past)));
        warning.fate(&events, now)
    }

    /// When it first happened after a second.
    fn first(self, after: i64, past: &Past) -> Option<i64> {
        let first = after.div_euclid(60) + 1;
        let windows = first..=past.next() - WINDOW;
        let begins = windows.into_iter().find(|&begins| self.is_in(past, begins))?;
        Some((begins + WINDOW) * 60)
    }

    fn is_in(self, past: &Past, begins: i64) -> bool {
        let minutes = || (begins..begins + WINDOW).map(|at| past.minute(at));
        let share = |part: fn(Minute) -> (u32, u32)| {
            let parts = minutes().map(part).map(|(hits, all)| Share::new(hits.into(), all.into()));
            parts.fold(Share::default(), Share::plus)
        };
        let exceeds = |share: Share, bar| share.trials >= ENOUGH && share.rate() > bar;
        match self {
            Self::Failing(bar) => exceeds(share(|it| (it.failed, it.ended)), bar),
            Self::TimingOut(bar) => exceeds(share(|it| (it.timed_out, it.ended)), bar),
            Self::TurnedAway(bar) => {
                exceeds(share(|it| (it.turned_away, it.turned_away.saturating_add(it.ended))), bar)
            }
            Self::Slow(bar) => {
                let p95: Vec<f64> = minutes().filter_map(|it| it.p95_us).map(f64::from).collect();
                p95.len() >= ENOUGH_MINUTES && median(p95).is_some_and(|middle| middle >= bar)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Fate, Minute, Past, Signal, Warning};

    /// A warning in the middle of minute 100, and minutes from 90 on, a character each.
    fn fate(signal: Signal, bar: f64, minutes: &str, openings: &[i64]) -> Fate {
        let mut past = Past::before(90);
        for (at, minute) in (90..).zip(minutes.chars()) {
            let (failed, timed_out, turned_away, p95_us) = match minute {
                'f' => (50, 0, 0, Some(1_000)),
                't' => (50, 50, 0, Some(9_000)),
                'a' => (0, 0, 20, Some(1_000)),
                's' => (0, 0, 0, Some(5_000)),
                _ => (0, 0, 0, Some(1_000)),
            };
            past.add_minute(at, Minute { ended: 100, failed, timed_out, turned_away, p95_us });
        }
        let warning = Warning { made_at: 100 * 60 + 30, horizon: 1_200, probability: 0.5 };
        Event::of(signal, bar).fate(&warning, Some(&past), openings, past.next() * 60)
    }

    #[test]
    fn each_signal_is_held_to_what_it_is_about() {
        use Signal::{Budget, Failures, Headroom, Latency, Saturation, Trend};
        let came = |minute: i64| Fate::True { lead: (minute + 5) * 60 - 6_030 };
        for (signal, bar, minutes, expected) in [
            (Failures, 0.3, "............fffff", came(101)),
            (Failures, 0.3, "fffffffffff........................", Fate::False),
            (Failures, 0.6, "fffffffffffffffffffffffffffffffffff", Fate::False),
            (Budget, 0.01, "................................f...", Fate::False),
            (Headroom, 0.01, "...........fffff.ttttt", came(103)),
            (Latency, 4_000.0, "...........s.s.s.s.s.s", came(101)),
            (Trend, 4_000.0, "...........s...s...s..", Fate::Pending),
            (Saturation, 0.0, "...........fffff..a...", came(104)),
        ] {
            assert_eq!(fate(signal, bar, minutes, &[]), expected, "{signal:?} {minutes}");
        }
    }

    #[test]
    fn a_breaker_that_opens_makes_every_warning_true_and_one_that_had_opened_none() {
        for signal in Signal::ALL {
            let lead = 90;
            assert_eq!(fate(signal, 0.99, "......", &[6_120, 6_300]), Fate::True { lead });
            assert_eq!(fate(signal, 0.99, "......", &[6_029]), Fate::Pending);
        }
    }
}
