//! Who an instance is, for people.

/// What people know an instance by, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The host's name: what the others are where nobody says.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// The host that it runs on.
    pub host: String,
    /// The zone; none where nobody says.
    pub zone: Option<String>,
}
