//! One steady connection, made when it is first needed and again after it broke.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use tokio_postgres::{Client, error::SqlState};

use super::connection::{Connector, Link};
use crate::store::Error;

/// A place for one connection.
pub(super) struct Session {
    connector: Connector,
    /// Tokio's, for it is held while its one user waits for the database.
    place: Mutex<Option<Link>>,
}

/// The connection, lent to one user. Goes back when it is idle and whole; where the user gave up
/// in the middle of a statement, the server is told to stop and the connection is closed.
pub(super) struct Lease<'a> {
    connector: &'a Connector,
    /// Where it goes back to; one that is nobody else's yet has no place.
    place: Option<MutexGuard<'a, Option<Link>>>,
    /// None only while it is being dropped.
    link: Option<Link>,
    busy: AtomicBool,
}

impl Session {
    /// A place that is empty.
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, place: Mutex::new(None) }
    }

    /// Lends the connection, after making it where there is none.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Error> {
        let mut place = self.place.lock().await;
        let link = match place.take() {
            Some(link) if !link.client.is_closed() => link,
            _ => self.connector.connect().await?,
        };
        Ok(self.lent(Some(place), link))
    }

    /// Makes another connection, which nobody else has until it takes the place of the one there.
    pub(super) async fn another(&self) -> Result<Lease<'_>, Error> {
        Ok(self.lent(None, self.connector.connect().await?))
    }

    /// Puts this connection in the place, once who has the one there gave it back.
    pub(super) async fn replace<'a>(&'a self, mut by: Lease<'a>) {
        by.place = Some(self.place.lock().await);
    }

    fn lent<'a>(&'a self, place: Option<MutexGuard<'a, Option<Link>>>, link: Link) -> Lease<'a> {
        let busy = AtomicBool::new(false);
        Lease { connector: &self.connector, place, link: Some(link), busy }
    }
}

impl Lease<'_> {
    /// The connection itself.
    pub(super) fn link(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or_else(Error::too_slow)
    }

    /// Does some work on the connection, but not for longer than `limit`. A connection that did not
    /// end its work is of no more use, nor is one to a server that only reads by now: the next is made
    /// to one that writes.
    pub(super) async fn within<'l, T, F>(
        &'l self,
        limit: Duration,
        work: impl FnOnce(&'l Client) -> F + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
    {
        let client = &self.link()?.client;
        self.busy.store(true, Ordering::Relaxed);
        let result = timeout(limit, work(client)).await.map_err(|_| Error::too_slow())?;
        let has_moved = result.as_ref().err().and_then(tokio_postgres::Error::code)
            == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        self.busy.store(has_moved, Ordering::Relaxed);
        Ok(result?)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let link = self.link.take().filter(|link| !link.client.is_closed());
        if self.busy.load(Ordering::Relaxed) {
            link.iter().for_each(|link| self.connector.cancel(&link.client));
        } else if let Some(place) = &mut self.place {
            **place = link;
        }
    }
}
