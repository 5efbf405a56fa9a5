//! Numbers of payment cards: told from other numbers by prefix, length, grouping and check digit.
//!
//! One number in ten passes the check digit alone, so the prefixes and lengths that are issued
//! (ISO/IEC 7812) count too: what begins with 1, as times in microseconds do, is no card. Digits in
//! the middle of a hexadecimal word are part of that word.

/// The shortest and the longest number.
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// How numbers are written in groups, besides without any.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];

/// First and last prefix of four digits, and the lengths that go with it.
const ISSUED: [(u32, u32, &[usize]); 12] = [
    (2221, 2720, &[16]),
    (3000, 3059, &[14]),
    (3400, 3499, &[15]),
    (3528, 3589, &[16]),
    (3600, 3699, &[14]),
    (3700, 3799, &[15]),
    (3800, 3999, &[14, 16]),
    (4000, 4999, &[13, 16, 19]),
    (5100, 5599, &[16]),
    (6011, 6011, &[16, 19]),
    (6200, 6299, &[16, 17, 18, 19]),
    (6440, 6599, &[16, 19]),
];

/// Whether there are digits enough for a card's number, with nothing but separators in between.
/// Looked for from the end of each stretch, so that one letter there settles all of it.
pub(super) fn has_digits(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(stretch) = text.get(from..from + SHORTEST) {
        match stretch.iter().rposition(|&byte| !(byte.is_ascii_digit() || is_separator(byte))) {
            Some(other) => from += other + 1,
            None => return true,
        }
    }
    false
}

/// The length of the card's number that begins at this digit, its separators included.
pub(super) fn number(text: &[u8], at: usize) -> Option<usize> {
    let mut digits = [0_u8; LONGEST];
    let mut count = 0;
    let mut groups = [0_usize; 5];
    let mut group = 0;
    let mut end = at;
    for (place, &byte) in text.iter().enumerate().skip(at) {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            count += 1;
            *groups.get_mut(group)? += 1;
            end = place + 1;
        } else if is_separator(byte) && text.get(place + 1).is_some_and(u8::is_ascii_digit) {
            group += 1;
        } else {
            break;
        }
    }
    let groups = &groups[..=group.min(groups.len() - 1)];
    let is_written_so = groups.len() == 1 || GROUPS.contains(&groups);
    let is_card = count >= SHORTEST
        && is_written_so
        && stands_alone(text, at, end)
        && is_issued(&digits[..count])
        && passes_luhn(&digits[..count]);
    is_card.then_some(end - at)
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b' ')
}

/// Whether the number is no part of a longer number or of a hexadecimal word, with or without `0x`.
fn stands_alone(text: &[u8], at: usize, end: usize) -> bool {
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric();
    let before = &text[at - text[..at].iter().rev().take_while(is_word).count()..at];
    let before = before.strip_prefix(b"0x").unwrap_or(before).iter();
    let after = text[end..].iter().take_while(is_word);
    let mut around = before.chain(after).peekable();
    let is_grouped_further = at >= 2 && is_separator(text[at - 1]) && text[at - 2].is_ascii_digit();
    let is_whole = around.peek().is_none();
    !is_grouped_further && (is_whole || !around.all(u8::is_ascii_hexdigit))
}

fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0, |prefix, &digit| prefix * 10 + u32::from(digit));
    ISSUED.iter().any(|(first, last, lengths)| {
        (*first..=*last).contains(&prefix) && lengths.contains(&digits.len())
    })
}

/// The check digit (ISO/IEC 7812-1, annex B).
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let doubled = u32::from(digit) << (place % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn cards_of_every_brand_are_told_from_other_numbers() {
        for (text, length) in [
            ("4111111111111111", Some(16)),
            ("4222222222222", Some(13)),
            ("5555555555554444", Some(16)),
            ("2223003122003222", Some(16)),
            ("378282246310005", Some(15)),
            ("30569309025904", Some(14)),
            ("6011111111111117", Some(16)),
            ("3530111333300000", Some(16)),
            ("6205500000000000004", Some(19)),
            ("4111 1111 1111 1111", Some(19)),
            ("4111-1111-1111-1111.", Some(19)),
            ("4111111111111112", None),
            ("41111111-11111111", None),
            ("4111-1111-1111-1111-1111", None),
            ("41111111111111111111", None),
            ("9111111111111111", None),
            ("4111111111111111ab", None),
            ("4111111111111111xy", Some(16)),
            ("5", None),
        ] {
            assert_eq!(number(text.as_bytes(), 0), length, "{text}");
        }
    }

    #[test]
    fn digits_of_a_hexadecimal_word_are_no_card_whatever_stands_before_it() {
        for (before, digits, length) in [
            ("a6b461961785cf", "4590352728485a0000", None),
            ("0xa6b461961785cf", "4590352728485a0000", None),
            ("0x", "4111111111111111", Some(16)),
            ("0x", "4111111111111111a", None),
            ("no0x", "4111111111111111", Some(16)),
        ] {
            let text = format!("{before}{digits}");
            assert_eq!(number(text.as_bytes(), before.len()), length, "{text}");
        }
    }
}
