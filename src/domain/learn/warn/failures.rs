//! "Failures rose from 0.4 % to 6 %, since 14:02": a change of the failure rate, call by call.

use super::cusum::{Change, Cusum};
use crate::domain::learn::formula::share::Share;

/// The evidence at which one sidecar alarms.
pub const LIMIT_OF_INSTANCE: f64 = 7.0;

/// The evidence at which a whole fleet does, which sees more calls.
pub const LIMIT_OF_FLEET: f64 = 9.0;

/// A minute counts for no more calls than this, which are plenty to tell a change by.
const MOST_OF_A_MINUTE: u64 = 2_000;

/// Failure rates: the usual one, and one that is worth an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    usual: f64,
    worse: f64,
}

impl Rates {
    /// The usual rate of these calls, which is never taken for lower than 0.2 %: that an upstream
    /// has not failed lately does not make its next failure an event. Worth an alarm is three
    /// times that, and at least five points more.
    pub fn after(usual: Share) -> Self {
        let usual = usual.rate().clamp(0.002, 0.9);
        Self { usual, worse: (3.0 * usual).max(usual + 0.05).min(0.95) }
    }

    /// The rate that is worth an alarm.
    pub const fn worse(&self) -> f64 {
        self.worse
    }

    /// The evidence of one call that the rate is worse than usual.
    fn evidence(&self, failed: bool) -> f64 {
        if failed {
            (self.worse / self.usual).ln()
        } else {
            ((1.0 - self.worse) / (1.0 - self.usual)).ln()
        }
    }
}

/// Watches the calls of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    rates: Rates,
    cusum: Cusum,
    /// Calls since there was last no evidence.
    lately: Share,
}

/// The failure rate has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// What changed, and when.
    pub change: Change,
    /// The usual rate.
    pub usual: f64,
    /// The failures since then.
    pub lately: Share,
}

impl Watch {
    /// Watches for a change from the usual; `limit` is [`LIMIT_OF_INSTANCE`] or
    /// [`LIMIT_OF_FLEET`].
    pub fn new(rates: Rates, limit: f64) -> Self {
        Self { rates, cusum: Cusum::new(limit), lately: Share::default() }
    }

    /// Whether failures are more frequent than usual.
    pub fn is_alarmed(&self) -> bool {
        self.cusum.is_alarmed()
    }

    /// The usual rate.
    pub const fn usual(&self) -> f64 {
        self.rates.usual
    }

    /// A minute ended, in which so many calls failed. In which order is not known: they are taken to
    /// have come evenly. The last change of the minute counts.
    pub fn record_minute(&mut self, failures: Share, at: i64) -> Option<Shift> {
        let calls = failures.trials.min(MOST_OF_A_MINUTE);
        let scaled = u128::from(failures.hits) * u128::from(calls);
        let failed = scaled / u128::from(failures.trials.max(1));
        let before = |call: u64| failed * u128::from(call) / u128::from(calls);
        let mut last = None;
        for call in 0..calls {
            let failed = before(call + 1) > before(call);
            last = self.record(failed, at).or(last);
        }
        last
    }

    /// A call ended.
    pub fn record(&mut self, failed: bool, at: i64) -> Option<Shift> {
        if self.cusum.is_at_rest() {
            self.lately = Share::default();
        }
        self.lately = self.lately.plus(Share::new(u64::from(failed), 1));
        let change = self.cusum.add(self.rates.evidence(failed), at)?;
        Some(Shift { change, usual: self.rates.usual, lately: self.lately })
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT_OF_FLEET, LIMIT_OF_INSTANCE, Rates, Watch};
    use crate::domain::learn::{formula::share::Share, warn::cusum::Change};

    #[test]
    fn an_outage_is_noticed_after_a_few_failures_and_so_is_its_end() {
        let mut watch = Watch::new(Rates::after(Share::new(20, 1_000)), LIMIT_OF_INSTANCE);
        assert!((0..100).all(|at| watch.record(false, at).is_none()));
        let began = (100..).find_map(|at| Some((at, watch.record(true, at)?))).unwrap();
        assert_eq!((began.0, began.1.change), (105, Change::Began { since: 100 }));
        assert_eq!((began.1.lately.hits, began.1.lately.trials), (6, 6));
        let ended = (106..).find_map(|at| Some((at, watch.record(false, at)?))).unwrap();
        assert_eq!(ended.1.change, Change::Ended { since: 106 });
        assert!((200..300).contains(&ended.0), "{}", ended.0);
    }

    #[test]
    fn a_minute_counts_as_its_calls_and_a_crowded_one_as_some_of_them() {
        let rates = Rates::after(Share::new(20, 1_000));
        for (minute, alarms) in [
            (Share::new(5, 100), false),
            (Share::new(30, 100), true),
            (Share::new(100_000, 5_000_000), false),
            (Share::new(1_500_000, 5_000_000), true),
            (Share::new(0, 0), false),
        ] {
            let mut watch = Watch::new(rates, LIMIT_OF_FLEET);
            let shift = watch.record_minute(minute, 7);
            assert_eq!(shift.is_some(), alarms, "{minute:?}");
            assert!(shift.is_none_or(|shift| shift.change == Change::Began { since: 7 }));
        }
    }

    #[test]
    fn the_usual_failures_are_no_event() {
        let mut watch = Watch::new(Rates::after(Share::new(20, 1_000)), LIMIT_OF_INSTANCE);
        assert!((0..100_000).all(|at| watch.record(at % 50 == 0, at).is_none()));
    }
}
