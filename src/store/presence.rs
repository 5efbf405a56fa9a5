//! Who an instance is, and what it says of itself while it lives.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::domain::{fleet::rules::digest, task::Origin};

/// Who this process is, in rows and votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Sidecars with the same one share breakers.
    pub namespace: String,
    /// The service beside it.
    pub service: String,
    /// The service's version; empty when unknown.
    pub version: String,
    /// This process start, unique.
    pub instance: String,
    /// The data directory's id.
    pub journal_id: String,
    /// For people: the host's name, unless it is configured.
    pub display_name: String,
    /// The host that it runs on.
    pub host: String,
    /// The zone that it runs in; none where nobody says.
    pub zone: Option<String>,
    /// What the platform tells later.
    pub found: Found,
}

/// What the platform tells of a process while it runs already; it counts from then on.
pub type Found = Arc<OnceLock<Place>>;

/// Where a process runs, as its platform tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The cluster.
    pub cluster: String,
    /// The task's id.
    pub task: String,
    /// What the task was made from, with its revision.
    pub definition: String,
    /// The name for people, where nobody has chosen one.
    pub name: Option<String>,
    /// The zone, where nobody has said.
    pub zone: Option<String>,
}

impl Identity {
    /// What people know it by.
    pub fn name(&self) -> &str {
        let told = self.found.get().and_then(|place| place.name.as_deref());
        told.unwrap_or(&self.display_name)
    }

    /// The zone that it runs in.
    pub fn zone(&self) -> Option<&str> {
        let told = self.found.get().and_then(|place| place.zone.as_deref());
        self.zone.as_deref().or(told)
    }

    /// As it stands in rows.
    pub fn origin(&self) -> Origin {
        Origin {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            version: self.version.clone(),
            instance: self.instance.clone(),
        }
    }
}

/// What an instance says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// For how long it counts as alive.
    pub ttl: Duration,
    /// The breakers that it has.
    pub keys: Vec<String>,
    /// Their rules, in the same order: fingerprints, see [`crate::domain::fleet::rules`].
    pub rules: Vec<String>,
    /// The number that it has drawn, see [`crate::domain::fleet::electorate`].
    pub ballot: u32,
}

impl Presence {
    /// Keys and rules in one number.
    pub(super) fn digest(&self) -> i64 {
        let pairs = self.keys.iter().zip(&self.rules);
        digest(pairs.map(|(key, rules)| (key.as_str(), rules.as_str())))
    }
}

/// Who answers to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    /// How many live, the one who asks included.
    pub live: u32,
    /// Whether all who say so follow the same rules for each breaker that the one who asks has.
    pub is_uniform: bool,
}
