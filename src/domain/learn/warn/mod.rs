//! Early warnings: what is about to go wrong, said only where it can be held to.
//!
//! Each [`Signal`] has a file with what it may claim; [`operation`] feeds them what [`past`] remembers
//! of an operation, and [`claim`] has the words. None claims the probability of a failure to come;
//! what it did claim is kept, held to an [`event`] and [scored](score), and a signal that is mostly
//! wrong falls silent.

pub mod claim;
pub mod event;
pub mod operation;
pub mod past;

pub mod burn;
pub mod cusum;
pub mod failures;
pub mod headroom;
pub mod latency;
pub mod saturation;
pub mod score;
pub mod season;
pub mod trend;

/// What a warning is about, the most telling first. The names are stored, so they are never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Failures have become more frequent.
    Failures,
    /// Calls take longer than they used to.
    Latency,
    /// At this rate, the error budget is gone before its time.
    Budget,
    /// Calls come close to their timeout.
    Headroom,
    /// Calls take longer by the hour and will reach their timeout.
    Trend,
    /// This hour is unlike the same hour of other weeks.
    Season,
    /// Calls in flight come close to their limit.
    Saturation,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Failures,
        Self::Latency,
        Self::Budget,
        Self::Headroom,
        Self::Trend,
        Self::Season,
        Self::Saturation,
    ];

    /// The name in rows, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Latency => "latency",
            Self::Budget => "budget",
            Self::Headroom => "headroom",
            Self::Trend => "trend",
            Self::Season => "season",
            Self::Saturation => "saturation",
        }
    }

    /// The signal with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == name)
    }
}
