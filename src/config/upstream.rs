//! What an upstream may take at a time, and where its endpoints are.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

/// What an upstream may take at a time, over all data-plane threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Connections, idle ones included.
    pub connections: NonZeroU32,
    /// Attempts that wait for one of them; beyond, they are refused.
    pub pending: u32,
    /// Calls in flight; none for as many as come.
    pub concurrency: Option<NonZeroU32>,
    /// Calls that wait for others to end; beyond, they are refused.
    pub queue: u32,
    /// How long they wait at most.
    pub queue_timeout: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connections: NonZeroU32::MIN.saturating_add(1_023),
            pending: 1_024,
            concurrency: None,
            queue: 128,
            queue_timeout: Duration::from_millis(250),
        }
    }
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At an address that was written as numbers.
    Address(SocketAddr),
    /// At a name that must be resolved, and a port.
    Name(String, u16),
    /// At a Unix socket.
    Unix(PathBuf),
}
