//! What to say about a key that there is not.

use super::{keys, suggest::nearest};

/// The message for `key` in a mapping at `pattern`.
pub(super) fn unknown(pattern: &str, key: &str) -> String {
    let path = if pattern.is_empty() { key.to_owned() } else { format!("{pattern}.{key}") };
    if keys::LATER.contains(&path.as_str()) {
        return "not supported in this version".to_owned();
    }
    if key == "<<" {
        return "merge keys are not supported; write the keys here".to_owned();
    }
    if let Some(near) = nearest(key, keys::of(pattern)) {
        return format!("unknown key; did you mean `{near}`?");
    }
    let elsewhere =
        keys::ALL.iter().find(|about| about.name() == key && !about.parent().is_empty());
    if let Some(about) = elsewhere {
        return format!("unknown key here; it belongs under `{}`", readable(about.parent()));
    }
    let known = keys::of(pattern).collect::<Vec<_>>().join("`, `");
    let place = if pattern.is_empty() { "a configuration" } else { "this mapping" };
    format!("unknown key; the keys of {place} are `{known}`")
}

/// A pattern as people write it.
fn readable(pattern: &str) -> String {
    pattern.replace('*', "<name>")
}
