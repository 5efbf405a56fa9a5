//! Events of the control plane: whatever is said through `tracing`, as one flat JSON line.
//!
//! Field names become camelCase, so that one spelling serves every filter.

use std::{fmt, sync::Mutex};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{Lane, Stamp};
use crate::{clock, config::Config, domain::secret};

/// What every line carries.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// The service that Fusebox stands beside.
    pub service: String,
    /// The environment; left out when empty.
    pub environment: String,
}

impl Labels {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { service: config.service.clone(), environment: config.environment.clone() }
    }
}

/// Writes events to a lane.
#[derive(Debug)]
pub(super) struct JsonLayer {
    lane: Lane,
    labels: Labels,
    stamp: Mutex<Stamp>,
}

impl JsonLayer {
    pub(super) fn new(lane: Lane, labels: Labels) -> Self {
        Self { lane, labels, stamp: Mutex::default() }
    }
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        self.lane.append(|line| {
            line.extend_from_slice(br#"{"timestamp":""#);
            if let Ok(mut stamp) = self.stamp.lock() {
                stamp.append(line, clock::wall_us());
            }
            line.extend_from_slice(
                format!(r#"","level":"{level}","message":{message}"#).as_bytes(),
            );
            push(line, "target", &Value::from(event.metadata().target()));
            push(line, "service", &Value::from(&*self.labels.service));
            if !self.labels.environment.is_empty() {
                push(line, "environment", &Value::from(&*self.labels.environment));
            }
            for (key, value) in &fields.0 {
                push(line, key, value);
            }
            line.push(b'}');
        });
    }
}

fn push(line: &mut Vec<u8>, key: &str, value: &Value) {
    line.extend_from_slice(format!(r#","{key}":{value}"#).as_bytes());
}

struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(camel_case(field.name()), value.into());
    }

    /// Words that may be somebody else's, such as those of an error.
    fn insert_text(&mut self, field: &Field, text: &str) {
        self.insert(field, &*secret::redact(text));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value);
    }
    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        // The whole chain: a store's own text is "db error", the cause is behind it.
        let chain = std::iter::successors(Some(error), |error| error.source());
        let texts: Vec<String> = chain.map(ToString::to_string).collect();
        self.insert_text(field, &texts.join(": "));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, &format!("{value:?}"));
    }
}

/// `open_for_ms` becomes `openForMs`.
fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' | '.' => upper = true,
            _ if upper => {
                text.push(c.to_ascii_uppercase());
                upper = false;
            }
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{JsonLayer, Labels, camel_case};
    use crate::telemetry::log::Sink;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn field_names_become_camel_case() {
        assert_eq!(camel_case("open_for_ms"), "openForMs");
        assert_eq!(camel_case("upstream"), "upstream");
    }

    #[test]
    fn an_event_is_one_flat_line_with_its_whole_error() {
        let path = std::env::temp_dir().join(format!("fusebox-event-{}", std::process::id()));
        let sink = Sink::open(Some(&path)).unwrap();
        let labels = Labels { service: "orders".into(), environment: "test".into() };
        let subscriber = tracing_subscriber::registry().with(JsonLayer::new(sink.lane(), labels));
        let inner = std::io::Error::other("refused \"it\"");
        let error = crate::store::Error::Unavailable(Box::new(inner));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                retry_after_ms = 7_u64,
                who = "jo@shop.example",
                error = &error as &dyn std::error::Error,
                "lost it"
            );
        });
        drop(sink);
        let line = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
        assert_eq!(parsed["message"], "lost it");
        assert_eq!(parsed["retryAfterMs"], 7);
        assert_eq!(parsed["service"], "orders");
        assert_eq!(parsed["who"], "***");
        assert_eq!(parsed["error"], "the store is unavailable: refused \"it\"");
    }
}
