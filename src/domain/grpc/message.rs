//! `grpc-message`: a text for people, percent-encoded, and never longer than a bound.

use http::HeaderValue;

/// The longest message that is written or read, in bytes as they stand in the field. A caller's
/// limit on whole heads is often 8 KiB.
const MAX_BYTES: usize = 1_024;

/// What a byte becomes that may not stand for itself.
const ESCAPED: usize = 3;

/// The value of `grpc-message` for a text: visible ASCII and spaces as they are, `%` and all other
/// bytes as `%XX`. What is too long is cut between two characters.
pub fn encode_message(text: &str) -> HeaderValue {
    let mut value = Vec::with_capacity(text.len().min(MAX_BYTES));
    for character in text.chars() {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let takes: usize = bytes.iter().map(|&byte| if is_plain(byte) { 1 } else { ESCAPED }).sum();
        if value.len() + takes > MAX_BYTES {
            break;
        }
        for &byte in bytes {
            if is_plain(byte) {
                value.push(byte);
            } else {
                let digit = |half: u8| DIGITS[usize::from(half)];
                value.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
    }
    // Nothing but visible ASCII and spaces is in it.
    HeaderValue::from_bytes(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text of a `grpc-message`. What is not encoded as it should be stays as it is, what is no
/// UTF-8 is replaced, and what is beyond the bound is left out: a message that cannot be read whole
/// is no reason to lose all of it.
pub fn decode_message(value: &[u8]) -> String {
    let mut rest = &value[..value.len().min(MAX_BYTES)];
    let mut text = Vec::with_capacity(rest.len());
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = match behind {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                text.push((high << 4) | low);
                rest = &rest[ESCAPED..];
            }
            None => {
                text.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%'
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, decode_message, encode_message};
    use proptest::prelude::{any, proptest};

    #[test]
    fn only_what_cannot_stand_for_itself_is_encoded() {
        for (text, value) in [
            ("", ""),
            ("payments: 5 calls in a row failed", "payments: 5 calls in a row failed"),
            ("100 %", "100 %25"),
            ("a\r\nb\0\x7f", "a%0D%0Ab%00%7F"),
            ("é€", "%C3%A9%E2%82%AC"),
        ] {
            assert_eq!(encode_message(text), value);
            assert_eq!(decode_message(value.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_badly_encoded_is_read_as_far_as_it_goes() {
        for (value, text) in [
            (&b"50%"[..], "50%"),
            (b"50%2", "50%2"),
            (b"%zz%41", "%zzA"),
            (b"%%41", "%A"),
            (b"%c3%a9", "\u{e9}"),
            (b"%ff", "\u{fffd}"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(decode_message(value), text);
        }
    }

    #[test]
    fn a_message_has_a_bound_in_both_directions() {
        let long = "€".repeat(10_000);
        let value = encode_message(&long);
        assert!((MAX_BYTES - 9..=MAX_BYTES).contains(&value.len()), "{}", value.len());
        assert!(long.starts_with(&decode_message(value.as_bytes())), "cut between characters");
        assert_eq!(decode_message(&[b'a'; 10_000]).len(), MAX_BYTES);
    }

    proptest! {
        #[test]
        fn a_text_that_fits_is_read_as_it_was_written(text in "\\PC{0,80}") {
            assert_eq!(decode_message(encode_message(&text).as_bytes()), text);
        }

        #[test]
        fn any_value_is_read(value in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            assert!(decode_message(&value).len() <= 3 * MAX_BYTES);
        }
    }
}
