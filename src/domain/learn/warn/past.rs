//! What is remembered of some calls: each of the last minutes, and each hour of a month.

use crate::domain::learn::formula::share::Share;

/// Minutes that are remembered: six hours.
pub const MINUTES: i64 = 360;

/// Hours that are: 30 days.
pub const HOURS: i64 = 720;

/// What the calls of a minute came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// Calls that were sent on and came to an end.
    pub ended: u32,
    /// Those that failed or timed out.
    pub failed: u32,
    /// Those that timed out.
    pub timed_out: u32,
    /// Calls that found no place at the upstream.
    pub turned_away: u32,
    /// The p95 of those that did not fail, in µs; none where they are too few to have one.
    pub p95_us: Option<u32>,
}

/// See the module docs. 14 KiB, whatever the traffic.
#[derive(Debug, Clone)]
pub struct Past {
    minutes: Ring<Minute>,
    /// Failures and calls.
    hours: Ring<(u32, u32)>,
}

/// The newest of some numbered values. Where nothing was put there is the default.
#[derive(Debug, Clone)]
struct Ring<T> {
    slots: Box<[T]>,
    /// The number behind the newest.
    next: i64,
}

impl Past {
    /// Nothing happened before this minute.
    pub fn before(minute: i64) -> Self {
        Self { minutes: Ring::new(MINUTES, minute), hours: Ring::new(HOURS, minute.div_euclid(60)) }
    }

    /// Adds what an hour before all minutes came to.
    pub fn add_hour(&mut self, hour: i64, failures: Share) {
        if let Some(slot) = self.hours.slot(hour) {
            slot.0 = slot.0.saturating_add(small(failures.hits));
            slot.1 = slot.1.saturating_add(small(failures.trials));
        }
    }

    /// Notes a minute, the next after those before, which counts for its hour too.
    pub fn add_minute(&mut self, at: i64, minute: Minute) {
        let failures = Share::new(minute.failed.into(), minute.ended.into());
        self.add_hour(at.div_euclid(60), failures);
        if let Some(slot) = self.minutes.slot(at) {
            *slot = minute;
        }
    }

    /// The minute behind the last.
    pub const fn next(&self) -> i64 {
        self.minutes.next
    }

    /// What a minute came to.
    pub fn minute(&self, at: i64) -> Minute {
        self.minutes.value(at)
    }

    /// How many failed of the calls of an hour.
    pub fn hour(&self, hour: i64) -> Share {
        let (failed, ended) = self.hours.value(hour);
        Share::new(failed.into(), ended.into())
    }

    /// How many failed of the calls of these hours, the second excluded.
    pub fn hours(&self, from: i64, to: i64) -> Share {
        (from..to).map(|hour| self.hour(hour)).fold(Share::default(), Share::plus)
    }

    /// How many failed of the calls of the last so many minutes; beyond six hours, of the last so
    /// many hours, of which the newest has just begun.
    pub fn last(&self, minutes: u32) -> Share {
        let minutes = i64::from(minutes);
        if minutes > MINUTES {
            let end = (self.next() - 1).div_euclid(60) + 1;
            return self.hours(end - minutes / 60, end);
        }
        self.failures(self.next() - minutes, self.next())
    }

    /// How many failed of the calls of these minutes, the second excluded.
    pub fn failures(&self, from: i64, to: i64) -> Share {
        let of = |minute: Minute| Share::new(minute.failed.into(), minute.ended.into());
        (from..to).map(|at| of(self.minute(at))).fold(Share::default(), Share::plus)
    }

    /// The p95 of the minutes from this one on that have one.
    pub fn p95_us(&self, from: i64) -> impl Iterator<Item = (i64, u64)> + '_ {
        (from.max(self.next() - MINUTES)..self.next())
            .filter_map(|at| Some((at, self.minute(at).p95_us?.into())))
    }
}

impl<T: Copy + Default> Ring<T> {
    fn new(len: i64, next: i64) -> Self {
        let len = usize::try_from(len).unwrap_or_default();
        Self { slots: vec![T::default(); len].into(), next }
    }

    fn at(&self, number: i64) -> usize {
        usize::try_from(number.rem_euclid(self.len())).unwrap_or_default()
    }

    const fn len(&self) -> i64 {
        self.slots.len() as i64
    }

    fn is_remembered(&self, number: i64) -> bool {
        (self.next - self.len()..self.next).contains(&number)
    }

    fn value(&self, number: i64) -> T {
        if self.is_remembered(number) { self.slots[self.at(number)] } else { T::default() }
    }

    /// Its slot, for which the oldest are forgotten; none for one that is older than these.
    fn slot(&mut self, number: i64) -> Option<&mut T> {
        for passed in self.next.max(number + 1 - self.len())..=number {
            let slot = self.at(passed);
            self.slots[slot] = T::default();
        }
        self.next = self.next.max(number + 1);
        let slot = self.at(number);
        self.is_remembered(number).then(|| &mut self.slots[slot])
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MINUTES, Minute, Past};
    use crate::domain::learn::formula::share::Share;

    fn minute(failed: u32, ended: u32) -> Minute {
        Minute { ended, failed, p95_us: Some(ended), ..Minute::default() }
    }

    #[test]
    fn minutes_are_added_up_and_the_oldest_are_forgotten() {
        let mut past = Past::before(600);
        (600..600 + MINUTES + 60).for_each(|at| past.add_minute(at, minute(1, 10)));
        assert_eq!(past.last(5), Share::new(5, 50));
        assert_eq!(past.last(360), Share::new(360, 3_600));
        assert_eq!(past.last(720), Share::new(420, 4_200), "hours are longer remembered");
        assert_eq!((past.minute(600), past.minute(2_000)), Default::default());
        assert_eq!(past.p95_us(0).count(), 360);
    }

    #[test]
    fn what_was_not_noted_was_nothing() {
        let mut past = Past::before(600);
        past.add_minute(600, minute(1, 10));
        past.add_minute(610, minute(2, 10));
        assert_eq!((past.last(10), past.last(11)), (Share::new(2, 10), Share::new(3, 20)));
        past.add_minute(10_000, minute(0, 1));
        assert_eq!((past.last(360), past.hour(10)), (Share::new(0, 1), Share::new(3, 20)));
    }

    #[test]
    fn hours_before_all_minutes_are_told() {
        let mut past = Past::before(6_000);
        past.add_hour(98, Share::new(1, 100));
        past.add_hour(98, Share::new(1, 100));
        past.add_hour(99, Share::new(3, 100));
        past.add_minute(6_000, minute(1, 10));
        assert_eq!(past.hours(90, 100), Share::new(5, 300));
        assert_eq!(past.last(4_320), Share::new(6, 310));
        past.add_hour(-10_000, Share::new(1, 1));
        assert_eq!(past.hour(-10_000), Share::default());
    }
}
