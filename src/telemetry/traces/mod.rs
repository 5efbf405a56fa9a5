//! Spans of sampled calls, for a collector: OTLP over HTTP, in protobuf.
//!
//! A trace is propagated whether anybody collects spans or not; that is the data plane's. Of a call
//! that is not sampled nothing is kept, so it costs a comparison. Of one that is, the data plane
//! keeps what its row does not tell ([`Hops`]) and hands both over when it ends; a task elsewhere
//! makes spans of them and sends them in batches. What does not fit the queue, or cannot be sent in
//! time, is dropped and counted: a collector that is away concerns no caller.

mod attributes;
mod exporter;
mod partial;
mod post;
mod protobuf;
mod queue;
mod spans;

pub use attributes::resource;
pub use exporter::Exporter;
pub use queue::{Moved, Sampled, Tracer};

use crate::domain::correlation::TraceContext;

/// What of a sampled call its row does not tell.
#[derive(Debug, Clone)]
pub struct Hops {
    /// What the caller speaks.
    pub scheme: &'static str,
    /// The caller's span; none when the trace began here.
    pub parent: Option<u64>,
    /// The span of the call itself.
    pub server: u64,
    /// The caller's `tracestate`; none when it says nothing, or the trace began here.
    pub state: Option<Box<str>>,
    /// The attempts, in the order of the record's.
    pub attempts: Vec<Hop>,
}

/// The longest `tracestate` that is told, in bytes: what everybody must be able to pass on (W3C Trace
/// Context §3.3.1.5).
const MAX_STATE: usize = 512;

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Its span, which the upstream was told.
    pub span: u64,
    /// When it began, in microseconds since the call did.
    pub after_us: u64,
}

impl Hops {
    /// Those of a call that begins. The first attempt has the span id that the context already has,
    /// the call itself this one.
    pub fn begin(context: &TraceContext, scheme: &'static str, random: u64) -> Box<Self> {
        let (parent, server) = (context.parent, random.max(1));
        Box::new(Self { scheme, parent, server, state: None, attempts: Vec::with_capacity(1) })
    }

    /// The caller says so in fields of `tracestate`, which are one list. One that is no text or longer
    /// than 512 characters is sent on and not told.
    pub fn keep_state<'a>(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        let state = fields.collect::<Vec<_>>().join(&b',');
        let is_text = state.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let is_told = is_text && (1..=MAX_STATE).contains(&state.len());
        self.state = String::from_utf8(state).ok().filter(|_| is_told).map(Into::into);
    }

    /// Another attempt begins. Each has a span of its own.
    pub fn attempt(&mut self, context: &mut TraceContext, after_us: u64, random: u64) {
        if !self.attempts.is_empty() {
            context.span_id = random.max(1);
        }
        self.attempts.push(Hop { span: context.span_id, after_us });
    }
}

#[cfg(test)]
mod tests {
    use super::Hops;
    use crate::domain::correlation::TraceContext;

    #[test]
    fn what_the_caller_says_of_its_trace_is_kept_within_bounds() {
        let long = "a=".to_owned() + &"b".repeat(511);
        for (fields, state) in [
            (&[][..], None),
            (&["a=1"], Some("a=1")),
            (&["a=1,b=2", "c=3"], Some("a=1,b=2,c=3")),
            (&[""], None),
            (&["a=\u{e9}"], None),
            (&[&long], None),
        ] {
            let mut hops = Hops::begin(&TraceContext::next_hop(None, None, (7, 9)), "http", 11);
            hops.keep_state(fields.iter().map(|field| field.as_bytes()));
            assert_eq!(hops.state.as_deref(), state, "{fields:?}");
        }
    }
}
