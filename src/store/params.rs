//! What a call meant, as columns and JSON lines hold it.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::domain::capture::Value;

/// Parameters as a JSON object; one that the call did not have is `null`.
pub(crate) fn json(params: &[(Arc<str>, Value)]) -> Json {
    let pair = |(name, value): &(Arc<str>, Value)| {
        let value = match value {
            Value::Missing => Json::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => (&**text).into(),
        };
        (name.to_string(), value)
    };
    Json::Object(params.iter().map(pair).collect::<Map<_, _>>())
}

/// A cost in US dollars.
#[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars a call")]
pub(crate) fn usd(nano_usd: u64) -> f64 {
    nano_usd as f64 / 1e9
}
