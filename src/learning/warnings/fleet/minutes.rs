//! Rollups as the watches take them: by operation and by upstream, minutes and hours.

use std::collections::{BTreeMap, HashMap};

use crate::{
    domain::{
        learn::{
            formula::share::Share,
            histogram::Histogram,
            rollup::{Rollup, RollupKey},
            warn::past::Minute,
        },
        outcome::{Outcome, Reason},
    },
    learning::warnings::LEASE,
    store::{Error, HistoryStore, RollupQuery, Subject, WarningStore},
};

/// Minutes that are read at a time.
const SLICE: i64 = 10;

/// Calls of a minute below which it has no p95.
const ENOUGH: u64 = 20;

/// What some minutes came to.
#[derive(Default)]
pub(super) struct Sums {
    operations: HashMap<Subject, BTreeMap<i64, Sum>>,
    upstreams: HashMap<Box<str>, BTreeMap<i64, Sum>>,
}

#[derive(Default)]
struct Sum {
    minute: Minute,
    durations: Histogram,
}

/// The operation that a rollup is of, towards one upstream.
pub(super) fn subject(key: &RollupKey) -> Subject {
    Subject {
        upstream: key.upstream.clone(),
        domain: key.domain.clone(),
        action: key.action.clone(),
    }
}

/// The stretches in which these minutes are read, each with its end.
pub(super) fn slices(from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
    let begins = (0..).map(move |at| from + at * SLICE).take_while(move |&begins| begins < to);
    begins.map(move |begins| (begins, (begins + SLICE).min(to)))
}

impl Sums {
    pub(super) fn of(rollups: Vec<(RollupKey, Rollup)>) -> Self {
        let mut sums = Self::default();
        for (key, rollup) in rollups {
            let of_upstream = sums.upstreams.entry(key.upstream.clone()).or_default();
            of_upstream.entry(key.minute).or_default().add(&key, &rollup);
            let of_operation = sums.operations.entry(subject(&key)).or_default();
            of_operation.entry(key.minute).or_default().add(&key, &rollup);
        }
        sums
    }

    /// Those that had calls in a minute.
    pub(super) fn operations(&self, at: i64) -> impl Iterator<Item = &Subject> {
        self.operations.iter().filter(move |(_, sums)| sums.contains_key(&at)).map(|(of, _)| of)
    }

    pub(super) fn operation(&self, subject: &Subject, at: i64) -> Minute {
        self.operations
            .get(subject)
            .and_then(|sums| sums.get(&at))
            .map(Sum::minute)
            .unwrap_or_default()
    }

    pub(super) fn upstreams(&self, at: i64) -> impl Iterator<Item = &Box<str>> {
        self.upstreams.iter().filter(move |(_, sums)| sums.contains_key(&at)).map(|(of, _)| of)
    }

    pub(super) fn upstream(&self, name: &str, at: i64) -> Minute {
        self.upstreams.get(name).and_then(|sums| sums.get(&at)).map(Sum::minute).unwrap_or_default()
    }
}

impl Sum {
    fn add(&mut self, key: &RollupKey, rollup: &Rollup) {
        let add = |to: &mut u32| {
            *to = to.saturating_add(u32::try_from(rollup.count).unwrap_or(u32::MAX));
        };
        let minute = &mut self.minute;
        match key.outcome {
            Outcome::Success => add(&mut minute.ended),
            Outcome::Failure => [&mut minute.ended, &mut minute.failed].into_iter().for_each(add),
            Outcome::Timeout => {
                let counts = [&mut minute.ended, &mut minute.failed, &mut minute.timed_out];
                counts.into_iter().for_each(add);
            }
            Outcome::Refused if is_crowded(key.reason) => add(&mut minute.turned_away),
            Outcome::Refused | Outcome::Cancelled | Outcome::Interrupted => {}
        }
        if matches!(key.outcome, Outcome::Success | Outcome::Timeout) {
            self.durations.merge(&rollup.durations);
        }
    }

    fn minute(&self) -> Minute {
        let p95 = self.durations.quantile(0.95).filter(|_| self.durations.count() >= ENOUGH);
        let p95_us = p95.map(|us| u32::try_from(us).unwrap_or(u32::MAX));
        Minute { p95_us, ..self.minute }
    }
}

/// Whether a call was refused because there was no place for it.
const fn is_crowded(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::BulkheadFull | Reason::QueueTimeout | Reason::NoConnection))
}

/// Hours that are to be read.
pub(super) struct Hours<'a> {
    history: &'a dyn HistoryStore,
    store: &'a dyn WarningStore,
    from: i64,
    to: i64,
}

/// The hours from the first to before the second, counted from the Unix epoch.
pub(super) const fn hours_of<'a>(
    history: &'a dyn HistoryStore,
    store: &'a dyn WarningStore,
    (from, to): (i64, i64),
) -> Hours<'a> {
    Hours { history, store, from, to }
}

impl Hours<'_> {
    /// How many calls of each operation failed in each hour. A day without calls is not looked into.
    /// Before each day the duty is claimed again; false where another has it.
    pub(super) async fn each(
        &self,
        mut take: impl FnMut(&Subject, i64, Share) + Send,
    ) -> Result<bool, Error> {
        let mut from = self.from;
        while from < self.to {
            if !self.store.claim_watch(LEASE).await? {
                return Ok(false);
            }
            let next = (from.div_euclid(24) * 24 + 24).min(self.to);
            if !self.totals(from, next).await?.is_empty() {
                for hour in from..next {
                    for (key, rollup) in self.totals(hour, hour + 1).await? {
                        if let Some(failures) = failures(&key, &rollup) {
                            take(&subject(&key), hour, failures);
                        }
                    }
                }
            }
            from = next;
        }
        Ok(true)
    }

    async fn totals(&self, from: i64, to: i64) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let (from_minute, to_minute) = (60 * from, 60 * to);
        let query = RollupQuery { from_minute, to_minute, ..RollupQuery::default() };
        self.history.totals(&query).await
    }
}

/// None for calls that were not sent on, or did not come to an end.
const fn failures(key: &RollupKey, rollup: &Rollup) -> Option<Share> {
    match key.outcome {
        Outcome::Success => Some(Share::new(0, rollup.count)),
        Outcome::Failure | Outcome::Timeout => Some(Share::new(rollup.count, rollup.count)),
        Outcome::Refused | Outcome::Cancelled | Outcome::Interrupted => None,
    }
}
