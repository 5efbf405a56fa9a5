//! Rows of calls as the admin port shows them, in few words.

use serde_json::Value;

/// `outcome`, `reason` and `status`: `failure connect_refused 502`.
pub(crate) fn ending(row: &Value) -> String {
    words([&row["outcome"], &row["failureReason"], &row["status"]])
}

/// The attempts in a row's log: `failure connect_refused`, `success`.
pub(crate) fn attempts(row: &Value) -> Vec<String> {
    let log = row["attemptLog"].as_array();
    let log = log.unwrap_or_else(|| panic!("no log of attempts: {row}"));
    assert_eq!(row["attempts"], log.len(), "{row}");
    log.iter().map(|entry| words([&entry["verdict"], &entry["reason"], &Value::Null])).collect()
}

fn words(values: [&Value; 3]) -> String {
    let word = |value: &&Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    values.iter().filter_map(word).collect::<Vec<_>>().join(" ")
}
