//! What an upstream may take at a time, and where its endpoints are.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};

use crate::domain::capture::Preset;

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

/// What an upstream is asked with in place of what callers send: they need no key of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whose key it is.
    pub provider: Preset,
    /// The header that it goes in.
    pub header: HeaderName,
    /// The header's value, which never shows itself.
    pub value: HeaderValue,
}

/// What is done with what calls teach about how long an answer is worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedTimeout {
    /// What.
    pub mode: LearnedMode,
    /// The shortest wait that is learned.
    pub floor: Duration,
    /// The longest.
    pub ceiling: Duration,
}

/// See [`LearnedTimeout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnedMode {
    /// Nothing is learned.
    Off,
    /// It is shown.
    Observe,
    /// It may lengthen the configured timeout, up to the ceiling.
    Widen,
}

impl Default for LearnedTimeout {
    fn default() -> Self {
        let (floor, ceiling) = (Duration::from_millis(500), Duration::from_secs(60));
        Self { mode: LearnedMode::Observe, floor, ceiling }
    }
}

/// An active check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for with GET.
    pub path: String,
    /// How often.
    pub every: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
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

impl Location {
    /// Whether it is on this machine, as far as that can be told from how it is written.
    pub fn is_here(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Name(name, _) => name.eq_ignore_ascii_case("localhost"),
            Self::Unix(_) => true,
        }
    }
}
