//! Which traces are told to the collector: the samplers that OpenTelemetry names.
//!
//! A trace is sampled as a whole. Whoever begins it decides and says so in its flags; the usual
//! samplers go by what the parent said. Nothing here keeps or sends a span.

use super::{
    correlation::TraceContext,
    units::{UnitError, parse_share},
};

/// The bit of a trace's flags that says that it is sampled.
const SAMPLED: u8 = 1;

/// A sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// What the parent said counts.
    pub is_parent_based: bool,
    /// The share of all traces, or of those that begin here, that is sampled.
    pub share: Share,
}

/// A share of traces, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// No trace.
    pub const NONE: Self = Self(0);
    /// Every trace.
    pub const ALL: Self = Self(1_000_000);

    /// Reads `10%` or `0.1`.
    ///
    /// # Errors
    /// It is no share, or finer than a millionth.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        parse_share(text).map(Self)
    }

    /// In millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Whether a trace is within the share. By its id, so that all who go by ids decide alike.
    const fn has(self, context: &TraceContext) -> bool {
        let bound = (self.0 as u128) << 63;
        let place = (context.trace_id.as_u128() & (u64::MAX as u128)) >> 1;
        place * 1_000_000 < bound
    }
}

impl Sampler {
    /// Decides about a trace, and says so in its flags.
    pub const fn decide(self, context: &mut TraceContext) -> bool {
        let is_sampled = if self.is_parent_based && !context.is_new {
            context.flags & SAMPLED != 0
        } else {
            self.share.has(context)
        };
        context.flags = if is_sampled { context.flags | SAMPLED } else { context.flags & !SAMPLED };
        is_sampled
    }
}

#[cfg(test)]
mod tests {
    use super::{Sampler, Share};
    use crate::domain::correlation::TraceContext;

    fn context(trace: u128, parent: Option<u8>) -> TraceContext {
        let parent = parent.map(|flags| format!("00-{trace:032x}-00f067aa0ba902b7-{flags:02x}"));
        TraceContext::next_hop(parent.as_deref().map(str::as_bytes), None, (trace, 9))
    }

    fn sampled(is_parent_based: bool, share: &str, trace: u128, parent: Option<u8>) -> (bool, u8) {
        let sampler = Sampler { is_parent_based, share: Share::parse(share).unwrap() };
        let mut context = context(trace, parent);
        (sampler.decide(&mut context), context.flags)
    }

    #[test]
    fn what_the_parent_said_counts_however_small_the_share() {
        assert_eq!(sampled(true, "0%", 1, Some(1)), (true, 1));
        assert_eq!(sampled(true, "100%", 1, Some(0)), (false, 0));
        assert_eq!(sampled(true, "100%", 1, Some(2)), (false, 2), "other flags are kept");
    }

    #[test]
    fn a_trace_that_begins_here_is_sampled_by_its_share() {
        assert_eq!(sampled(true, "0%", 1, None), (false, 0));
        assert_eq!(sampled(true, "1", u128::MAX, None), (true, 1));
        let low = u128::from(u64::MAX) / 10;
        assert!(sampled(true, "0.1", low - 10, None).0);
        assert!(!sampled(true, "0.1", low + 10, None).0);
    }

    #[test]
    fn a_sampler_that_is_not_parent_based_overrules_the_parent() {
        assert_eq!(sampled(false, "0%", 1, Some(1)), (false, 0));
        assert_eq!(sampled(false, "100%", 1, Some(0)), (true, 1));
    }

    #[test]
    fn a_share_is_written_with_its_unit_or_as_a_fraction() {
        for (text, millionths) in
            [("10%", 100_000), ("0.1", 100_000), ("0.0001%", 1), ("1", 1_000_000)]
        {
            assert_eq!(Share::parse(text).map(Share::millionths), Ok(millionths), "{text}");
        }
        for bad in ["", "2", "101%", "ten", "-1", "0.0000001", "1x"] {
            assert!(Share::parse(bad).is_err(), "{bad}");
        }
    }
}
