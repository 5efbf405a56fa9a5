//! OpenTelemetry's stable HTTP metrics: how long calls took, and each of their attempts.
//!
//! Every thread of the data plane has counters of its own for each route, so that counting a call
//! takes a lock that nobody else holds; a scrape adds them up. Labels come from the configuration
//! and from fixed vocabularies: the route's path template and the endpoint as configured, never the
//! path or the name that a caller sent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::Method;

use super::metrics::{self, Exemplar, Family, Kind, Labels, Sample, Source, Value};
use crate::domain::{
    outcome::Reason,
    task::{Attempt, CallRecord, CallSite},
};

/// Upper bounds in microseconds of OpenTelemetry's buckets for HTTP durations (semantic conventions
/// 1.44, `http.server.request.duration`).
pub const BUCKETS_US: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Combinations of method, status and reason that get a series of their own; further ones share
/// one, so that an upstream's inventiveness cannot fill the memory.
const MAX_SERIES: usize = 64;

/// The counters of all threads.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<ByThread>>);

type ByThread = BTreeMap<(usize, Place), Arc<Counters>>;

/// Where calls come in and go: what is the same for all calls of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The listener's name.
    pub listener: Box<str>,
    /// The route's name.
    pub route: Box<str>,
    /// Its path template.
    pub path: Box<str>,
    /// The upstream's name.
    pub upstream: Box<str>,
    /// What callers speak.
    pub scheme: &'static str,
}

/// The counters of one thread for one route.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    served: Vec<(Answer, Durations)>,
    sent: Vec<((Target, Answer), Durations)>,
}

/// What came of a call or of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    method: &'static str,
    status: Option<u16>,
    reason: Option<Reason>,
}

/// Where an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// The upstream, if it stood in for the call's own.
    instead: Option<Arc<str>>,
    endpoint: Arc<str>,
}

#[derive(Debug, Clone, Default)]
struct Durations {
    buckets: [u64; BUCKETS_US.len() + 1],
    sum_us: u64,
    /// Of sampled calls; none before the first.
    exemplars: Option<Box<[Option<Exemplar>; BUCKETS_US.len() + 1]>>,
}

impl Board {
    /// The counters of a thread for a route. The same ones each time, so that a count that only
    /// grows goes on when the configuration is read again.
    pub fn of(&self, thread: usize, scheme: &'static str, site: &CallSite) -> Arc<Counters> {
        let place = Place {
            listener: site.listener.clone(),
            route: site.route.clone(),
            path: site.path.clone(),
            upstream: site.upstream.clone(),
            scheme,
        };
        Arc::clone(lock(&self.0).entry((thread, place)).or_default())
    }
}

impl Board {
    /// Forgets the counters that nobody counts with any more.
    pub fn forget_unused(&self) {
        lock(&self.0).retain(|_, counters| Arc::strong_count(counters) > 1);
    }
}

impl Counters {
    /// Counts a call that ended, and its attempts. A sampled one may stand for others.
    pub fn count(&self, call: &CallRecord, is_sampled: bool) {
        let method = known(&call.method);
        let exemplar = |duration_us| {
            let at_us = call.started_at_us.saturating_add_unsigned(call.duration_us);
            is_sampled.then_some(Exemplar { trace_id: call.trace_id, duration_us, at_us })
        };
        let mut counts = lock(&self.0);
        let answer = Answer { method, status: call.status, reason: call.reason };
        let took = call.duration_us;
        series(&mut counts.served, |key| *key == answer, || answer).add(took, exemplar(took));
        let last = call.attempts.len().wrapping_sub(1);
        for (at, attempt) in call.attempts.iter().enumerate() {
            let is_answer = at == last && call.first_byte_us.is_some();
            let (status, took) = if is_answer {
                (call.status, call.upstream_us.unwrap_or(attempt.duration_us))
            } else {
                (attempt.reason.and_then(Reason::said_status), attempt.duration_us)
            };
            let answer = Answer { method, status, reason: attempt.reason };
            let is_it = |(target, said): &(Target, Answer)| *said == answer && target.is(attempt);
            series(&mut counts.sent, is_it, || (Target::of(attempt), answer))
                .add(took, exemplar(took));
        }
    }
}

impl Target {
    fn of(attempt: &Attempt) -> Self {
        Self { instead: attempt.instead.clone(), endpoint: Arc::clone(&attempt.endpoint) }
    }

    fn is(&self, attempt: &Attempt) -> bool {
        let same = Arc::ptr_eq(&self.endpoint, &attempt.endpoint);
        (same || self.endpoint == attempt.endpoint) && self.instead == attempt.instead
    }
}

/// The series of a key. When there are too many, that of any other.
fn series<K: Shared>(
    all: &mut Vec<(K, Durations)>,
    is_it: impl Fn(&K) -> bool,
    key: impl FnOnce() -> K,
) -> &mut Durations {
    let at = all.iter().position(|(other, _)| is_it(other)).unwrap_or_else(|| {
        let key = if all.len() < MAX_SERIES { key() } else { key().shared() };
        all.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            all.push((key, Durations::default()));
            all.len() - 1
        })
    });
    &mut all[at].1
}

/// A key that can give up what is particular about it.
trait Shared: PartialEq {
    fn shared(self) -> Self;
}

impl Shared for Answer {
    fn shared(self) -> Self {
        Self { method: OTHER, status: None, reason: None }
    }
}

impl Shared for (Target, Answer) {
    fn shared(self) -> Self {
        (self.0, self.1.shared())
    }
}

impl Durations {
    fn add(&mut self, duration_us: u64, exemplar: Option<Exemplar>) {
        let bucket = BUCKETS_US.iter().position(|&bound| duration_us <= bound);
        let bucket = bucket.unwrap_or(BUCKETS_US.len());
        self.buckets[bucket] += 1;
        self.sum_us = self.sum_us.saturating_add(duration_us);
        if exemplar.is_some() {
            self.exemplars.get_or_insert_default()[bucket] = exemplar;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        for (at, theirs) in other.exemplars.iter().flat_map(|all| all.iter()).enumerate() {
            let mine = &mut self.exemplars.get_or_insert_default()[at];
            *mine = (*mine).into_iter().chain(*theirs).max_by_key(|exemplar| exemplar.at_us);
        }
    }

    fn value(self) -> Value {
        let exemplars = self.exemplars.map(|all| all.to_vec()).unwrap_or_default();
        let (buckets, sum_us) = (self.buckets.to_vec(), self.sum_us);
        let bounds_us = &BUCKETS_US;
        Value::Histogram(Box::new(metrics::Durations { bounds_us, buckets, sum_us, exemplars }))
    }
}

impl Source for Board {
    fn families(&self) -> Vec<Family> {
        let (mut served, mut sent) = (BTreeMap::new(), BTreeMap::new());
        for ((_, place), counters) in lock(&self.0).iter() {
            let counts = lock(&counters.0);
            for (answer, durations) in &counts.served {
                let all: &mut Durations = served.entry((place.clone(), *answer)).or_default();
                all.merge(durations);
            }
            for ((target, answer), durations) in &counts.sent {
                let upstream = target.instead.as_deref().unwrap_or(&place.upstream);
                let key = (Box::<str>::from(upstream), Arc::clone(&target.endpoint), *answer);
                let all: &mut Durations = sent.entry(key).or_default();
                all.merge(durations);
            }
        }
        let sample =
            |(labels, durations): (Labels, Durations)| Sample { labels, value: durations.value() };
        let served = served
            .into_iter()
            .map(|((place, answer), durations)| (served_labels(place, answer), durations));
        let sent = sent.into_iter().map(|((upstream, endpoint, answer), durations)| {
            (sent_labels(upstream, &endpoint, answer), durations)
        });
        vec![
            Family {
                name: "http_server_request_duration_seconds",
                help: "Duration of calls, from the head of the request to the end of the answer",
                kind: Kind::Histogram,
                samples: served.map(sample).collect(),
            },
            Family {
                name: "http_client_request_duration_seconds",
                help: "Duration of attempts, to the end of the answer or the error",
                kind: Kind::Histogram,
                samples: sent.map(sample).collect(),
            },
        ]
    }
}

fn served_labels(place: Place, answer: Answer) -> Labels {
    let mut labels: Labels = vec![
        ("listener", String::from(place.listener).into()),
        ("route", String::from(place.route).into()),
        ("upstream", String::from(place.upstream).into()),
        ("http_route", String::from(place.path).into()),
        ("url_scheme", place.scheme.into()),
    ];
    labels.extend(answer.labels());
    labels
}

fn sent_labels(upstream: Box<str>, endpoint: &str, answer: Answer) -> Labels {
    let (address, port) = match endpoint.rsplit_once(':') {
        Some((address, port)) if !endpoint.starts_with("unix:") => (address, port),
        _ => (endpoint, ""),
    };
    let mut labels: Labels = vec![
        ("upstream", String::from(upstream).into()),
        ("server_address", address.to_owned().into()),
        ("server_port", port.to_owned().into()),
    ];
    labels.extend(answer.labels());
    labels
}

impl Answer {
    fn labels(self) -> Labels {
        let status = self.status.map(|status| status.to_string()).unwrap_or_default();
        vec![
            ("http_request_method", self.method.into()),
            ("http_response_status_code", status.into()),
            ("error_type", self.reason.map_or("", Reason::as_str).into()),
        ]
    }
}

const OTHER: &str = "_OTHER";

/// The methods that OpenTelemetry names; all others are one.
pub(super) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => OTHER,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
