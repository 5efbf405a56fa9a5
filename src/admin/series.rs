//! The traffic of the last ten minutes, a point every ten seconds: what sparklines are drawn from.
//!
//! In memory and of this instance, so that it is there while the store is away. A point sums up the
//! thirty seconds before it, as the table beside it does. An upstream without calls takes no room.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
    statistics::ratio,
    tasks::ms,
    view::TrafficView,
};
use crate::domain::learn::recent::WINDOW_SECONDS;

/// Between two points.
const EVERY: Duration = Duration::from_secs(10);

/// Points of each upstream.
const POINTS: usize = 60;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Series {
    last: Option<Instant>,
    upstreams: BTreeMap<Arc<str>, VecDeque<Point>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Point {
    calls: u32,
    errors: u32,
    p95_us: u32,
}

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesJson {
    every_seconds: u64,
    /// What each point sums up.
    window_seconds: u64,
    upstreams: BTreeMap<String, LineJson>,
}

/// The points of an upstream, oldest first; the last is of the last ten seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineJson {
    calls_per_second: Vec<Option<f64>>,
    error_share: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
}

impl Series {
    /// Notes a point of each upstream, when it is time for one.
    pub(super) fn note(&mut self, now: Instant, traffic: impl FnOnce() -> Vec<TrafficView>) {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            return;
        }
        self.last = Some(now);
        let traffic = traffic();
        self.upstreams.retain(|name, _| traffic.iter().any(|view| view.name == *name));
        for view in traffic {
            let point = Point::of(&view);
            if point == Point::default() && !self.upstreams.contains_key(&view.name) {
                continue;
            }
            let points = self.upstreams.entry(view.name).or_default();
            points.push_back(point);
            if points.len() > POINTS {
                points.pop_front();
            }
            if points.iter().all(|point| point.calls == 0) {
                points.clear();
            }
        }
        self.upstreams.retain(|_, points| !points.is_empty());
    }

    fn show(&self) -> SeriesJson {
        let line = |points: &VecDeque<Point>| LineJson {
            calls_per_second: points
                .iter()
                .map(|of| ratio(of.calls.into(), WINDOW_SECONDS))
                .collect(),
            error_share: points.iter().map(|of| ratio(of.errors.into(), of.calls.into())).collect(),
            p95_ms: points.iter().map(|of| (of.p95_us > 0).then(|| ms(of.p95_us.into()))).collect(),
        };
        let upstreams =
            self.upstreams.iter().map(|(name, points)| (name.to_string(), line(points)));
        SeriesJson {
            every_seconds: EVERY.as_secs(),
            window_seconds: WINDOW_SECONDS,
            upstreams: upstreams.collect(),
        }
    }
}

impl Point {
    fn of(view: &TrafficView) -> Self {
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            calls: short(view.counts.calls),
            errors: short(view.counts.failures + view.counts.refused),
            p95_us: view.counts.durations.quantile(0.95).map_or(0, short),
        }
    }
}

/// `GET /api/v1/traffic`
pub(super) async fn traffic(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    let shown = admin.pulse.series().show();
    Ok(reply::data(shown))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{EVERY, POINTS, Series};
    use crate::{admin::view::TrafficView, clock, domain::learn::recent::Counts};

    fn calls(name: &str, calls: u64) -> TrafficView {
        let counts = Counts { calls, failures: calls / 2, ..Counts::default() };
        TrafficView { name: Arc::from(name), in_flight: 0, counts }
    }

    /// Notes one traffic after the other, ten seconds apart.
    fn noted(traffic: impl IntoIterator<Item = Vec<TrafficView>>) -> Series {
        let (mut series, mut now) = (Series::default(), clock::now());
        for views in traffic {
            series.note(now, || views);
            now += EVERY;
        }
        series
    }

    #[test]
    fn the_newest_points_are_kept_and_come_last() {
        let series = noted((1..=100).map(|at| vec![calls("payments", 30 * at)]));
        let shown = &series.show().upstreams["payments"].calls_per_second;
        assert_eq!(shown.len(), POINTS);
        assert_eq!((shown[0], shown[POINTS - 1]), (Some(41.0), Some(100.0)));
    }

    #[test]
    fn an_upstream_without_calls_takes_no_room() {
        let series = noted([vec![calls("idle", 0), calls("busy", 30)]]);
        assert_eq!(series.upstreams.keys().map(|name| &**name).collect::<Vec<_>>(), ["busy"]);
        let quiet = [30].into_iter().chain([0; POINTS]).map(|many| vec![calls("once", many)]);
        assert!(noted(quiet).upstreams.is_empty());
        let gone = noted([vec![calls("removed", 30)], vec![]]);
        assert!(gone.upstreams.is_empty());
    }

    #[test]
    fn points_are_ten_seconds_apart_however_often_it_is_asked() {
        let (mut series, now) = (Series::default(), clock::now());
        for second in 0..=20 {
            series.note(now + Duration::from_secs(second), || vec![calls("payments", 30)]);
        }
        assert_eq!(series.upstreams["payments"].len(), 3);
    }
}
