//! `/api/v1/latency`: how long calls took, by stretch of time: what a heat map is drawn from.
//!
//! From rollups, so that it is exact where rows are folded, and of the whole fleet where the store is
//! shared. Durations are told in steps that people know: 1, 2, 5, 10 … milliseconds.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
    rollups::MINUTE_US,
    tasks::ms,
    window::show_time,
};
use crate::{
    clock,
    domain::{
        learn::{
            histogram::Histogram,
            rollup::{Rollup, RollupKey},
        },
        outcome::Outcome,
        units::parse_duration,
    },
    store::RollupQuery,
};

/// The upper ends of the steps, in microseconds; the last step has none.
const STEPS_US: [u64; 14] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Stretches of time that an answer has.
const STRETCHES: u32 = 60;

const OVER: &str = "`1h`, `6h` or `24h`";

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LatencyJson {
    upstream: Option<String>,
    from: Option<String>,
    to: Option<String>,
    every_seconds: u32,
    /// The upper ends of the steps; what is slower than the last is in a step of its own.
    steps_ms: Vec<f64>,
    /// Oldest first. Those without calls are left out.
    stretches: Vec<StretchJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StretchJson {
    from: Option<String>,
    calls: u64,
    errors: u64,
    /// Of calls that were sent on.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Calls in each step.
    counts: [u64; STEPS_US.len() + 1],
}

/// Calls of one stretch.
#[derive(Default)]
struct Stretch {
    calls: u64,
    errors: u64,
    durations: Histogram,
}

/// `GET /api/v1/latency?upstream=&over=`
pub(super) async fn latency(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let asked = Asked::read(pairs, &["upstream", "over"])?;
    let minutes = asked.parsed("over", OVER, read_over)?.unwrap_or(NonZeroU32::MIN);
    let (upstream, length) = (asked.owned("upstream"), i64::from(minutes.get()));
    let now = clock::wall_us().div_euclid(MINUTE_US);
    let to_minute = now - now.rem_euclid(length) + length;
    let from_minute = to_minute - i64::from(STRETCHES) * length;
    let query = RollupQuery {
        upstream: upstream.clone(),
        from_minute,
        to_minute,
        ..RollupQuery::default()
    };
    let questions = &admin.questions;
    let sums = questions.read(questions.history.series(&query, minutes)).await?;
    Ok(reply::data(LatencyJson {
        upstream,
        from: show_minute(from_minute),
        to: show_minute(to_minute),
        every_seconds: minutes.get() * 60,
        steps_ms: STEPS_US.iter().map(|&us| ms(us)).collect(),
        stretches: stretches(&sums),
    }))
}

fn show_minute(minute: i64) -> Option<String> {
    show_time(minute.saturating_mul(MINUTE_US))
}

/// The minutes of a stretch.
fn read_over(text: &str) -> Option<NonZeroU32> {
    let minutes = parse_duration(text).ok()?.as_secs() / 60;
    let minutes = u32::try_from(minutes).ok()?;
    let is_offered = [60, 360, 1_440].contains(&minutes);
    NonZeroU32::new(minutes / STRETCHES).filter(|_| is_offered)
}

fn stretches(sums: &[(RollupKey, Rollup)]) -> Vec<StretchJson> {
    let mut by_minute: BTreeMap<i64, Stretch> = BTreeMap::new();
    for (key, rollup) in sums {
        let stretch = by_minute.entry(key.minute).or_default();
        stretch.calls += rollup.count;
        if matches!(key.outcome, Outcome::Failure | Outcome::Timeout | Outcome::Refused) {
            stretch.errors += rollup.count;
        }
        if key.outcome != Outcome::Refused {
            stretch.durations.merge(&rollup.durations);
        }
    }
    by_minute.iter().map(|(&minute, stretch)| stretch.show(minute)).collect()
}

impl Stretch {
    fn show(&self, minute: i64) -> StretchJson {
        let quantile = |q| self.durations.quantile(q).map(ms);
        StretchJson {
            from: show_minute(minute),
            calls: self.calls,
            errors: self.errors,
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            counts: steps(&self.durations),
        }
    }
}

/// The durations in each step.
fn steps(durations: &Histogram) -> [u64; STEPS_US.len() + 1] {
    let mut counts = [0; STEPS_US.len() + 1];
    for (us, count) in durations.durations() {
        counts[STEPS_US.partition_point(|&end| end <= us)] += count;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{STEPS_US, read_over, steps};
    use crate::domain::learn::histogram::Histogram;

    #[test]
    fn durations_fall_into_the_step_that_ends_above_them() {
        let mut durations = Histogram::default();
        for (us, calls) in [(300, 1), (1_500, 2), (70_000, 4), (99_000_000, 8)] {
            durations.record_many(us, calls);
        }
        let counts = steps(&durations);
        assert_eq!((counts[0], counts[1], counts[6], counts[STEPS_US.len()]), (1, 2, 4, 8));
        assert_eq!(counts.iter().sum::<u64>(), 15);
    }

    #[test]
    fn a_map_is_of_an_hour_or_six_or_a_day() {
        let minutes = |text| read_over(text).map(std::num::NonZeroU32::get);
        assert_eq!(
            ["1h", "60m", "6h", "24h", "1d"].map(minutes),
            [Some(1), Some(1), Some(6), Some(24), Some(24)]
        );
        assert_eq!(["", "1", "2h", "90s", "-1h", "99999999999h"].map(minutes), [None; 6]);
    }
}
