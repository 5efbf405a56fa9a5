//! The SQL of words against the rules that it puts into another language: random words are said to
//! both, and after each both must say the same. Now and then the database loses the breaker.

use std::{num::NonZeroU32, time::Duration};

use fusebox::{
    domain::{
        breaker::{Cause, Shared, State},
        fleet::{
            entry::{Entry, Moment, Speaker},
            memory::Known,
            row::Row,
            word::{Opening, Vote, Word},
        },
        quorum::Quorum,
        units::Percent,
    },
    store::Kind,
};

use crate::fixture::{Store, presence, said};

/// Schedules, and words in each.
const SCHEDULES: u64 = 40;
const WORDS: usize = 30;
/// Times are either over at once or last far longer than the test.
const LONG: Duration = Duration::from_secs(10_000);
/// With a namespace.
const FORGET: &str = "delete from circuit_breaker_state where namespace";

#[tokio::test]
async fn the_database_follows_the_rules() {
    for store in Store::both().await {
        // The embedded store is used by one instance alone.
        let names = if store.kind == Kind::Sqlite { &["a"][..] } else { &["a", "b", "c"] };
        for seed in 0..SCHEDULES {
            let mut dice = fastrand::Rng::with_seed(seed);
            let namespace = format!("schedule-{seed}");
            let instances: Vec<_> =
                names.iter().map(|name| store.open_in(&namespace, name).state).collect();
            for state in &instances {
                state.heartbeat(&presence(LONG)).await.unwrap();
            }
            let members = [7; 3];
            let (mut entry, mut clock) = (None, 1_000_000 as Moment);
            for step in 0..WORDS {
                let at = dice.usize(..names.len());
                if store.kind == Kind::Postgres && dice.u8(..20) == 0 {
                    entry = None;
                    store.psql(&format!("{FORGET} = '{namespace}'"));
                }
                // Without an entry any epoch is as good.
                let mut after = entry.clone().unwrap_or_else(|| Entry::new(dice.u64(..3)));
                let stale = entry.is_some() && dice.u8(..8) == 0;
                let epoch = if stale { after.epoch.wrapping_sub(1).min(99) } else { after.epoch };
                let word = any_word(&mut dice, &after);
                clock += 1_000;
                let by =
                    Speaker { instance: names[at], members: &members[..names.len()], now: clock };
                let expected = after.hear(epoch, &word, by);
                let heard = instances[at].say(&said(epoch, word.clone())).await.unwrap();
                let place = format!("{:?}, seed {seed}, word {step}: {word:?}", store.kind);
                assert_eq!(heard.is_done, expected, "{place}, {after:?}");
                let row = heard.row.map_or_else(|| Row::none(after.epoch), |stored| stored.row);
                assert_eq!(shape(&row), shape(&after.row(names[at], clock)), "{place}");
                if entry.is_some() || expected {
                    entry = Some(after);
                }
            }
        }
    }
}

/// A row without what the clock does to it.
fn shape(row: &Row) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (row.epoch, row.state, row.cause, row.step, row.failure_count, row.by_connection),
        (row.open_for.is_zero(), row.electorate),
        row.round.map(|round| round.electorate),
        row.hold.map(|hold| (hold.lease, hold.is_mine)),
        row.doubt.map(|doubt| doubt.is_mine),
    )
}

fn any_word(dice: &mut fastrand::Rng, entry: &Entry) -> Word {
    let span = |dice: &mut fastrand::Rng| if dice.bool() { LONG } else { Duration::ZERO };
    let open_for = span(dice);
    let opening = Opening {
        open_for,
        step: dice.u32(1..9),
        failure_count: dice.u32(1..9),
        cause: *dice.choice(&[Cause::ConsecutiveFailures, Cause::SlowCalls]).expect("there is one"),
        by_connection: dice.bool(),
    };
    // Mostly the lease that is held.
    let held = entry.lease.as_ref().map_or(5, |(lease, ..)| *lease);
    let lease = if dice.u8(..5) == 0 { dice.u128(..) } else { held };
    let quorums = [
        Quorum::Majority,
        Quorum::Count(NonZeroU32::new(dice.u32(1..4)).expect("it is more than 0")),
        Quorum::Share(Percent::from_basis_points(5_000).expect("there is one")),
    ];
    match dice.u8(..18) {
        0..=2 => Word::Suspect { within: LONG, opening },
        3..=5 => Word::Vote(
            *dice.choice(&[Vote::Bad, Vote::Bad, Vote::Good, Vote::Abstain]).expect("there is one"),
        ),
        6..=8 => Word::Trip { quorum: quorums[dice.usize(..3)] },
        9 | 10 => Word::Acquire { lease: dice.u128(..), ttl: LONG, is_early: dice.bool() },
        11 => Word::Renew { lease, ttl: LONG },
        12 => Word::Pass { lease, ramp: span(dice) },
        13 => Word::Fail { lease, opening },
        14 if dice.u8(..8) == 0 => Word::Reset,
        14 if dice.bool() => Word::Confirm { opening, after: span(dice) },
        14 => Word::Release { lease },
        15 => Word::Close { ramp: span(dice) },
        _ => Word::Restore(any_known(dice, entry, opening)),
    }
}

/// What somebody may know: of an epoch about this one, for no time or for longer than the test.
fn any_known(dice: &mut fastrand::Rng, entry: &Entry, opening: Opening) -> Known {
    let state = *dice.choice(&State::ALL).expect("there is one");
    let age = if dice.bool() { LONG } else { Duration::ZERO };
    let is_open = matches!(state, State::Open | State::HalfOpen);
    let shared = Shared {
        epoch: (entry.epoch + dice.u64(..4)).saturating_sub(1),
        state,
        open_for: if is_open { opening.open_for } else { Duration::ZERO },
        ramp_age: age,
        step: opening.step,
        failure_count: opening.failure_count,
        cause: opening.cause,
        by_connection: opening.by_connection,
    };
    Known { shared, age }
}
