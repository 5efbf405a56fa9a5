//! How the exchange with the fleet stands, for the admin port and metrics.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use crate::domain::fleet::drift::Drift;

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
    /// Why the store is polled though it might tell; none while it does.
    pub because: Option<String>,
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
    /// What fails here and works for others; none while that is not more than chance.
    pub sick: Option<Sick>,
    /// Who has other rules, by the breaker's name, and when that was read.
    pub drifts: BTreeMap<String, (Drift, Instant)>,
}

/// This instance is what fails, and not what it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sick {
    /// The breakers that are open here, while most of the others say that it works.
    pub failing: Vec<String>,
    /// Of how many that are called here.
    pub of: u32,
}

impl fmt::Display for Sick {
    /// A sentence without its stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, names) = (self.failing.len(), self.failing.join(", "));
        write!(
            f,
            "{count} of the {} upstreams that are called here fail here and work for others \
             ({names}): it is this instance, not the upstreams",
            self.of
        )
    }
}

impl Status {
    /// Nothing has happened yet.
    pub(super) const fn new(mode: SyncMode) -> Self {
        Self {
            mode,
            because: None,
            last_ok: None,
            is_away: false,
            last_error: None,
            live: 0,
            adopted: 0,
            published: 0,
            lost: 0,
            sick: None,
            drifts: BTreeMap::new(),
        }
    }

    /// How old the knowledge about others is; none before the store was first read.
    pub fn lag(&self, now: Instant) -> Option<Duration> {
        self.last_ok.map(|at| now.saturating_duration_since(at))
    }
}
