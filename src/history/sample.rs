//! Sampling: of many successes one row, which weighs as much as all of them.
//!
//! Only where it is configured. Sums are made of every call before this, so statistics stay exact;
//! what thins out is the rows that one can look at. Pure.

use std::collections::HashMap;

use crate::domain::{outcome::Outcome, report, task::CallRecord};

/// The rows to store: of `every` successes of a site one, the first, with the weight of all; others
/// as they are. Every call's weight is in exactly one row.
pub(super) fn thin(rows: &[CallRecord], every: u32) -> Vec<CallRecord> {
    let mut kept: Vec<CallRecord> = Vec::new();
    // By the address of the site: its row, and for how many rows that stands.
    let mut standing: HashMap<usize, (usize, u32)> = HashMap::new();
    for row in rows {
        // A report that comes again is known by its row.
        if row.outcome != Outcome::Success || report::is_one(row) {
            kept.push(row.clone());
            continue;
        }
        let place = standing.entry(std::sync::Arc::as_ptr(&row.site).addr()).or_default();
        let stands_for_more = (1..every).contains(&place.1);
        let weighed = kept
            .get_mut(place.0)
            .filter(|_| stands_for_more)
            .and_then(|first| Some((first.weight.checked_add(row.weight)?, first)));
        if let Some((weight, first)) = weighed
            && i32::try_from(weight).is_ok()
        {
            first.weight = weight;
            place.1 += 1;
        } else {
            *place = (kept.len(), 1);
            kept.push(row.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::thin;
    use crate::{
        domain::{outcome::Outcome, task::CallRecord},
        history::samples,
    };
    use proptest::prelude::proptest;

    proptest! {
        #[test]
        fn weights_stay_and_only_successes_thin_out(calls in proptest::collection::vec((0_usize..3, 0_usize..4), 0..60), every in 1_u32..6) {
            let sites = ["a", "b", "c"].map(samples::site);
            let rows: Vec<CallRecord> = calls
                .iter()
                .map(|&(site, kind)| match kind {
                    0 => samples::failure(&sites[site]),
                    _ => samples::success(&sites[site]),
                })
                .collect();
            let kept = thin(&rows, every);
            for site in &sites {
                let of = |rows: &[CallRecord], outcome| -> Vec<u32> {
                    let here = rows.iter().filter(|row| row.site == *site && row.outcome == outcome);
                    here.map(|row| row.weight).collect()
                };
                let before = of(&rows, Outcome::Success).len();
                let after = of(&kept, Outcome::Success);
                assert_eq!(after.iter().sum::<u32>(), u32::try_from(before).unwrap());
                assert_eq!(after.len(), before.div_ceil(usize::try_from(every).unwrap()));
                assert_eq!(of(&kept, Outcome::Failure), of(&rows, Outcome::Failure));
            }
        }
    }
}
