//! Lower-case hexadecimal digits, made without allocating: several ids are written for every call.

/// The two digits of every byte.
static PAIRS: [[u8; 2]; 256] = pairs();

/// The 32 digits of 128 bits.
pub(crate) fn digits(bits: u128) -> [u8; 32] {
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bits.to_be_bytes()) {
        pair.copy_from_slice(&PAIRS[usize::from(byte)]);
    }
    text
}

/// The 16 digits of 64 bits.
pub(crate) fn digits_of_half(bits: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bits.to_be_bytes()) {
        pair.copy_from_slice(&PAIRS[usize::from(byte)]);
    }
    text
}

/// The two digits of 8 bits.
pub(crate) fn digits_of_byte(bits: u8) -> [u8; 2] {
    PAIRS[usize::from(bits)]
}

const fn pairs() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::{digits, digits_of_byte, digits_of_half};
    use proptest::prelude::proptest;

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(bits: u128, half: u64, byte: u8) {
            assert_eq!(digits(bits), format!("{bits:032x}").as_bytes());
            assert_eq!(digits_of_half(half), format!("{half:016x}").as_bytes());
            assert_eq!(digits_of_byte(byte), format!("{byte:02x}").as_bytes());
        }
    }
}
