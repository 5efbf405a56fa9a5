//! Learned timeouts: how long it is worth waiting.
//!
//! Long enough that hardly any call is cut that would have ended well, short enough that a hanging
//! upstream is noticed. Calls that were cut say only that they take longer; counted as anything
//! else they would teach the timeout to cut ever more, so the estimate knows them as cut
//! ([`Memory`]). It is an upper bound of the quantile, times a margin.

mod memory;
mod outlook;

use std::time::Duration;

pub use memory::{Durations, Estimate, Memory};
pub use outlook::{Outlook, outlook};

use super::formula::share::Share;

/// So many calls are needed before the share of cut ones is acted on.
const ENOUGH: u64 = 50;

/// A timeout falls by at most this factor a step. It rises at once.
const SLOWLY: f64 = 0.9;

/// What a learned timeout keeps to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The share of calls that must fit. Default 0.995.
    pub quantile: f64,
    /// How many times longer than that to wait. Default 1.5.
    pub safety: f64,
    /// Never shorter than this. Default 500 ms.
    pub floor: Duration,
    /// Never longer than this, and this where nothing is known. Default 60 s.
    pub ceiling: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quantile: 0.995,
            safety: 1.5,
            floor: Duration::from_millis(500),
            ceiling: Duration::from_secs(60),
        }
    }
}

/// What is done with a learned timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is shown.
    Observe,
    /// It may lengthen the configured one, up to the ceiling.
    Widen,
}

impl Mode {
    /// The timeout in force. Widening needs evidence: too few calls are none.
    pub fn in_force(self, configured: Duration, learned: &Learned, policy: &Policy) -> Duration {
        match (self, learned.estimate) {
            (Self::Observe, _) | (Self::Widen, Estimate::TooFew) => configured,
            (Self::Widen, Estimate::Known(_) | Estimate::Hidden) => {
                configured.max(learned.timeout.min(policy.ceiling))
            }
        }
    }
}

/// A timeout as it is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    timeout: Duration,
    estimate: Estimate,
    /// Calls since the share of cut ones was last acted on, and how many were cut.
    waiting: Share,
}

impl Learned {
    /// Begins with a timeout, before anything is known.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, estimate: Estimate::TooFew, waiting: Share::new(0, 0) }
    }

    /// The timeout now.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What it rests on.
    pub const fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// Learns from another minute: what is remembered, and the share of its calls that were cut by
    /// this timeout. When that is more than twice what was aimed at, the timeout doubles, whatever
    /// the memory says: it may be of better times.
    pub fn step(&mut self, memory: &Memory, cut: Share, policy: &Policy) -> Duration {
        // From what is only the ceiling, for want of calls, it need not come down slowly.
        let is_first = self.estimate == Estimate::TooFew && self.timeout >= policy.ceiling;
        self.estimate = memory.estimate(policy.quantile);
        let mut aim = match self.estimate {
            Estimate::Known(longest) => longest.mul_f64(policy.safety),
            Estimate::TooFew | Estimate::Hidden => policy.ceiling,
        };
        self.waiting = self.waiting.plus(cut);
        if self.waiting.trials >= ENOUGH {
            if self.waiting.rate() > 2.0 * (1.0 - policy.quantile) {
                aim = aim.max(self.timeout * 2);
            }
            self.waiting = Share::default();
        }
        let slowly = if is_first { aim } else { self.timeout.mul_f64(SLOWLY) };
        self.timeout = aim.max(slowly).clamp(policy.floor, policy.ceiling.max(policy.floor));
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::{Durations, Estimate, Learned, Memory, Mode, Policy};
    use crate::domain::learn::formula::share::Share;
    use std::time::Duration;

    const CONFIGURED: Duration = Duration::from_secs(5);

    /// A minute of calls that end after `ms`, and of calls cut at `cut_ms`.
    fn minute(ended: u64, ms: u64, cut: u64, cut_ms: u64) -> Durations {
        let mut durations = Durations::default();
        durations.ended.record_many(ms * 1_000, ended);
        durations.cut.record_many(cut_ms * 1_000, cut);
        durations
    }

    fn after(minutes: u32, each: &Durations) -> Learned {
        let policy = Policy::default();
        let (mut memory, mut learned) = (Memory::default(), Learned::new(CONFIGURED));
        for _ in 0..minutes {
            memory.push(each.clone());
            let (cut, ended) = (each.cut.count(), each.ended.count());
            learned.step(&memory, Share::new(cut, cut + ended), &policy);
        }
        learned
    }

    #[test]
    fn fast_calls_bring_it_down_to_the_floor_and_no_further() {
        let learned = after(100, &minute(1_000, 20, 0, 0));
        assert_eq!(learned.timeout(), Policy::default().floor);
    }

    #[test]
    fn it_is_the_ceiling_while_too_few_calls_are_known() {
        let learned = after(1, &minute(100, 20, 0, 0));
        assert_eq!(learned.estimate(), Estimate::TooFew);
        assert_eq!(learned.timeout(), Policy::default().ceiling);
    }

    #[test]
    fn it_is_the_ceiling_where_cuts_hide_how_long_calls_take() {
        let learned = after(10, &minute(1_000, 20, 50, 5_000));
        assert_eq!(learned.estimate(), Estimate::Hidden);
        assert_eq!(learned.timeout(), Policy::default().ceiling);
    }

    #[test]
    fn it_falls_by_a_tenth_a_minute_at_most() {
        let fast = minute(1_000, 20, 0, 0);
        assert_eq!(after(1, &fast).timeout(), CONFIGURED.mul_f64(0.9));
        assert_eq!(after(2, &fast).timeout(), CONFIGURED.mul_f64(0.9).mul_f64(0.9));
    }

    #[test]
    fn widening_never_shortens_and_needs_evidence() {
        let policy = Policy::default();
        let in_force = |mode: Mode, learned: &Learned| mode.in_force(CONFIGURED, learned, &policy);
        let fast = after(100, &minute(1_000, 20, 0, 0));
        let unknown = after(1, &minute(10, 20, 0, 0));
        let slow = after(10, &minute(1_000, 8_000, 0, 0));
        assert_eq!(in_force(Mode::Widen, &fast), CONFIGURED);
        assert_eq!(in_force(Mode::Widen, &unknown), CONFIGURED);
        assert!(in_force(Mode::Widen, &slow) > Duration::from_secs(12));
        assert_eq!(in_force(Mode::Observe, &slow), CONFIGURED);
    }
}
