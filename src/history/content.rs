//! What of a lot goes to the store: all rows or a sample of them, and the sums of all.

use super::{journal::Lot, parts::What, sample};
use crate::domain::{
    learn::rollup::{self, Rollup, RollupKey},
    task::CallRecord,
};

/// The rows to store, where they are not those that were read, and the sums. Of so many successes one
/// is kept.
pub(super) fn of(
    lot: &Lot,
    rows: &[CallRecord],
    what: What,
    sample_successes: u32,
) -> (Option<Vec<CallRecord>>, Vec<(RollupKey, Rollup)>) {
    let service = &lot.origin.service;
    match what {
        What::Rows => {
            let kept = (sample_successes > 1).then(|| sample::thin(rows, sample_successes));
            let mut deltas = rollup::deltas(service, rows, kept.as_deref().unwrap_or(rows));
            deltas.extend(lot.sums.iter().cloned());
            (kept, deltas)
        }
        What::Sums => (Some(Vec::new()), rollup::deltas(service, rows, &[])),
        What::Nothing => (Some(Vec::new()), Vec::new()),
    }
}
