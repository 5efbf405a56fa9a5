//! Writing protobuf: as much of it as spans need.
//!
//! A message is written into a buffer of its own and then into the one around it, because its length
//! comes first. Fields that hold their default are left out, as the format wants it.

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

/// How a field is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
}

impl Message {
    /// A number.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, Wire::Varint);
            self.varint(value);
        }
    }

    /// A number of 64 bits that are all written.
    pub(super) fn fixed(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, Wire::Fixed64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A number where its default means something too.
    pub(super) fn number_always(&mut self, field: u32, value: u64) {
        self.tag(field, Wire::Varint);
        self.varint(value);
    }

    /// Text where an empty one means something too.
    pub(super) fn text_always(&mut self, field: u32, text: &str) {
        self.always(field, text.as_bytes());
    }

    /// Text, or bytes.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.always(field, value);
        }
    }

    /// Another message, which is written even where it is empty.
    pub(super) fn message(&mut self, field: u32, message: &Self) {
        self.always(field, &message.0);
    }

    /// The same, made here.
    pub(super) fn nested(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut message = Self::default();
        write(&mut message);
        self.message(field, &message);
    }

    /// What was written.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn always(&mut self, field: u32, value: &[u8]) {
        self.tag(field, Wire::Length);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn tag(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field << 3) | wire as u64);
    }

    /// Seven bits a byte, the lowest first; all but the last have the eighth set.
    fn varint(&mut self, mut value: u64) {
        loop {
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    fn written(write: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::default();
        write(&mut message);
        message.finish()
    }

    #[test]
    fn fields_are_written_as_the_format_says() {
        assert_eq!(written(|m| m.number(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(|m| m.bytes(2, b"testing")), *b"\x12\x07testing");
        assert_eq!(written(|m| m.fixed(7, 1)), [0x39, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(written(|m| m.nested(3, |m| m.number(1, 150))), [0x1a, 3, 0x08, 0x96, 0x01]);
        assert_eq!(written(|m| m.number(16, u64::MAX)).len(), 2 + 10);
    }

    #[test]
    fn a_default_is_left_out_and_an_empty_message_is_not() {
        let defaults = written(|m| {
            m.number(1, 0);
            m.fixed(2, 0);
            m.bytes(3, b"");
        });
        assert!(defaults.is_empty());
        assert_eq!(written(|m| m.nested(3, |_| {})), [0x1a, 0]);
    }
}
