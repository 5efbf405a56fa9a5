//! Names of endpoints, resolved over and over so that no call has to wait for it.
//!
//! One loop for each name and port, whoever uses them. A name that fails keeps its last addresses;
//! the failure is told once, and so is its end. When connections fail the next round comes early,
//! but not more than one a second.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, Semaphore},
    time::{sleep_until, timeout},
};

use super::Live;
use crate::{
    clock,
    domain::{
        outcome::Reason,
        units::Percent,
        wait::{Backoff, spread},
    },
};

/// A resolver that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Names that are resolved at the same moment: each occupies a thread meanwhile.
pub(super) const AT_A_TIME: usize = 32;
/// Two rounds are at least this far apart, whoever asks for one.
const APART: Duration = Duration::from_secs(1);
/// Rounds of many names do not stay in step.
const JITTER: Percent = Percent::of(10);

/// Something that knows the addresses of names.
pub trait Lookup: Sync {
    /// The addresses of a name, each with the port.
    fn lookup(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The resolver of the system.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Lookup for System {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// One name and port.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    /// The shortest period that one of its users asks for.
    refresh: Duration,
    users: Vec<User>,
    /// Woken when its addresses may be out of date.
    doubt: Arc<Notify>,
    /// Whether it did not resolve when it was last looked up, which has been told.
    is_failing: Arc<AtomicBool>,
}

/// Two are the same when they are looked up for the same endpoints, and as often.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(one, two): (&User, &User)| {
            Arc::ptr_eq(&one.live, &two.live) && one.endpoint == two.endpoint
        };
        Arc::ptr_eq(&self.doubt, &other.doubt)
            && self.refresh == other.refresh
            && self.users.len() == other.users.len()
            && self.users.iter().zip(&other.users).all(is_same)
    }
}

/// An endpoint that is at the name.
#[derive(Debug)]
struct User {
    live: Arc<Live>,
    /// Its place among those of its upstream.
    endpoint: usize,
}

impl Name {
    /// One without users. What is known of it stays: hosts keep the means to call its addresses into
    /// doubt, and a failure that has been told is not told again.
    pub(super) fn of(host: &str, port: u16, known: &[Self]) -> Self {
        let same = known.iter().find(|name| (name.host.as_str(), name.port) == (host, port));
        let known = same.map(|name| (Arc::clone(&name.doubt), Arc::clone(&name.is_failing)));
        let (doubt, is_failing) = known.unwrap_or_default();
        let host = host.to_owned();
        Self { host, port, refresh: Duration::MAX, users: Vec::new(), doubt, is_failing }
    }

    pub(super) const fn doubt(&self) -> &Arc<Notify> {
        &self.doubt
    }

    pub(super) fn add(&mut self, live: &Arc<Live>, endpoint: usize, refresh: Duration) {
        self.refresh = self.refresh.min(refresh);
        self.users.push(User { live: Arc::clone(live), endpoint });
    }

    /// Resolves it for as long as it is polled.
    pub(super) async fn keep_fresh(&self, lookup: &impl Lookup, room: &Semaphore) {
        let mut backoff = Backoff::new(APART.min(self.refresh), self.refresh);
        loop {
            let answer = self.ask(lookup, room).await;
            let asked = clock::now();
            let wait = match answer {
                Ok(addresses) => {
                    self.resolved(&addresses);
                    backoff.reset();
                    spread(self.refresh, JITTER, fastrand::u64(..))
                }
                Err(error) => {
                    self.failed(&error);
                    backoff.next(fastrand::u64(..))
                }
            };
            self.wait(asked, asked + wait).await;
        }
    }

    async fn ask(&self, lookup: &impl Lookup, room: &Semaphore) -> io::Result<Vec<SocketAddr>> {
        // The semaphore is never closed.
        let _place = room.acquire().await.map_err(io::Error::other)?;
        let answer = timeout(ANSWER_WITHIN, lookup.lookup(&self.host, self.port)).await;
        let addresses = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }

    fn resolved(&self, addresses: &[SocketAddr]) {
        for User { live, endpoint } in &self.users {
            live.change(|directory| directory.resolved(*endpoint, addresses));
        }
        if self.is_failing.swap(false, Relaxed) {
            let (name, addresses) = (&*self.host, addresses.len());
            tracing::info!(name, addresses, "the name resolves again");
        }
    }

    fn failed(&self, error: &io::Error) {
        let reason = Reason::of_lookup(error);
        for User { live, endpoint } in &self.users {
            live.change(|directory| directory.failed(*endpoint, reason));
        }
        if !self.is_failing.swap(true, Relaxed) {
            let error = error as &dyn std::error::Error;
            tracing::warn!(
                name = &*self.host,
                error,
                "a name does not resolve; addresses that are known stay in use"
            );
        }
    }

    /// Waits until the next round is due, or is asked for and not too soon.
    async fn wait(&self, asked: Instant, due: Instant) {
        let early = async {
            self.doubt.notified().await;
            sleep_until((asked + APART).into()).await;
        };
        tokio::select! {
            () = sleep_until(due.into()) => {}
            () = early => {}
        }
    }
}
