//! Learning: what the tasks of each day came to, and what follows from that.
//!
//! When a day is over, one instance adds up the rows of its tasks that had parameters. What is kept
//! are counts and sums, so that a month can be looked at in a moment, long after its rows have
//! expired; what to recommend is worked out from them whenever somebody asks.

mod advisor;
mod day;
mod parameters;
pub mod waits;
pub mod warnings;

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;
use tracing::{debug, error};

pub use advisor::Advisor;

use self::day::Sums;
use crate::{
    clock,
    domain::{learn::evidence::Day, units::Percent, wait::spread},
    store::{Error, LearningStore, LessonQuery, causes},
};

/// How often it is looked for days to add up.
const EVERY: Duration = Duration::from_secs(600);

/// How soon it is looked again when the store was away.
const AGAIN: Duration = Duration::from_secs(20);

/// How far apart instances that started together drift: 50 %.
const JITTER: Option<Percent> = Percent::from_basis_points(5_000);

/// Days whose rows are looked for: rows may be older, but nobody has waited for them.
const BACK: Day = 14;

/// Days that are kept.
const KEPT: Day = 60;

/// Rows in a page.
const PAGE: u32 = 5_000;

/// Adds up days that are over, until it is dropped.
pub async fn forever(store: &dyn LearningStore) -> Infallible {
    let mut is_told = false;
    loop {
        let mut wait = EVERY;
        match add_up_all(store, today()).await {
            Ok(()) => is_told = false,
            // An outage is the writer's to tell.
            Err(Error::Unavailable(cause)) => {
                wait = AGAIN;
                debug!(error = cause, "no day was added up");
            }
            Err(cause) if !is_told => {
                is_told = true;
                error!(error = causes(&cause), "days cannot be added up for learning");
            }
            Err(_) => {}
        }
        sleep(spread(wait, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..))).await;
    }
}

/// Adds up the days before this one that nobody has.
async fn add_up_all(store: &dyn LearningStore, today: Day) -> Result<(), Error> {
    for day in (today - BACK)..today {
        if store.claim_day(day).await? {
            add_up(store, day).await?;
        }
    }
    store.forget_days(today - KEPT).await
}

async fn add_up(store: &dyn LearningStore, day: Day) -> Result<(), Error> {
    let mut query = LessonQuery { day, after: None, limit: PAGE };
    let mut sums = Sums::default();
    loop {
        let lessons = store.lessons(&query).await?;
        lessons.iter().for_each(|lesson| sums.take(lesson));
        query.after = lessons.last().map(|last| (last.started_at_us, last.id));
        if lessons.len() < PAGE as usize {
            break;
        }
        store.keep_day(day).await?;
    }
    let tasks = sums.tasks();
    for (operation, cells) in sums.into_cells(day) {
        store.learn(&operation, day, &cells).await?;
    }
    store.day_is_learned(day, tasks).await
}

/// The day that it is, UTC.
fn today() -> Day {
    Day::try_from(clock::wall_us().div_euclid(86_400_000_000)).unwrap_or(Day::MAX)
}
