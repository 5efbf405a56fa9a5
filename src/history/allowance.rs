//! How many refused calls of an upstream get a row of their own in a second, over all workers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// The allowances of all upstreams.
#[derive(Debug, Default)]
pub(super) struct Allowances(Mutex<HashMap<Box<str>, Arc<Allowance>>>);

impl Allowances {
    /// That of an upstream. Asked once by each worker: the lock is held for a look-up.
    pub(super) fn of(&self, upstream: &str) -> Arc<Allowance> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(upstream.into()).or_default())
    }
}

/// The newest second, and how much of it is used.
#[derive(Debug, Default)]
pub(super) struct Allowance(AtomicU64);

impl Allowance {
    /// Whether a call of this second since the Unix epoch gets a row, where `limit` do. A second
    /// that is over grants none.
    pub(super) fn grants(&self, second: u64, limit: u32) -> bool {
        let limit = u64::from(limit).min(USED);
        let take = |now: u64| {
            let (newest, used) = (now >> USED_BITS, now & USED);
            match second.cmp(&newest) {
                std::cmp::Ordering::Less => None,
                std::cmp::Ordering::Equal => (used < limit).then_some(now + 1),
                std::cmp::Ordering::Greater => (limit > 0).then_some((second << USED_BITS) | 1),
            }
        };
        self.0.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

/// The bits that count; those above are the second, which needs 40 only in 36,000 years.
const USED_BITS: u32 = 24;
const USED: u64 = (1 << USED_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::{Allowance, Allowances};

    #[test]
    fn a_second_grants_so_many_rows_and_the_next_one_as_many_again() {
        let allowance = Allowance::default();
        let granted = |second| (0..10).filter(|_| allowance.grants(second, 3)).count();
        assert_eq!([granted(100), granted(101), granted(100), granted(102)], [3, 3, 0, 3]);
    }

    #[test]
    fn nothing_is_granted_where_nothing_is_allowed() {
        assert!(!Allowance::default().grants(7, 0));
    }

    #[test]
    fn workers_share_the_allowance_of_an_upstream() {
        let all = Allowances::default();
        assert!(all.of("a").grants(7, 1));
        assert!(!all.of("a").grants(7, 1));
        assert!(all.of("b").grants(7, 1));
    }
}
