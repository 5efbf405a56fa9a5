//! What a listener takes from its callers at most.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Limits on what callers may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest request head, in bytes; longer ones get 431.
    pub head_bytes: usize,
    /// How long a head may take, from its first byte or from the beginning of the connection.
    pub head_timeout: Duration,
    /// How long the next call may let itself be waited for on a connection that is kept.
    pub idle_timeout: Duration,
    /// The longest request body, in bytes; longer ones get 413. None for no limit.
    pub body_bytes: Option<u64>,
    /// Connections at a time; beyond, new ones wait to be accepted.
    pub connections: NonZeroUsize,
    /// Calls at a time on one connection of HTTP/2.
    pub streams: NonZeroU32,
    /// Calls in all on one connection, after which it ends in order.
    pub requests: NonZeroU32,
}
