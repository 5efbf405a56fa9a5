//! How the exchange with the fleet stands, for the admin port and metrics.

use std::time::{Duration, Instant};

/// How changes of others are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// The store hints at them, and it is polled now and then besides.
    Listen,
    /// The store is polled.
    Poll,
    /// Not at all: no breaker is shared.
    Off,
}

impl SyncMode {
    /// The name in the API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Poll => "poll",
            Self::Off => "off",
        }
    }
}

/// The exchange at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How changes of others are noticed.
    pub mode: SyncMode,
    /// When the store was last read; none before the first time.
    pub last_ok: Option<Instant>,
    /// Whether the store failed when it was last asked.
    pub is_away: bool,
    /// The last error, also when it is long over.
    pub last_error: Option<String>,
    /// Instances that live, this one included; zero before the first heartbeat.
    pub live: u32,
    /// States taken from others.
    pub adopted: u64,
    /// States given to others.
    pub published: u64,
    /// States that another was faster with.
    pub lost: u64,
}

impl Status {
    /// Nothing has happened yet.
    pub(super) const fn new(mode: SyncMode) -> Self {
        Self {
            mode,
            last_ok: None,
            is_away: false,
            last_error: None,
            live: 0,
            adopted: 0,
            published: 0,
            lost: 0,
        }
    }

    /// How old the knowledge about others is; none before the store was first read.
    pub fn lag(&self, now: Instant) -> Option<Duration> {
        self.last_ok.map(|at| now.saturating_duration_since(at))
    }
}
