//! What the event of an order tells.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::fleet::decree::Decree;

/// What somebody did, who and why.
pub(super) fn signed(act: &str, by: &str, reason: &str) -> Value {
    json!({ "act": act, "by": by, "reason": reason })
}

/// What its event tells.
pub(super) fn detail(decree: &Decree) -> Value {
    let mut detail = signed(act(decree), &decree.by, &decree.reason);
    if let Some(mode) = decree.mode {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        detail["mode"] = mode.as_str().into();
        detail["forMs"] = decree.length.map(millis).into();
    }
    if decree.forgotten.is_some() {
        detail["isRestored"] = true.into();
    }
    detail
}

const fn act(decree: &Decree) -> &'static str {
    match decree.mode {
        Some(_) => "order",
        None if decree.is_reset => "reset",
        None => "lift",
    }
}
