//! What the one that watches for all remembers: the minutes of every operation, of the whole fleet.
//!
//! Rows arrive late: a minute counts as over two minutes after it ended, when every writer that is
//! well has handed in its rows. What comes later still, as after an outage of the store, is in the
//! statistics but has warned nobody. Whoever takes over reads a month of hours and the minutes of the
//! last six hours, and so comes to the same conclusions as the one before.

mod minutes;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::yield_now;

use self::minutes::{Sums, hours_of, slices, subject};
use super::Upstream;
use crate::{
    domain::learn::{
        formula::share::Share,
        warn::{
            claim::Claim,
            operation::{Operation, Terms},
            past::{HOURS, MINUTES, Past},
        },
    },
    store::{Error, HistoryStore, RollupQuery, Subject, WarningStore, Which},
};

/// Operations that are watched: the busiest of the day before. Each takes 15 KiB.
const MAX_OPERATIONS: usize = 500;

/// Upstreams whose minutes are remembered.
const MAX_UPSTREAMS: usize = 200;

/// Warnings of which it is remembered that their fate is open.
pub(super) const MAX_PENDING: u32 = 1_000;

/// How long after its end, in minutes, a minute is taken to be complete.
const LATE: i64 = 2;

/// A trend that was seen so many minutes ago may still be told.
const NEWS: i64 = 15;

/// See the module docs.
pub(super) struct Fleet {
    objective: f64,
    timeouts: HashMap<Arc<str>, Duration>,
    operations: BTreeMap<Subject, Operation>,
    upstreams: BTreeMap<Box<str>, Past>,
    /// The first minute that was not looked at.
    next: i64,
}

impl Fleet {
    /// Reads what it needs to remember, at this time; none where another took over meanwhile.
    pub(super) async fn load(
        history: &dyn HistoryStore,
        store: &dyn WarningStore,
        upstreams: &[Upstream],
        (objective, now_us): (f64, i64),
    ) -> Result<Option<Self>, Error> {
        let end = complete(now_us);
        let begins = (end - MINUTES).div_euclid(60) * 60 + 60;
        let timeouts = upstreams.iter().map(|it| (Arc::clone(&it.name), it.timeout)).collect();
        let (operations, upstreams) = (BTreeMap::new(), BTreeMap::new());
        let mut fleet = Self { objective, timeouts, operations, upstreams, next: begins };
        for subject in busiest(history, store, end).await? {
            fleet.operations.insert(subject, Operation::before(begins));
        }
        let hour = begins.div_euclid(60);
        let hours = hours_of(history, store, (hour - HOURS + 7, hour));
        let add = |subject: &Subject, hour, failures| fleet.add_hour(subject, hour, failures);
        Ok(hours.each(add).await?.then_some(fleet))
    }

    /// Whether so much was missed that it is better to begin anew.
    pub(super) fn is_behind(&self, now_us: i64) -> bool {
        complete(now_us) - self.next > MINUTES
    }

    /// Looks at the minutes that are complete since.
    pub(super) async fn look(
        &mut self,
        history: &dyn HistoryStore,
        now_us: i64,
    ) -> Result<(), Error> {
        let end = complete(now_us);
        for (from_minute, to_minute) in slices(self.next, end) {
            let query = RollupQuery { from_minute, to_minute, ..RollupQuery::default() };
            let sums = Sums::of(history.rollups(&query).await?);
            for minute in from_minute..to_minute {
                self.add_minute(minute, &sums, end - minute <= NEWS).await;
            }
        }
        Ok(())
    }

    /// What is to be said now, and of what.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&Subject, &Claim)> {
        let claims = |(subject, operation)| {
            let claims: Vec<_> = Operation::claims(operation).collect();
            claims.into_iter().map(move |claim| (subject, claim))
        };
        self.operations.iter().flat_map(claims)
    }

    /// What is remembered of a subject.
    pub(super) fn past(&self, subject: &Subject) -> Option<&Past> {
        if subject.domain.is_empty() {
            return self.upstreams.get(&subject.upstream);
        }
        self.operations.get(subject).map(Operation::past)
    }

    /// When the last minute that was looked at ended, in seconds since the Unix epoch.
    pub(super) const fn seen_until(&self) -> i64 {
        self.next * 60
    }

    fn add_hour(&mut self, subject: &Subject, hour: i64, failures: Share) {
        if let Some(operation) = self.operations.get_mut(subject) {
            operation.add_hour(hour, failures);
        }
    }

    async fn add_minute(&mut self, at: i64, sums: &Sums, is_news: bool) {
        if at.rem_euclid(60) == 0 {
            self.operations.retain(|_, it| it.past().last(24 * 60).trials > 0);
        }
        for subject in sums.operations(at) {
            if self.operations.len() < MAX_OPERATIONS && !self.operations.contains_key(subject) {
                self.operations.insert(subject.clone(), Operation::before(at));
            }
        }
        for (subject, operation) in &mut self.operations {
            // Trends are costly, and those of hours ago are no news.
            let timeout = self.timeouts.get(&*subject.upstream).copied().filter(|_| is_news);
            let terms = Terms { objective: self.objective, timeout };
            operation.add_minute(at, sums.operation(subject, at), &terms);
            // The thread is also the writer's, and hundreds of operations take a while.
            yield_now().await;
        }
        for upstream in sums.upstreams(at) {
            if self.upstreams.len() < MAX_UPSTREAMS && !self.upstreams.contains_key(upstream) {
                self.upstreams.insert(upstream.clone(), Past::before(at));
            }
        }
        for (upstream, past) in &mut self.upstreams {
            past.add_minute(at, sums.upstream(upstream, at));
        }
        self.next = at + 1;
    }
}

/// The minute behind the last that is complete at this time.
const fn complete(now_us: i64) -> i64 {
    now_us.div_euclid(60_000_000) - LATE
}

/// Those to watch: the busiest operations of the day before, and those of whose warnings the fate is
/// open.
async fn busiest(
    history: &dyn HistoryStore,
    store: &dyn WarningStore,
    end: i64,
) -> Result<HashSet<Subject>, Error> {
    let query =
        RollupQuery { from_minute: end - 24 * 60, to_minute: end, ..RollupQuery::default() };
    let mut calls: HashMap<Subject, u64> = HashMap::new();
    for (key, rollup) in history.totals(&query).await? {
        *calls.entry(subject(&key)).or_default() += rollup.count;
    }
    let mut calls: Vec<(Subject, u64)> = calls.into_iter().collect();
    calls.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    calls.truncate(MAX_OPERATIONS);
    let pending = store.predictions(Which::Pending, MAX_PENDING).await?;
    let pending = pending.into_iter().map(|it| it.notice.subject);
    let pending = pending.filter(|subject| !subject.domain.is_empty());
    Ok(calls.into_iter().map(|(subject, _)| subject).chain(pending).collect())
}
