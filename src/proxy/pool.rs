//! Idle upstream connections of one endpoint and one worker.
//!
//! Last in, first out, so that a quiet hour lets most of them go. How long they may be idle is below the
//! usual keep-alive of servers, so that it is rarely they who close first. How old a connection may
//! become in all is another matter: [`super::age`].

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use super::h1::Outbound;
use crate::config;

#[derive(Debug)]
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    limit: usize,
    idle_timeout: Duration,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Outbound>,
    since: Instant,
}

impl Pool {
    pub(super) const fn new(settings: config::Pool) -> Self {
        Self {
            idle: RefCell::new(Vec::new()),
            limit: settings.idle,
            idle_timeout: settings.idle_timeout,
        }
    }

    /// The youngest connection that still stands.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Outbound>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, since }) = idle.pop() {
            if now.saturating_duration_since(since) > self.idle_timeout {
                // The ones below are older still.
                idle.clear();
                return None;
            }
            if !connection.is_worn(now) && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn put(&self, connection: Box<Outbound>, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.limit {
            idle.push(Idle { connection, since: now });
        }
    }

    /// Closes one; whether there was one.
    pub(super) fn close_one(&self) -> bool {
        let idle = self.idle.borrow_mut().pop();
        idle.is_some()
    }

    /// Closes what has been idle for too long, is too old, or was closed by the other side.
    pub(super) fn sweep(&self, now: Instant) {
        let rested = |idle: &Idle| now.saturating_duration_since(idle.since) > self.idle_timeout;
        let is_kept = |idle: &mut Idle| {
            !rested(idle) && !idle.connection.is_worn(now) && idle.connection.is_quiet()
        };
        self.idle.borrow_mut().retain_mut(is_kept);
    }
}
