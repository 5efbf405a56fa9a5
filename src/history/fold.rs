//! Folding: one row that stands for many calls, so that a caller looping on an open breaker cannot
//! flood the store.
//!
//! What counts stays exact: the weights add up to the calls, for every site, reason and second.
//! What only describes (ids, method, endpoint) is the first call's. Pure: `now` is an argument, and
//! what becomes of the rows is the caller's business.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::domain::{
    outcome::{Outcome, Reason},
    task::CallRecord,
};

/// How long a second waits for stragglers of other workers before its rows go.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Seconds that may be open at a time. More are seen only when nobody settles them.
const MAX_SECONDS: usize = 8;

/// Folded rows of one second at most: one for each site and reason.
const MAX_FOLDED: usize = 1_024;

/// A row that stands for one call, and for more as they are added.
#[derive(Debug, Clone)]
pub struct Folded {
    row: CallRecord,
    duration_us: u128,
    request_bytes: u128,
    response_bytes: u128,
}

impl Folded {
    /// Begins with this row.
    pub fn new(row: CallRecord) -> Self {
        let weighed = |value: u64| u128::from(value) * u128::from(row.weight);
        Self {
            duration_us: weighed(row.duration_us),
            request_bytes: weighed(row.request_bytes),
            response_bytes: weighed(row.response_bytes),
            row,
        }
    }

    /// Lets the row stand for `call` too.
    ///
    /// # Errors
    /// Gives the call back when the weight would not fit its column.
    pub fn add(&mut self, call: CallRecord) -> Result<(), Box<CallRecord>> {
        let Some(weight) = self.row.weight.checked_add(call.weight) else {
            return Err(Box::new(call));
        };
        self.row.weight = weight;
        let more = Self::new(call);
        self.duration_us += more.duration_us;
        self.request_bytes += more.request_bytes;
        self.response_bytes += more.response_bytes;
        Ok(())
    }

    /// The row, with the means of what it stands for.
    pub fn into_row(self) -> CallRecord {
        let weight = u128::from(self.row.weight.max(1));
        let mean = |sum: u128| u64::try_from(sum / weight).unwrap_or(u64::MAX);
        CallRecord {
            duration_us: mean(self.duration_us),
            request_bytes: mean(self.request_bytes),
            response_bytes: mean(self.response_bytes),
            ..self.row
        }
    }
}

/// Folds refused calls: of each second and upstream, so many get a row of their own.
#[derive(Debug)]
pub struct Refusals {
    rows_per_second: u32,
    seconds: Vec<Second>,
}

/// The refused calls of one second.
#[derive(Debug)]
struct Second {
    /// Counted from the Unix epoch.
    second: i64,
    /// When its first call came.
    since: Instant,
    /// Rows given out, by upstream.
    rows: HashMap<Box<str>, u32>,
    /// By the address of the site, which the folded row keeps alive, and the reason.
    folded: HashMap<(usize, Option<Reason>), Folded>,
}

impl Refusals {
    /// Leaves `rows_per_second` refused calls of each upstream their own row.
    pub fn new(rows_per_second: u32) -> Self {
        Self { rows_per_second, seconds: Vec::new() }
    }

    /// Gives a call its own row, or folds it. Calls that were not refused pass.
    pub fn take(&mut self, call: CallRecord, now: Instant) -> Option<CallRecord> {
        if call.outcome != Outcome::Refused {
            return Some(call);
        }
        let limit = self.rows_per_second;
        let Some(second) = self.second(call.started_at_us.div_euclid(1_000_000), now) else {
            return Some(call);
        };
        if call.weight == 1 && second.grants_row(&call.site.upstream, limit) {
            return Some(call);
        }
        second.fold(call)
    }

    /// The folded rows of the seconds that no straggler is expected for any more.
    pub fn settle(&mut self, now: Instant) -> Vec<CallRecord> {
        self.close(|second| now.saturating_duration_since(second.since) >= SETTLED_AFTER)
    }

    /// All folded rows.
    pub fn finish(&mut self) -> Vec<CallRecord> {
        self.close(|_| true)
    }

    /// How many folded rows it holds.
    pub fn waiting(&self) -> usize {
        self.seconds.iter().map(|second| second.folded.len()).sum()
    }

    fn second(&mut self, second: i64, now: Instant) -> Option<&mut Second> {
        let known = self.seconds.iter().position(|open| open.second == second);
        let at = match known {
            Some(at) => at,
            None if self.seconds.len() == MAX_SECONDS => return None,
            None => {
                let (rows, folded) = (HashMap::new(), HashMap::new());
                self.seconds.push(Second { second, since: now, rows, folded });
                self.seconds.len() - 1
            }
        };
        self.seconds.get_mut(at)
    }

    fn close(&mut self, is_over: impl Fn(&Second) -> bool) -> Vec<CallRecord> {
        let over = self.seconds.extract_if(.., |second| is_over(second));
        over.flat_map(|second| second.folded.into_values().map(Folded::into_row)).collect()
    }
}

impl Second {
    fn grants_row(&mut self, upstream: &str, limit: u32) -> bool {
        match self.rows.get_mut(upstream) {
            Some(rows) if *rows < limit => *rows += 1,
            None if limit > 0 => drop(self.rows.insert(upstream.into(), 1)),
            _ => return false,
        }
        true
    }

    fn fold(&mut self, call: CallRecord) -> Option<CallRecord> {
        let key = (Arc::as_ptr(&call.site).addr(), call.reason);
        if let Some(folded) = self.folded.get_mut(&key) {
            return folded.add(call).err().map(|call| *call);
        }
        if self.folded.len() == MAX_FOLDED {
            return Some(call);
        }
        self.folded.insert(key, Folded::new(call));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Folded, MAX_SECONDS, Refusals, SETTLED_AFTER};
    use crate::{
        domain::{
            outcome::{Outcome, Reason},
            task::{CallRecord, CallSite},
        },
        history::samples,
    };
    use proptest::prelude::{Strategy, any, proptest};
    use std::{collections::BTreeMap, sync::Arc, time::Instant};

    const SECOND_US: i64 = 1_000_000;

    fn refused(site: &Arc<CallSite>, second: i64) -> CallRecord {
        CallRecord { started_at_us: second * SECOND_US, ..samples::refused(site) }
    }

    /// Takes `calls` refused calls of one second and tells the weights of the rows that come out.
    fn weights(rows_per_second: u32, calls: usize) -> Vec<u32> {
        let site = samples::site("payments");
        let mut refusals = Refusals::new(rows_per_second);
        let now = crate::clock::now();
        let taken = std::iter::repeat_with(|| refused(&site, 5)).take(calls);
        let mut rows: Vec<_> = taken.filter_map(|call| refusals.take(call, now)).collect();
        rows.extend(refusals.finish());
        rows.iter().map(|row| row.weight).collect()
    }

    #[test]
    fn beyond_the_limit_one_row_stands_for_the_rest() {
        assert_eq!(weights(3, 2), [1, 1]);
        assert_eq!(weights(3, 3), [1, 1, 1]);
        assert_eq!(weights(3, 4), [1, 1, 1, 1]);
        assert_eq!(weights(3, 10), [1, 1, 1, 7]);
        assert_eq!(weights(0, 10), [10]);
    }

    #[test]
    fn calls_that_were_not_refused_are_never_folded() {
        let (mut refusals, site) = (Refusals::new(0), samples::site("payments"));
        assert!(refusals.take(samples::success(&site), crate::clock::now()).is_some());
        assert_eq!(refusals.waiting(), 0);
    }

    #[test]
    fn a_second_settles_when_stragglers_had_their_time() {
        let (mut refusals, site) = (Refusals::new(0), samples::site("payments"));
        let now = crate::clock::now();
        assert!(refusals.take(refused(&site, 5), now).is_none());
        assert!(refusals.settle(now + SETTLED_AFTER / 2).is_empty());
        assert!(refusals.take(refused(&site, 5), now + SETTLED_AFTER / 2).is_none());
        assert_eq!(refusals.settle(now + SETTLED_AFTER)[0].weight, 2);
    }

    #[test]
    fn seconds_that_nobody_settles_take_bounded_memory() {
        let (mut refusals, site) = (Refusals::new(0), samples::site("payments"));
        let now = crate::clock::now();
        let passed = (0..100).filter_map(|second| refusals.take(refused(&site, second), now));
        assert_eq!(passed.count(), 100 - MAX_SECONDS);
    }

    #[test]
    fn a_folded_row_has_the_means_of_its_calls_and_the_identity_of_the_first() {
        let site = samples::site("payments");
        let first = CallRecord { duration_us: 10, request_bytes: 4, ..samples::success(&site) };
        let second = CallRecord { duration_us: 40, weight: 2, ..samples::success(&site) };
        let mut folded = Folded::new(first.clone());
        folded.add(second).unwrap();
        let row = folded.into_row();
        assert_eq!((row.id, row.weight, row.duration_us, row.request_bytes), (first.id, 3, 30, 1));
    }

    #[test]
    fn a_weight_that_would_overflow_gives_the_call_back() {
        let site = samples::site("payments");
        let mut folded = Folded::new(CallRecord { weight: u32::MAX, ..samples::success(&site) });
        assert!(folded.add(samples::success(&site)).is_err());
        assert_eq!(folded.into_row().weight, u32::MAX);
    }

    /// What must stay exact: calls by upstream, second, outcome and reason.
    type Sums = BTreeMap<(Box<str>, i64, Outcome, Option<Reason>), u64>;

    fn sums<'a>(rows: impl IntoIterator<Item = &'a CallRecord>) -> Sums {
        let mut sums = Sums::new();
        for row in rows {
            let second = row.started_at_us.div_euclid(SECOND_US);
            let key = (row.site.upstream.clone(), second, row.outcome, row.reason);
            *sums.entry(key).or_default() += u64::from(row.weight);
        }
        sums
    }

    /// Upstream, second, reason, weight, and whether the call was refused at all.
    fn call() -> impl Strategy<Value = (usize, i64, usize, u32, bool)> {
        (0..3_usize, 0..4_i64, 0..2_usize, 1..4_u32, any::<bool>())
    }

    proptest! {
        #[test]
        fn weights_add_up_to_the_calls_through_any_number_of_workers(
            calls in proptest::collection::vec((call(), 0..3_usize), 0..200),
            limit in 0..5_u32,
        ) {
            let now: Instant = crate::clock::now();
            let sites: Vec<_> = ["a", "b", "c"].map(samples::site).into();
            let reasons = [Reason::BreakerOpen, Reason::BulkheadFull];
            let mut workers: Vec<_> = (0..3).map(|_| Refusals::new(limit)).collect();
            let (mut given, mut passed) = (Vec::new(), Vec::new());
            for ((site, second, reason, weight, is_refused), worker) in calls {
                let base = if is_refused { samples::refused } else { samples::success };
                let reason = is_refused.then_some(reasons[reason]);
                let started_at_us = second * SECOND_US;
                let call = CallRecord { reason, weight, started_at_us, ..base(&sites[site]) };
                given.push(call.clone());
                passed.extend(workers[worker].take(call, now));
            }
            passed.extend(workers.iter_mut().flat_map(Refusals::finish));
            let mut writer = Refusals::new(limit);
            let mut rows: Vec<_> = passed.into_iter().filter_map(|call| writer.take(call, now)).collect();
            let own = rows.iter().filter(|row| row.outcome == Outcome::Refused);
            assert!(sums(own).into_iter().fold(BTreeMap::<_, u64>::new(), |mut by, (key, rows)| {
                *by.entry((key.0, key.1)).or_default() += rows;
                by
            }).values().all(|&rows| rows <= u64::from(limit)));
            rows.extend(writer.finish());
            assert_eq!(sums(&rows), sums(&given));
        }
    }
}
