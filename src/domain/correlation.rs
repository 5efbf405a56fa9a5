//! Who a call belongs to: the correlation id and the W3C trace context.
//!
//! Both come from outside and are not trusted: what does not fit its grammar is replaced, never
//! passed on. Randomness is an argument.

use std::fmt;

use super::{hex, secret};

/// The longest correlation id that is kept, in bytes.
pub const MAX_CORRELATION_ID: usize = 128;

/// A correlation id that is safe to log, store and echo: 1 to 128 of `[A-Za-z0-9._:-]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Repr);

/// The usual ids, ours and UUIDs, are kept in place: one is made for every call, and freed on
/// another thread.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

/// As many bytes as make the two variants the same size.
const SHORT: usize = 38;

impl CorrelationId {
    /// Keeps an id that came with a call, or none when it breaks the rule or is a [`secret`].
    pub fn keep(received: &[u8]) -> Option<Self> {
        Self::read(received).filter(|_| !secret::is_in(received))
    }

    /// Reads an id that was kept before. None when it breaks the rule.
    pub fn read(kept: &[u8]) -> Option<Self> {
        // Every byte is looked at, which takes less time than to stop at the first bad one.
        let is_harmless = kept.iter().fold(true, |is_harmless, &byte| {
            let is_mark = (byte == b'.') | (byte == b'_') | (byte == b':') | (byte == b'-');
            is_harmless & (byte.is_ascii_alphanumeric() | is_mark)
        });
        let fits = (1..=MAX_CORRELATION_ID).contains(&kept.len());
        (fits && is_harmless).then(|| Self::of(kept)).flatten()
    }

    /// A new id, `req-` and 16 hexadecimal digits, from 64 random bits. Among the digits is a
    /// letter, so that no Fusebox further on takes the id for a card's number.
    pub fn mint(random: u64) -> Self {
        const LETTER: u64 = 0xa000_0000_0000_0000;
        /// The bits of eight in each digit; with four or two beside it, the digit is a letter.
        const EIGHTS: u64 = 0x8888_8888_8888_8888;
        let has_letter = random & EIGHTS & ((random << 1) | (random << 2)) != 0;
        let random = if has_letter { random } else { random | LETTER };
        let mut bytes = [0; SHORT];
        bytes[..4].copy_from_slice(b"req-");
        bytes[4..20].copy_from_slice(&hex::digits_of_half(random));
        Self(Repr::Short { length: 20, bytes })
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The id as it goes into headers and log lines.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Repr::Long(text) => text.as_bytes(),
        }
    }

    fn of(checked: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        Some(Self(match bytes.get_mut(..checked.len()) {
            Some(room) => {
                room.copy_from_slice(checked);
                Repr::Short { length: u8::try_from(checked.len()).ok()?, bytes }
            }
            None => Repr::Long(std::str::from_utf8(checked).ok()?.into()),
        }))
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The 128 bits of a W3C trace id. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// The id with these bits; zero, which the standard forbids, becomes one.
    pub const fn from_u128(bits: u128) -> Self {
        Self(if bits == 0 { 1 } else { bits })
    }

    /// Its 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Its 32 hexadecimal digits, without allocating.
    pub fn encode(self) -> [u8; 32] {
        hex::digits(self.0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a call stands in its trace (W3C Trace Context, level 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that a call sent on from here belongs to. Never zero.
    pub span_id: u64,
    /// The caller's span; none when the trace began here, or nothing is said of it.
    pub parent: Option<u64>,
    /// The flags as received; bit 0 says sampled. Unknown bits are kept.
    pub flags: u8,
    /// Whether the trace began here, so that a received `tracestate` does not belong to it.
    pub is_new: bool,
}

impl TraceContext {
    /// Continues the caller's trace, or begins one, with a new span id either way.
    pub fn next_hop(traceparent: Option<&[u8]>, xray: Option<&[u8]>, random: (u128, u64)) -> Self {
        let span_id = random.1.max(1);
        let received =
            traceparent.and_then(parse_traceparent).or_else(|| xray.and_then(parse_xray));
        match received {
            Some(Received { trace_id, parent, flags }) => {
                Self { trace_id, span_id, parent, flags, is_new: false }
            }
            None => {
                let trace_id = TraceId::from_u128(random.0);
                Self { trace_id, span_id, parent: None, flags: 0, is_new: true }
            }
        }
    }

    /// The header value to send on: `00-<trace id>-<span id>-<flags>`, in ASCII.
    pub fn traceparent(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&self.trace_id.encode());
        text[36..52].copy_from_slice(&hex::digits_of_half(self.span_id));
        text[53..].copy_from_slice(&hex::digits_of_byte(self.flags));
        text
    }
}

/// What a caller says of its trace.
struct Received {
    trace_id: TraceId,
    parent: Option<u64>,
    flags: u8,
}

/// Reads `traceparent`. A newer version may carry more after the flags.
fn parse_traceparent(value: &[u8]) -> Option<Received> {
    let version = u8::try_from(bits(value.get(0..2)?)?).ok()?;
    let ends_well = match version {
        0xff => false,
        0 => value.len() == 55,
        _ => value.len() == 55 || value.get(55) == Some(&b'-'),
    };
    let dashes = [2, 35, 52].iter().all(|&at| value.get(at) == Some(&b'-'));
    if !ends_well || !dashes {
        return None;
    }
    let trace_id = bits(&value[3..35])?;
    let parent = u64::try_from(bits(&value[36..52])?).ok()?;
    let flags = u8::try_from(bits(&value[53..55])?).ok()?;
    let received = Received { trace_id: TraceId(trace_id), parent: Some(parent), flags };
    (trace_id != 0 && parent != 0).then_some(received)
}

/// Reads AWS's `X-Amzn-Trace-Id`: `Root=1-<8 hex>-<24 hex>;…;Sampled=1`.
fn parse_xray(value: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(value).ok()?;
    let field = |name: &str| {
        text.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let (epoch, unique) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
    if epoch.len() != 8 || unique.len() != 24 {
        return None;
    }
    let trace_id = (bits(epoch.as_bytes())? << 96) | bits(unique.as_bytes())?;
    let flags = u8::from(field("Sampled") == Some("1"));
    let parent = field("Parent").filter(|parent| parent.len() == 16);
    let parent = parent.and_then(|parent| u64::try_from(bits(parent.as_bytes())?).ok());
    let parent = parent.filter(|parent| *parent != 0);
    (trace_id != 0).then_some(Received { trace_id: TraceId(trace_id), parent, flags })
}

/// Lower-case hexadecimal digits only, as the standard demands; at most 32 of them.
fn bits(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |bits, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((bits << 4) | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::{CorrelationId, TraceContext, TraceId};

    const PARENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_id_is_kept_only_when_every_byte_is_harmless() {
        for good in ["a", "req-abc", "A.b_c:d-9", &"x".repeat(128)] {
            assert_eq!(CorrelationId::keep(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a\nb", "a\0", "é", "'; drop table", &"x".repeat(129)] {
            assert_eq!(CorrelationId::keep(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(CorrelationId::mint(0xabc).as_str(), "req-0000000000000abc");
    }

    #[test]
    fn a_secret_is_no_id() {
        for bad in [
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
            "AKIAIOSFODNN7EXAMPLE",
            "bearer:3f9a0c1b7d",
            "4111-1111-1111-1111",
        ] {
            assert_eq!(CorrelationId::keep(bad.as_bytes()), None, "{bad}");
        }
        let card = CorrelationId::mint(0x4111_1111_1111_1111);
        assert_eq!(card.as_str(), "req-e111111111111111", "a letter tells it from a card");
    }

    #[test]
    fn a_trace_goes_on_with_a_new_span_and_its_flags() {
        let next = TraceContext::next_hop(Some(PARENT), None, (7, 9));
        let sent = next.traceparent();
        assert_eq!(&sent, b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01");
        assert!(!next.is_new);
        assert_eq!(next.parent, Some(0x00f0_67aa_0ba9_02b7));
    }

    #[test]
    fn a_broken_traceparent_begins_a_new_trace() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        ] {
            let next = TraceContext::next_hop(Some(bad.as_bytes()), None, (7, 0));
            assert_eq!(
                (next.trace_id, next.span_id, next.is_new),
                (TraceId::from_u128(7), 1, true),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_newer_version_of_traceparent_may_be_longer() {
        let newer = b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more";
        let next = TraceContext::next_hop(Some(newer), None, (7, 9));
        assert_eq!((next.flags, next.is_new), (3, false));
    }

    #[test]
    fn the_load_balancers_header_names_the_trace_when_traceparent_is_missing() {
        let xray = b"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let next = TraceContext::next_hop(None, Some(xray), (7, 9));
        assert_eq!(next.trace_id.to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!((next.flags, next.parent), (1, Some(0x5399_5c3f_42cd_8ad8)));
    }
}
