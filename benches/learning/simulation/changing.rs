//! Calls and minutes through change detection: how long until a false alarm, how long until a true
//! one.

use std::time::Duration;

use fusebox::domain::learn::{
    formula::share::Share,
    warn::{
        failures::{Rates, Watch},
        latency, season,
        trend::{Approach, approach},
    },
};

use super::random::Random;

/// Calls that usually fail at a rate, and a limit of evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing {
    /// Failures per thousand calls.
    pub(crate) usual_permille: u64,
    pub(crate) limit: f64,
}

impl Failing {
    fn watch(&self) -> Watch {
        Watch::new(Rates::after(Share::new(self.usual_permille, 1_000)), self.limit)
    }

    fn usual(&self) -> f64 {
        self.usual_permille as f64 / 1_000.0
    }

    /// Calls until an alarm although nothing changed; at most `until`.
    pub(crate) fn false_alarm(&self, until: i64, random: &mut Random) -> i64 {
        let mut watch = self.watch();
        let alarm =
            (1..=until).find(|&at| watch.record(random.happens(self.usual()), at).is_some());
        alarm.unwrap_or(until)
    }

    /// Calls until an alarm after the rate has become `rate`, and how many calls the beginning that
    /// it names is off.
    pub(crate) fn delay(&self, rate: f64, random: &mut Random) -> (i64, i64) {
        const CHANGE: i64 = 1_000;
        loop {
            let mut watch = self.watch();
            let mut happens = |at| random.happens(if at < CHANGE { self.usual() } else { rate });
            let alarm = (0..).find_map(|at| Some((at, watch.record(happens(at), at)?)));
            let Some((at, shift)) = alarm.filter(|(at, _)| *at >= CHANGE) else { continue };
            let fusebox::domain::learn::warn::cusum::Change::Began { since } = shift.change else {
                continue;
            };
            return (at - CHANGE + 1, (since - CHANGE).abs());
        }
    }
}

/// Minutes whose p95 varies by 5 %, each by `memory` like the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Minutes {
    pub(crate) memory: f64,
}

impl Minutes {
    /// Minutes until an alarm after four quiet hours, if from then on calls take `slower` times as
    /// long; at most `until`.
    pub(crate) fn alarm(&self, slower: f64, until: i64, random: &mut Random) -> i64 {
        let mut noise = random.normal();
        let mut p95 = |slower: f64| {
            let fresh = (1.0 - self.memory * self.memory).sqrt();
            noise = self.memory * noise + fresh * random.normal();
            micros(0.1 * slower * (0.05 * noise).exp())
        };
        let before: Vec<u64> = (0..240).map(|_| p95(1.0)).collect();
        let Some(mut watch) = latency::Watch::after(&before) else { return 0 };
        (1..=until).find(|&at| watch.record(p95(slower), at).is_some()).unwrap_or(until)
    }
}

/// Six hours of p95 that rises by so much an hour and varies by 5 %, on its way from half the
/// timeout; the rise found, and whether its interval holds the truth.
pub(crate) fn rising(per_hour: f64, random: &mut Random) -> Option<(Approach, bool)> {
    let points: Vec<(i64, u64)> = (0..72)
        .map(|at| {
            let growth = per_hour * f64::from(at) / 12.0 + 0.05 * random.normal();
            (i64::from(at) * 5, micros(0.5 * growth.exp()))
        })
        .collect();
    let found = approach(&points, Duration::from_secs(1))?;
    let truth = 2_f64.ln() / per_hour - 71.0 / 12.0;
    Some((found, found.hours.0 <= truth && truth <= found.hours.1))
}

/// Whether an hour that is `times` the usual looks unusual, after four weeks that vary by 10 %.
pub(crate) fn unusual(times: f64, random: &mut Random) -> bool {
    let earlier: Vec<f64> = (0..12).map(|_| random.lognormal(100.0, 0.1)).collect();
    let now = random.lognormal(100.0 * times, 0.1);
    season::deviation(now, &earlier).is_some_and(|score| score > season::UNUSUAL)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency in seconds")]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}
