//! The store of the sample, as its status shows it.

use std::time::Duration;

use fusebox::admin::view::{StoreView, SyncMode};

/// It tells what changes; `fault` says why it is away, if it is.
pub(crate) fn store(fault: Option<String>) -> StoreView {
    StoreView {
        kind: "postgres",
        fault,
        sync: SyncMode::Listen,
        sync_reason: None,
        lag: Some(Duration::from_millis(400)),
        instances: 3,
    }
}
