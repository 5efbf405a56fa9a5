//! Early warnings.

use crate::domain::units::Percent;

/// Early warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warnings {
    /// Whether there are any.
    pub enabled: bool,
    /// The share of an operation's calls that is to succeed over 30 days.
    pub objective: Percent,
}
