//! How many connections an upstream has, over all threads, and who may make the next one.
//!
//! Connections belong to threads, the leave to have one to the upstream. Where none is left, idle
//! ones of any thread are closed for those who wait, first come first served; one whose exchange is
//! over may instead carry the call of one who waits for it on the same thread.

use std::{
    any::Any,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    Host, Live,
    gate::{Entry, Place, Turn, Wish},
};
use crate::domain::outcome::Reason;

/// A connection of whatever kind the data plane has.
pub(super) type Kept = Box<dyn Any + Send>;

impl Live {
    /// Leave to make a connection to a host if there is room and nobody waits for it.
    pub fn try_connection(&self, host: &Arc<Host>) -> Option<ConnectionPermit> {
        self.connections.try_enter().map(|place| ConnectionPermit::new(place, host))
    }

    /// Leave to make a connection to a host; waits until then at most. All threads are told to close
    /// idle connections.
    ///
    /// # Errors
    /// `no_connection` when too many wait, or when it waited for too long.
    pub async fn connection(
        &self,
        host: &Arc<Host>,
        until: Instant,
    ) -> Result<ConnectionPermit, Reason> {
        match self.turn(None, until).await? {
            Turn::Place(place) => Ok(ConnectionPermit::new(place, host)),
            // Nobody gives what was not wished for.
            Turn::Gift(_) => Err(Reason::NoConnection),
        }
    }

    /// The same, or a connection to the host that the same thread does not need any more: see
    /// [`Live::keep`], which must be given the same `thread` and the same kind of connection.
    ///
    /// # Errors
    /// As above.
    pub async fn connection_or_kept<C: Any + Send>(
        &self,
        host: &Arc<Host>,
        thread: usize,
        until: Instant,
    ) -> Result<Leave<C>, Reason> {
        match self.turn(Some(wish(host, thread)), until).await? {
            Turn::Place(place) => Ok(Leave::Make(ConnectionPermit::new(place, host))),
            Turn::Gift(kept) => {
                kept.downcast().map(|c| Leave::Use(*c)).map_err(|_| Reason::NoConnection)
            }
        }
    }

    /// What to do with a connection (its permit in it) whose exchange is over: keep it if it comes
    /// back. It does not when others wait: then it is given to one of this thread that waits for
    /// just that, or closed so that another can be made.
    pub fn keep<C: Any + Send>(
        &self,
        host: &Arc<Host>,
        thread: usize,
        connection: C,
        now: Instant,
    ) -> Option<C> {
        if !self.is_hungry() {
            return Some(connection);
        }
        let refused = self.connections.give(wish(host, thread), Box::new(connection), now);
        // Closing it calls the first in line, if somebody still waits.
        drop(refused);
        None
    }

    async fn turn(&self, wish: Option<Wish>, until: Instant) -> Result<Turn<Kept>, Reason> {
        match self.connections.join(wish).map_err(|_| Reason::NoConnection)? {
            Entry::Inside(place) => Ok(Turn::Place(place)),
            Entry::InLine(wait) => {
                self.hunger.send_replace(());
                let waited = tokio::time::timeout_at(until.into(), wait).await;
                waited.map_err(|_| Reason::NoConnection)
            }
        }
    }

    /// Whether somebody waits for leave to make a connection, so that none is to be kept idle.
    pub fn is_hungry(&self) -> bool {
        self.connections.waiting() > 0
    }

    /// Connections, idle ones included.
    pub fn connections(&self) -> u32 {
        self.connections.inside()
    }

    /// Attempts that wait for a connection.
    pub fn pending(&self) -> u32 {
        self.connections.waiting()
    }
}

/// Leave for one connection, to be kept with it. Dropped, another may be made.
#[derive(Debug)]
#[must_use = "a permit that is not held allows nothing"]
pub struct ConnectionPermit {
    host: Arc<Host>,
    _place: Place<Kept>,
}

impl ConnectionPermit {
    fn new(place: Place<Kept>, host: &Arc<Host>) -> Self {
        host.connections.fetch_add(1, Ordering::Relaxed);
        Self { host: Arc::clone(host), _place: place }
    }

    /// Where the connection goes.
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.host.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one got who waited for a connection.
#[derive(Debug)]
pub enum Leave<C> {
    /// Leave to make one.
    Make(ConnectionPermit),
    /// One that has carried others.
    Use(C),
}

/// What tells connections apart that can be given: a host is where it is for as long as one waits.
fn wish(host: &Arc<Host>, thread: usize) -> Wish {
    Wish { host: Arc::as_ptr(host).addr(), thread }
}
