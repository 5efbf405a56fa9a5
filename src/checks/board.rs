//! The last result of every upstream's check, for `/health`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The last results, shared. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HealthBoard {
    last: Arc<Mutex<BTreeMap<Arc<str>, LastCheck>>>,
}

/// How the last check of an upstream went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// Whether any endpoint answered as it should.
    pub is_ok: bool,
    /// How many did.
    pub healthy: usize,
    /// How many were asked.
    pub endpoints: usize,
    /// What came, for people.
    pub message: String,
    /// How long the answer took.
    pub latency: Duration,
    /// When the check began, in microseconds since the Unix epoch.
    pub at_us: i64,
}

impl HealthBoard {
    /// The last check of an upstream; none before the first, and for those without one.
    pub fn of(&self, upstream: &str) -> Option<LastCheck> {
        self.lock().get(upstream).cloned()
    }

    /// Forgets upstreams that there are no more.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|upstream, _| is_there(upstream));
    }

    pub(super) fn put(&self, upstream: &Arc<str>, check: LastCheck) {
        self.lock().insert(Arc::clone(upstream), check);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, LastCheck>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
