//! Attributes: of the resource, of spans, of events, as protobuf wants them.

use super::protobuf::Message;
use crate::config::Config;

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

/// Adds an attribute in this field of a message.
pub(super) fn put(message: &mut Message, field: u32, name: &str, value: Value<'_>) {
    message.nested(field, |pair| {
        pair.bytes(1, name.as_bytes());
        pair.nested(2, |any| match value {
            Value::Text(text) => any.text_always(1, text),
            Value::Number(number) => any.number_always(3, number),
        });
    });
}

/// What is told of this process: what is configured, and whatever else `OTEL_RESOURCE_ATTRIBUTES`
/// says.
pub fn resource(
    config: &Config,
    instance: &str,
    said: &[(String, String)],
) -> Vec<(String, String)> {
    let own = [
        ("service.name", &*config.service),
        ("service.namespace", &*config.namespace),
        ("service.version", &*config.version),
        ("service.instance.id", instance),
        ("deployment.environment.name", &*config.environment),
        ("host.name", &*config.instance.host),
        ("telemetry.sdk.name", "fusebox"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let mut all: Vec<(String, String)> =
        own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in said {
        if !all.iter().any(|(known, _)| known == name) {
            all.push((name.clone(), value.clone()));
        }
    }
    all
}
