//! What became of warnings, and how good their signals are.

use super::fleet::{Fleet, MAX_PENDING};
use crate::{
    domain::learn::{
        formula::share::Share,
        warn::{
            Signal,
            event::Event,
            score::{Fate, Score},
        },
    },
    store::{Error, Prediction, WarningStore, Which},
};

/// Signals are judged by the warnings of so many days.
const DAYS: i64 = 30;

/// Warnings are kept for so many.
const KEPT: i64 = 90;

const DAY_US: i64 = 86_400_000_000;

/// Warnings, and openings, that a judgement stands on at most: the newest.
const MOST: u32 = 10_000;

/// Notes what has become of the warnings whose fate was open, and judges the signals anew where that
/// changes anything, or once an hour.
pub(super) async fn settle(
    store: &dyn WarningStore,
    fleet: &Fleet,
    now_us: i64,
) -> Result<(), Error> {
    let pending = store.predictions(Which::Pending, MAX_PENDING).await?;
    let since_us = pending.iter().map(|it| it.made_at_us).min();
    let mut is_changed = now_us.div_euclid(60_000_000).rem_euclid(60) == 0;
    if let Some(since_us) = since_us {
        let openings = store.openings(since_us, MOST).await?;
        for prediction in &pending {
            let fate = fate_of(prediction, fleet, &openings);
            if fate != Fate::Pending {
                store.resolve(prediction.id, fate).await?;
                is_changed = true;
            }
        }
    }
    if is_changed {
        let made = store.predictions(Which::Since(now_us - DAYS * DAY_US), MOST).await?;
        let openings = store.openings(now_us - DAYS * DAY_US, MOST).await?;
        for signal in Signal::ALL {
            store.keep_score(&(signal, score(signal, &made, &openings))).await?;
        }
        store.forget_predictions(now_us - KEPT * DAY_US).await?;
    }
    Ok(())
}

fn fate_of(prediction: &Prediction, fleet: &Fleet, openings: &[(String, i64)]) -> Fate {
    let notice = &prediction.notice;
    let of_it = openings.iter().filter(|(circuit, _)| is_of(circuit, &notice.subject.upstream));
    let seconds: Vec<i64> = of_it.map(|(_, at_us)| at_us.div_euclid(1_000_000)).collect();
    let event = Event::of(notice.signal, notice.bar);
    event.fate(&prediction.warning(), fleet.past(&notice.subject), &seconds, fleet.seen_until())
}

/// How good a signal's warnings were; of all openings of breakers it was to warn.
fn score(signal: Signal, made: &[Prediction], openings: &[(String, i64)]) -> Score {
    let made = || made.iter().filter(|it| it.notice.signal == signal);
    let is_warned = |(circuit, at_us): &&(String, i64)| {
        let at = at_us.div_euclid(1_000_000);
        made().any(|it| is_of(circuit, &it.notice.subject.upstream) && it.warning().covers(at))
    };
    let warned = openings.iter().filter(is_warned).count();
    let fates = made().map(|it| (it.notice.probability, it.fate));
    Score::tally(fates, Share::new(warned as u64, openings.len() as u64))
}

/// Whether a circuit is an upstream's, or that of a route to it.
fn is_of(circuit: &str, upstream: &str) -> bool {
    let rest = circuit.strip_prefix(upstream);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
