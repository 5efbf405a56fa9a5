//! Folding: one row that stands for many calls, so that a caller looping on an open breaker cannot
//! flood the store.
//!
//! What counts stays exact: the weights add up to the calls. What only describes (ids, method,
//! endpoint) is the first call's. Pure.

use crate::domain::task::CallRecord;

/// A row that stands for one call, and for more as they are added.
#[derive(Debug, Clone)]
pub struct Folded {
    row: CallRecord,
    duration_us: u64,
    request_bytes: u64,
    response_bytes: u64,
}

impl Folded {
    /// Begins with this row.
    pub fn new(row: CallRecord) -> Self {
        let weighed = |value: u64| value.saturating_mul(u64::from(row.weight));
        Self {
            duration_us: weighed(row.duration_us),
            request_bytes: weighed(row.request_bytes),
            response_bytes: weighed(row.response_bytes),
            row,
        }
    }

    /// Lets the row stand for `call` too. False, and nothing is changed, when the weight would not
    /// fit its column.
    #[must_use]
    pub fn add(&mut self, call: &CallRecord) -> bool {
        let sum = self.row.weight.checked_add(call.weight);
        let Some(weight) = sum.filter(|&weight| i32::try_from(weight).is_ok()) else {
            return false;
        };
        let times = u64::from(call.weight);
        let add = |to: &mut u64, value: u64| *to = to.saturating_add(value.saturating_mul(times));
        self.row.weight = weight;
        add(&mut self.duration_us, call.duration_us);
        add(&mut self.request_bytes, call.request_bytes);
        add(&mut self.response_bytes, call.response_bytes);
        true
    }

    /// The row as it began; its weight is that of now.
    pub const fn row(&self) -> &CallRecord {
        &self.row
    }

    /// What it adds up to: calls, their durations in µs, their request and response bytes.
    pub const fn sums(&self) -> [u64; 4] {
        [self.row.weight as u64, self.duration_us, self.request_bytes, self.response_bytes]
    }

    /// The row, with the means of what it stands for.
    pub fn into_row(self) -> CallRecord {
        let weight = u64::from(self.row.weight.max(1));
        CallRecord {
            duration_us: self.duration_us / weight,
            request_bytes: self.request_bytes / weight,
            response_bytes: self.response_bytes / weight,
            ..self.row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Folded;
    use crate::{domain::task::CallRecord, history::samples};
    use proptest::prelude::{Strategy, any, proptest};

    fn call((weight, duration_us, bytes): (u32, u64, u64)) -> CallRecord {
        let (request_bytes, response_bytes) = (bytes, bytes / 2);
        let row = samples::refused(&samples::site("payments"));
        CallRecord { weight, duration_us, request_bytes, response_bytes, ..row }
    }

    fn numbers() -> impl Strategy<Value = (u32, u64, u64)> {
        (1_u32..5_000, 0_u64..100_000_000, 0_u64..1_000_000)
    }

    proptest! {
        #[test]
        fn a_folded_row_weighs_all_its_calls_and_tells_their_means(first in numbers(), rest in proptest::collection::vec(numbers(), 0..20)) {
            let mut folded = Folded::new(call(first));
            assert!(rest.iter().all(|&numbers| folded.add(&call(numbers))));
            let all: Vec<_> = std::iter::once(first).chain(rest).collect();
            let sum = |of: fn(&(u32, u64, u64)) -> u64| all.iter().map(|c| u64::from(c.0) * of(c)).sum::<u64>();
            let weight = sum(|_| 1);
            assert_eq!(folded.sums(), [weight, sum(|c| c.1), sum(|c| c.2), sum(|c| c.2 / 2)]);
            let row = folded.into_row();
            assert_eq!((u64::from(row.weight), row.duration_us), (weight, sum(|c| c.1) / weight));
        }

        #[test]
        fn a_weight_stays_within_its_column(weight in any::<u32>()) {
            let mut folded = Folded::new(call((1, 7, 7)));
            let fits = weight < i32::MAX.unsigned_abs();
            assert_eq!(folded.add(&call((weight, 7, 7))), fits);
            assert_eq!(folded.sums()[0], if fits { u64::from(weight) + 1 } else { 1 });
        }
    }
}
