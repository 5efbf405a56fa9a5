//! Whoever wants to see the calls whose rows are in the store.

use std::{fmt, sync::Arc};

use crate::domain::task::CallRecord;

/// What is done about them.
type See = dyn Fn(&[CallRecord]) + Send + Sync;

/// See the module docs.
#[derive(Clone)]
pub struct Onlooker(Arc<See>);

impl Onlooker {
    /// One that does this about calls.
    pub fn new(see: impl Fn(&[CallRecord]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    /// Shows it some calls.
    pub(super) fn see(&self, calls: &[CallRecord]) {
        (self.0)(calls);
    }
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Onlooker")
    }
}
