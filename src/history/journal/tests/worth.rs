//! What lost rows were worth, in their sums.

use std::sync::Arc;

use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        outcome::Outcome,
    },
    history::journal::{
        bytes::Reader,
        codec::{lost, put_lost},
        vocabulary::{Vocabulary, put_names},
    },
};

fn sum(minute: i64, count: u64, scored: u64) -> (RollupKey, Rollup) {
    let key = RollupKey {
        minute,
        service: Arc::from("orders"),
        upstream: "pay".into(),
        domain: "billing".into(),
        action: "charge".into(),
        outcome: Outcome::Success,
        reason: None,
    };
    let impact_micros = i64::try_from(scored).unwrap() * -5;
    let worth =
        Rollup { scored, impact_micros, priced: scored, cost_nanos: 7, ..Rollup::default() };
    (key, Rollup { count, ..if scored > 0 { worth } else { Rollup::default() } })
}

#[test]
fn sums_keep_what_their_rows_were_worth_and_without_it_are_as_they_were() {
    let mut names = Vec::new();
    put_names(&mut names);
    let words = Vocabulary::read(&mut Reader(&names)).unwrap();
    let worthless = [sum(1, 5, 0), sum(2, 6, 0)];
    let mixed = [sum(1, 5, 0), sum(2, 6, 3), sum(3, 1, 1)];
    for sums in [&worthless[..], &mixed[..]] {
        let mut record = Vec::new();
        assert_eq!(put_lost(&mut record, 7, sums), sums.len());
        assert_eq!(lost(&record, &words).unwrap().sums, sums);
    }
    // What an older version wrote ends behind the sums.
    let (mut with, mut without) = (Vec::new(), Vec::new());
    put_lost(&mut with, 7, &mixed);
    put_lost(&mut without, 7, &[sum(1, 5, 0), sum(2, 6, 0), sum(3, 1, 0)]);
    assert_eq!(with.len(), without.len() + 3 * 32);
    assert!(with.starts_with(&without));
}

#[test]
fn a_record_of_many_sums_fits_its_frame() {
    let sums: Vec<_> = (0..2_000).map(|minute| sum(minute, 1, 1)).collect();
    let mut record = Vec::new();
    let fitting = put_lost(&mut record, 7, &sums);
    assert!(fitting > 100 && record.len() <= crate::history::journal::frame::MAX_PAYLOAD);
}
