//! All watches over one operation: minutes in, claims out.

use std::time::Duration;

use super::{
    Signal,
    burn::burn,
    claim::Claim,
    cusum::Change,
    failures::{self, LIMIT_OF_FLEET, Rates},
    latency,
    past::{MINUTES, Minute, Past},
    season::{UNUSUAL, deviation},
    trend::approach,
};
use crate::domain::learn::formula::{share::Share, trend::median};

/// What an operation is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The share of calls that is to succeed over 30 days.
    pub objective: f64,
    /// The upstream's timeout, where it is known.
    pub timeout: Option<Duration>,
}

/// See the module docs.
#[derive(Debug, Clone)]
pub struct Operation {
    past: Past,
    failures: Option<Alarm<failures::Watch>>,
    latency: Option<Alarm<latency::Watch>>,
    standing: Vec<Standing>,
}

/// A watch, and since which minute it has been alarmed.
#[derive(Debug, Clone)]
struct Alarm<W> {
    watch: W,
    since: Option<i64>,
}

/// A claim, and the minute in which it was last made.
#[derive(Debug, Clone, Copy)]
struct Standing {
    claim: Claim,
    made: i64,
}

/// Calls of the last week without which no failure rate is usual.
const ENOUGH_CALLS: u64 = 100;

/// An alarm of so many minutes is held against what has become usual meanwhile: a day.
const USUAL_AFTER: i64 = 24 * 60;

/// How often, in minutes, what is usual is looked at anew.
const RENEWED: i64 = 60;

/// How often, in minutes, trends are.
const TREND_EVERY: i64 = 5;

/// Who reaches the timeout later than this is not told of, in hours.
const SOON: f64 = 24.0;

impl Operation {
    /// Nothing happened before this minute.
    pub fn before(minute: i64) -> Self {
        let (failures, latency) = (None, None);
        Self { past: Past::before(minute), failures, latency, standing: Vec::new() }
    }

    /// What is remembered of it.
    pub const fn past(&self) -> &Past {
        &self.past
    }

    /// What an hour before all minutes came to.
    pub fn add_hour(&mut self, hour: i64, failures: Share) {
        self.past.add_hour(hour, failures);
    }

    /// The next minute is over.
    pub fn add_minute(&mut self, at: i64, minute: Minute, terms: &Terms) {
        self.past.add_minute(at, minute);
        self.watch_failures(at, minute);
        self.watch_latency(at, minute);
        self.watch_budget(at, terms);
        if at.rem_euclid(TREND_EVERY) == TREND_EVERY - 1 {
            self.watch_trend(at, terms);
        }
        if at.rem_euclid(60) == 59 {
            self.watch_season(at);
        }
        self.standing.retain(|it| at - it.made < patience(it.claim.signal()));
    }

    /// What is to be said now.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.standing.iter().map(|standing| &standing.claim)
    }

    fn watch_failures(&mut self, at: i64, minute: Minute) {
        if is_due(self.failures.as_ref(), at, USUAL_AFTER) {
            let watch = |rates| Alarm::new(failures::Watch::new(rates, LIMIT_OF_FLEET));
            self.failures = self.usual_failures(at).map(Rates::after).map(watch);
        }
        let Some(alarm) = &mut self.failures else { return self.drop(Signal::Failures) };
        let share = Share::new(minute.failed.into(), minute.ended.into());
        if let Some(shift) = alarm.watch.record_minute(share, at) {
            alarm.since = match shift.change {
                Change::Began { since } => Some(since),
                Change::Ended { .. } => None,
            };
        }
        match alarm.since {
            None => self.drop(Signal::Failures),
            Some(since) => {
                let usual = alarm.watch.usual();
                let now = self.past.failures(since, at + 1).rate();
                self.keep(at, Claim::Failures { usual, now, since });
            }
        }
    }

    fn watch_latency(&mut self, at: i64, minute: Minute) {
        if is_due(self.latency.as_ref(), at, MINUTES) {
            let usual: Vec<u64> = self.past.p95_us(at - MINUTES).map(|(_, us)| us).collect();
            self.latency = latency::Watch::after(&usual).map(Alarm::new);
        }
        let Some(alarm) = &mut self.latency else { return self.drop(Signal::Latency) };
        let change = minute.p95_us.and_then(|us| alarm.watch.record(us.into(), at));
        if let Some(change) = change {
            alarm.since = match change {
                Change::Began { since } => Some(since),
                Change::Ended { .. } => None,
            };
        }
        let Some(since) = alarm.since else { return self.drop(Signal::Latency) };
        let usual_us = alarm.watch.usual_us();
        let now = self.past.p95_us(since).map(|(_, us)| us as f64);
        if let Some(now_us) = median(now) {
            self.keep(at, Claim::Latency { usual_us, now_us, since });
        }
    }

    fn watch_budget(&mut self, at: i64, terms: &Terms) {
        if let Some(burn) = burn(terms.objective, |minutes| self.past.last(minutes)) {
            self.keep(at, Claim::Budget { burn, allowed: 1.0 - terms.objective });
        }
    }

    fn watch_trend(&mut self, at: i64, terms: &Terms) {
        let Some(timeout) = terms.timeout else { return };
        let begins = at + 1 - MINUTES;
        let points = (begins..=at).step_by(5).filter_map(|from| {
            // The middle of the minutes' p95 is not the p95 of all, but heads where that does.
            let five = (from..from + 5).filter_map(|at| self.past.minute(at).p95_us);
            let middle = median(five.map(f64::from))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of u32s")]
            Some((from, middle as u64))
        });
        let points: Vec<_> = points.collect();
        let soon = approach(&points, timeout).filter(|approach| approach.hours.1 <= SOON);
        if let Some(approach) = soon {
            self.keep(at, Claim::Trend { approach, timeout });
        }
    }

    /// Judges the hour that is over.
    fn watch_season(&mut self, at: i64) {
        let hour = at.div_euclid(60);
        let calls = |hour| self.past.hour(hour).trials;
        let around = |week: i64| (-1..=1).map(move |step| hour - 7 * 24 * week + step);
        let earlier: Vec<f64> = (1..=4).flat_map(around).map(|hour| calls(hour) as f64).collect();
        let calls = calls(hour);
        let unusual = deviation(calls as f64, &earlier).filter(|&it| it >= UNUSUAL);
        if let Some(deviation) = unusual {
            let usual = self.usual_failures(at).unwrap_or_default();
            let worse = Rates::after(usual).worse();
            self.keep(at, Claim::Season { deviation, calls, worse });
        }
    }

    /// How many failed of a week's calls, the last hour left out, which may be what is unusual.
    fn usual_failures(&self, at: i64) -> Option<Share> {
        let hour = at.div_euclid(60);
        let usual = self.past.hours(hour - 7 * 24, hour - 1);
        (usual.trials >= ENOUGH_CALLS).then_some(usual)
    }

    /// Goes on saying it, in the words in which it was first said.
    fn keep(&mut self, at: i64, claim: Claim) {
        let same = |it: &&mut Standing| it.claim.signal() == claim.signal();
        match self.standing.iter_mut().find(same) {
            Some(standing) => standing.made = at,
            None => self.standing.push(Standing { claim, made: at }),
        }
    }

    fn drop(&mut self, signal: Signal) {
        self.standing.retain(|it| it.claim.signal() != signal);
    }
}

impl<W> Alarm<W> {
    const fn new(watch: W) -> Self {
        Self { watch, since: None }
    }
}

/// Whether what is usual is to be looked at anew: there was too little of it, or it is time. An alarm
/// is left alone for so many minutes, lest it call itself usual.
fn is_due<W>(alarm: Option<&Alarm<W>>, at: i64, usual_after: i64) -> bool {
    match alarm.map(|alarm| alarm.since) {
        None => at.rem_euclid(TREND_EVERY) == 0,
        Some(None) => at.rem_euclid(RENEWED) == 0,
        Some(Some(since)) => at - since >= usual_after,
    }
}

/// For so many minutes a claim is kept up that is not made again: those that hang on a threshold
/// would come and go otherwise.
const fn patience(signal: Signal) -> i64 {
    match signal {
        Signal::Failures | Signal::Latency => 1,
        Signal::Budget | Signal::Headroom | Signal::Saturation => 10,
        Signal::Trend => 3 * TREND_EVERY,
        Signal::Season => 60,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Claim, Minute, Operation, Signal, Terms};
    use crate::domain::learn::formula::share::Share;

    /// A Monday at noon.
    const NOON: i64 = 60 * (7 * 24 * 1_000 + 12);

    const TERMS: Terms = Terms { objective: 0.998, timeout: Some(Duration::from_secs(1)) };

    /// 100 calls a minute of about 100 ms, of which one in 1,000 fails, for four weeks.
    fn usual() -> Operation {
        let mut operation = Operation::before(NOON - 360);
        for hour in 1..=700_u32 {
            operation.add_hour(
                NOON / 60 - 6 - i64::from(hour),
                Share::new(6, 6_000 + 100 * u64::from(hour % 3)),
            );
        }
        run(&mut operation, NOON - 360, 360, |at| minute(u32::from(at % 10 == 0), at));
        operation
    }

    fn minute(failed: u32, at: i64) -> Minute {
        let ripple = u32::try_from(at * 7 % 11).unwrap();
        Minute { ended: 100, failed, p95_us: Some(95_000 + 1_000 * ripple), ..Minute::default() }
    }

    /// When each signal was first and last heard of in so many minutes.
    fn run(
        operation: &mut Operation,
        from: i64,
        minutes: i64,
        calls: impl Fn(i64) -> Minute,
    ) -> Vec<(Signal, i64, i64)> {
        let mut heard: Vec<(Signal, i64, i64)> = Vec::new();
        for at in from..from + minutes {
            operation.add_minute(at, calls(at), &TERMS);
            for signal in operation.claims().map(Claim::signal) {
                match heard.iter_mut().find(|it| it.0 == signal) {
                    Some(known) => known.2 = at - from,
                    None => heard.push((signal, at - from, at - from)),
                }
            }
        }
        heard
    }

    #[test]
    fn a_usual_day_says_nothing() {
        let mut operation = usual();
        let failing = |at: i64| minute(u32::from(at % 10 == 0), at);
        assert_eq!(run(&mut operation, NOON, 24 * 60, failing), []);
    }

    #[test]
    fn failures_that_rise_are_told_within_a_minute_until_they_are_over() {
        let mut operation = usual();
        let failing = |at: i64| minute(if at < NOON + 40 { 6 } else { 0 }, at);
        let heard = run(&mut operation, NOON, 120, failing);
        let (failures, first, last) = heard[0];
        assert_eq!((failures, first), (Signal::Failures, 0), "{heard:?}");
        assert!((40..45).contains(&last), "{heard:?}");
        let (budget, first, last) = heard[1];
        assert_eq!((budget, heard.len()), (Signal::Budget, 2), "{heard:?}");
        assert!((20..35).contains(&first) && (45..60).contains(&last), "{heard:?}");
    }

    #[test]
    fn the_claim_tells_since_when_and_does_not_change_its_words() {
        let mut operation = usual();
        run(&mut operation, NOON, 3, |at| minute(6, at));
        let first = operation.claims().next().copied().unwrap();
        let Claim::Failures { usual, now, since } = first else { panic!("{first:?}") };
        assert_eq!(since, NOON);
        assert!((usual - 0.002).abs() < 1e-9 && (now - 0.06).abs() < 1e-9, "{first:?}");
        run(&mut operation, NOON + 3, 10, |at| minute(60, at));
        assert_eq!(operation.claims().next(), Some(&first));
    }

    #[test]
    fn what_has_lasted_for_most_of_a_week_is_usual() {
        const DAY: i64 = 24 * 60;
        let mut operation = usual();
        let heard = run(&mut operation, NOON, 7 * DAY, |at| minute(6, at));
        let (_, first, last) = heard.iter().find(|it| it.0 == Signal::Failures).unwrap();
        assert_eq!(*first, 0);
        assert!((3 * DAY..6 * DAY).contains(last), "{heard:?}");
    }

    #[test]
    fn calls_that_take_longer_are_told_within_minutes() {
        let mut operation = usual();
        let slow = |at: i64| Minute { p95_us: Some(200_000), ..minute(0, at) };
        let heard = run(&mut operation, NOON, 30, slow);
        assert_eq!(heard, [(Signal::Latency, 2, 29)]);
        let Some(Claim::Latency { usual_us, now_us, since }) = operation.claims().next() else {
            panic!("it is told")
        };
        assert!((90_000.0..110_000.0).contains(usual_us) && *since == NOON);
        assert!((now_us - 200_000.0).abs() < 1.0);
    }

    #[test]
    fn a_latency_on_its_way_to_the_timeout_is_told_with_its_hours() {
        let mut operation = usual();
        let rising = |at: i64| {
            let hours = (at - NOON) as f64 / 60.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of µs")]
            let p95_us = Some((100_000.0 * (0.2 * hours).exp()) as u32);
            Minute { p95_us, ..minute(0, at) }
        };
        let heard = run(&mut operation, NOON, 360, rising);
        assert!(heard.iter().any(|it| it.0 == Signal::Trend), "{heard:?}");
    }

    #[test]
    fn an_hour_with_many_more_calls_than_in_other_weeks_is_told_for_an_hour() {
        let mut operation = usual();
        let rush = |at: i64| {
            let ended = if at < NOON + 60 { 400 } else { 100 };
            Minute { ended, ..minute(0, at) }
        };
        assert_eq!(run(&mut operation, NOON, 180, rush), [(Signal::Season, 59, 118)]);
    }

    #[test]
    fn without_a_past_nothing_is_unusual() {
        let mut operation = Operation::before(NOON);
        let heard = run(&mut operation, NOON, 20, |at| minute(60, at));
        assert!(heard.iter().all(|it| it.0 == Signal::Budget), "{heard:?}");
    }
}
