//! The tables' upkeep: partitions ahead, retention behind; at start and every minute.
//!
//! Every instance asks, and the store lets one do it. An outage is the writer's to tell; a refusal
//! is told here, once, because rows can still be written for a day or so before it hurts.

use std::{convert::Infallible, time::Duration};

use tokio::time::{sleep, timeout};
use tracing::error;

use crate::{
    domain::{
        units::Percent,
        wait::{Backoff, spread},
    },
    store::{Error, HistoryStore, causes},
};

/// How often the upkeep is done.
const EVERY: Duration = Duration::from_secs(60);

/// How far apart instances that started together drift: 10 %.
const JITTER: Option<Percent> = Percent::from_basis_points(1_000);

/// How long it may take: dropping a partition waits for readers.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Waits after a failure.
const RETRIES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));

/// Keeps the tables until it is dropped.
pub(super) async fn forever(store: &dyn HistoryStore, retention: Duration) -> Infallible {
    let (mut retries, mut is_told) = (RETRIES, false);
    loop {
        let result = timeout(TIME_LIMIT, store.maintain(retention)).await;
        let wait = match result.unwrap_or_else(|late| Err(Error::Unavailable(late.into()))) {
            Ok(()) => {
                (retries, is_told) = (RETRIES, false);
                spread(EVERY, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..))
            }
            Err(cause) => {
                if !is_told && !matches!(cause, Error::Unavailable(_)) {
                    error!(error = causes(&cause), "the store refuses the upkeep of its tables");
                    is_told = true;
                }
                retries.next(fastrand::u64(..))
            }
        };
        sleep(wait).await;
    }
}
