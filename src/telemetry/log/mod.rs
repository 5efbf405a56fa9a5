//! Log lines: one JSON object per line, flat camelCase keys, on stdout and in `logs.file`.
//!
//! Two kinds: a line per call, formatted by hand on the data plane ([`call`]), and the events of
//! everything else, which arrive through `tracing` (`event`). Both end in the same `sink`.

pub mod call;
mod event;
mod sink;
mod stamp;

use std::io;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

pub use event::Labels;
pub use sink::{Lane, Losses, Sink};
pub use stamp::Stamp;

use crate::config::Logs;

/// Opens the sink and sends the process's `tracing` events to it. Once per process.
///
/// # Errors
/// The log file cannot be opened.
pub fn start(logs: &Logs, labels: Labels) -> io::Result<Sink> {
    let sink = Sink::open(logs.file.as_deref())?;
    // A filter that does not parse was refused by the configuration; the default is for callers
    // that made theirs by hand.
    let filter = EnvFilter::try_new(&logs.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = event::JsonLayer::new(sink.lane(), labels);
    // In tests several runs share a process; the first subscriber stays.
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_err() {
        tracing::debug!("a subscriber is set already");
    }
    Ok(sink)
}
