//! What a collector says of spans that it has taken, but not all of them: OTLP's `partial_success`.
//!
//! As much of protobuf is read as that takes. An answer that is something else says nothing.

/// The field of the answer that holds it, and the two that it has.
const PARTIAL_SUCCESS: u64 = 1;
const REJECTED_SPANS: u64 = 1;
const ERROR_MESSAGE: u64 = 2;

/// Characters of a message that are kept.
const MAX_MESSAGE: usize = 300;

/// See the module docs. With nothing rejected, a message is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Partial {
    /// Spans that it did not take, and never will.
    pub(super) rejected: u64,
    /// Why, in its words.
    pub(super) message: String,
}

impl Partial {
    /// Reads the body of an answer that took the spans; none when it has nothing to say.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut partial = Self::default();
        for field in Fields(body) {
            let (PARTIAL_SUCCESS, Field::Bytes(message)) = field? else { continue };
            for field in Fields(message) {
                match field? {
                    // A negative one is not a number of spans.
                    (REJECTED_SPANS, Field::Number(count)) => {
                        partial.rejected = i64::try_from(count).map_or(0, i64::unsigned_abs);
                    }
                    (ERROR_MESSAGE, Field::Bytes(text)) => {
                        let text = String::from_utf8_lossy(text);
                        partial.message = text.chars().take(MAX_MESSAGE).collect();
                    }
                    _ => {}
                }
            }
        }
        (partial != Self::default()).then_some(partial)
    }
}

/// What a field holds, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message with their numbers; none for one that cannot be read, which is the last.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Seven bits a byte, the lowest first; all but the last have the eighth set.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.bytes(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Partial;
    use crate::telemetry::traces::protobuf::Message;

    fn answer(write: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut answer = Message::default();
        answer.nested(1, write);
        answer.finish()
    }

    fn partial(rejected: u64, message: &str) -> Option<Partial> {
        Some(Partial { rejected, message: message.to_owned() })
    }

    #[test]
    fn an_answer_that_took_everything_says_nothing() {
        for body in [Vec::new(), answer(|_| {}), b"{\"partialSuccess\":{}}".to_vec()] {
            assert_eq!(Partial::read(&body), None, "{body:?}");
        }
    }

    #[test]
    fn spans_that_were_rejected_are_counted_with_the_reason() {
        let body = answer(|partial| {
            partial.number(1, 300);
            partial.bytes(2, b"too old");
        });
        assert_eq!(Partial::read(&body), partial(300, "too old"));
        let warning = answer(|partial| partial.bytes(2, b"deprecated"));
        assert_eq!(Partial::read(&warning), partial(0, "deprecated"));
        let negative = answer(|partial| partial.number(1, u64::MAX));
        assert_eq!(Partial::read(&negative), None);
    }

    #[test]
    fn fields_of_a_newer_protocol_are_passed_over() {
        let mut body = Message::default();
        body.number(7, 150);
        body.fixed(8, 1);
        body.bytes(9, b"new");
        body.nested(1, |partial| {
            partial.fixed(5, 1);
            partial.number(1, 2);
        });
        assert_eq!(Partial::read(&body.finish()), partial(2, ""));
    }

    #[test]
    fn no_body_breaks_the_reader() {
        let whole = answer(|partial| {
            partial.number(1, u64::MAX >> 1);
            partial.bytes(2, &b"x".repeat(1_000));
        });
        assert_eq!(Partial::read(&whole).map(|it| it.message.len()), Some(300));
        for length in 1..whole.len() {
            assert_eq!(Partial::read(&whole[..length]), None, "cut at {length}");
        }
        for byte in 0..=u8::MAX {
            // Whatever it makes of it, it ends.
            drop(Partial::read(&[byte; 64]));
        }
    }
}
