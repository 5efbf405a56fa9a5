//! An outage of a store, told once: a line when it begins and one when it is over.
//!
//! Each part that talks to a store follows it with an [`Outage`] of its own, for each has its own
//! connection and its own consequence to tell.

use std::{error::Error as _, time::Instant};

use tracing::{error, info, warn};

use super::Error;

/// See the module docs.
#[derive(Debug)]
pub struct Outage {
    consequence: &'static str,
    standing: Standing,
}

#[derive(Debug, Clone, Copy)]
enum Standing {
    Well,
    Away { since: Instant },
    Refusing { since: Instant },
}

impl Outage {
    /// The store is taken to be well until it fails. `consequence` is what it means for people
    /// that it is away: a sentence for the log.
    pub const fn new(consequence: &'static str) -> Self {
        Self { consequence, standing: Standing::Well }
    }

    /// The store failed. Tells so unless it has been told.
    pub fn failed(&mut self, cause: &Error, now: Instant) {
        let since = match self.standing {
            Standing::Well => now,
            Standing::Away { since } | Standing::Refusing { since } => since,
        };
        let refuses = !matches!(cause, Error::Unavailable(_));
        match (refuses, self.standing) {
            (false, Standing::Well) => {
                warn!(error = causes(cause), consequence = self.consequence, "the store is away");
                self.standing = Standing::Away { since };
            }
            (true, Standing::Well | Standing::Away { .. }) => {
                let consequence = self.consequence;
                error!(error = causes(cause), consequence, "the store refuses: it needs a person");
                self.standing = Standing::Refusing { since };
            }
            (false, _) | (true, Standing::Refusing { .. }) => {}
        }
    }

    /// The store answered. Tells so if it was away.
    pub fn over(&mut self, now: Instant) {
        if let Standing::Away { since } | Standing::Refusing { since } = self.standing {
            let away_ms = now.saturating_duration_since(since).as_millis();
            info!(away_ms = u64::try_from(away_ms).unwrap_or(u64::MAX), "the store is back");
            self.standing = Standing::Well;
        }
    }

    /// Whether the store failed when it was last asked.
    pub const fn is_on(&self) -> bool {
        !matches!(self.standing, Standing::Well)
    }
}

/// An error with all its causes, on one line, for the log.
pub fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Outage, causes};
    use crate::store::Error;

    #[test]
    fn an_error_is_shown_with_its_causes() {
        let error = Error::Unavailable("connection refused".into());
        assert_eq!(causes(&error), "the store is unavailable: connection refused");
    }

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_success() {
        let (now, mut outage) = (crate::clock::now(), Outage::new("nothing happens"));
        assert!(!outage.is_on());
        outage.failed(&Error::Unavailable("away".into()), now);
        outage.failed(&Error::Refused("no such table".into()), now);
        assert!(outage.is_on());
        outage.over(now);
        assert!(!outage.is_on());
    }
}
