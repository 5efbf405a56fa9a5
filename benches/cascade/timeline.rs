//! When what happens to C.

use std::time::Duration;

/// The phases of a round, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    /// Calls that are not counted: connections are made, and processes settle.
    pub(crate) warm_up: u32,
    pub(crate) healthy: u32,
    pub(crate) hang: u32,
    pub(crate) back: u32,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Healthy,
    Hang,
    Back,
}

impl Timeline {
    /// Long enough afterwards for a circuit that opened last and stays open for a minute.
    pub(crate) const fn of(hang: u32) -> Self {
        Self { warm_up: 5, healthy: 10, hang, back: 80 }
    }

    /// When C begins to hang.
    pub(crate) fn hangs_at(self) -> Duration {
        seconds(self.warm_up + self.healthy)
    }

    /// When it answers again.
    pub(crate) fn back_at(self) -> Duration {
        self.hangs_at() + seconds(self.hang)
    }

    /// When the last call begins.
    pub(crate) fn ends_at(self) -> Duration {
        self.back_at() + seconds(self.back)
    }

    /// In which phase a moment is.
    pub(crate) fn phase(self, at: Duration) -> Phase {
        if at < seconds(self.warm_up) {
            Phase::WarmUp
        } else if at < self.hangs_at() {
            Phase::Healthy
        } else if at < self.back_at() {
            Phase::Hang
        } else {
            Phase::Back
        }
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}
