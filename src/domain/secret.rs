//! What no row and no log line may hold, whoever sent it: tokens, keys, card numbers, addresses.
//!
//! A deny list for the few free texts that are kept at all: correlation ids, methods, the words of
//! errors. Each pattern is so narrow that ordinary ids (UUIDs, ULIDs, hexadecimal, X-Ray's, our own)
//! never match, and is looked for only where a byte gives a reason to, so that an ordinary id costs
//! one pass over its bytes. It is the second line of defence: headers, queries, paths and bodies
//! are not kept in the first place.

use std::{borrow::Cow, ops::Range};

use super::card;

/// What replaces a secret in a text.
const MASK: &str = "***";

/// Something that may not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Secret {
    /// A JSON Web Token (RFC 7519), with or without its signature.
    Jwt,
    /// An access key id of AWS.
    AwsKey,
    /// What stands behind the word `Bearer`.
    Bearer,
    /// A payment card's number: right prefix, right length, right check digit.
    Card,
    /// An e-mail address.
    Email,
}

/// Whether there is a secret in a text.
pub fn is_in(text: &[u8]) -> bool {
    find(text).is_some()
}

/// The text with each secret replaced by `***`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let Some((_, mut found)) = find(text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        // Secrets are ASCII, so both of their ends are ends of characters.
        kept.push_str(rest.get(..found.start).unwrap_or_default());
        kept.push_str(MASK);
        rest = rest.get(found.end..).unwrap_or_default();
        match find(rest.as_bytes()) {
            Some((_, next)) => found = next,
            None => break,
        }
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// The first secret of a text, and where it is.
pub fn find(text: &[u8]) -> Option<(Secret, Range<usize>)> {
    if is_worth_a_look(text) { look(text) } else { None }
}

/// Whether any byte that every kind of secret but a card has is there, or a card's digits are.
/// Without branches in the loop, so that the compiler takes sixteen bytes at a time.
fn is_worth_a_look(text: &[u8]) -> bool {
    let has_mark = text.iter().fold(false, |found, &byte| {
        // In this order: a JWT, an e-mail address, an AWS key, what stands before a bearer's token.
        let is_mark = (byte == b'.') | (byte == b'@') | (byte == b'I');
        let is_gap = (byte == b':') | (byte == b'=') | (byte == b' ') | (byte == b'\t');
        found | is_mark | is_gap
    });
    has_mark || card::has_digits(text)
}

fn look(text: &[u8]) -> Option<(Secret, Range<usize>)> {
    let mut before = b' ';
    for (at, &byte) in text.iter().enumerate() {
        // A word begins here, or a number within a word.
        let begins = !before.is_ascii_alphanumeric();
        let found = match byte {
            b'e' if begins => jwt(&text[at..]).map(|length| (Secret::Jwt, at..at + length)),
            b'A' if begins => aws_key(&text[at..]).map(|length| (Secret::AwsKey, at..at + length)),
            b'b' | b'B' if begins => bearer(&text[at..])
                .map(|within| (Secret::Bearer, at + within.start..at + within.end)),
            b'@' => email(text, at).map(|range| (Secret::Email, range)),
            b'1'..=b'9' if !before.is_ascii_digit() => {
                card::number(text, at).map(|length| (Secret::Card, at..at + length))
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        before = byte;
    }
    None
}

/// The length of a JWT at the beginning: `eyJ` is how `{"` reads in base64url.
fn jwt(text: &[u8]) -> Option<usize> {
    /// `{"alg":"x"}` in base64url, cut short: no header is shorter.
    const SHORTEST_HEADER: usize = 10;
    let header = run(text, is_base64url);
    if !text.starts_with(b"eyJ") || header < SHORTEST_HEADER || text.get(header) != Some(&b'.') {
        return None;
    }
    let claims = &text[header + 1..];
    let length = run(claims, is_base64url);
    // Without a signature the claims still tell.
    let is_token = claims.starts_with(b"eyJ") || claims.get(length) == Some(&b'.');
    is_token.then(|| run(text, |byte| is_base64url(byte) || byte == b'.'))
}

/// The length of an AWS access key id at the beginning: a known prefix and sixteen of base 32.
fn aws_key(text: &[u8]) -> Option<usize> {
    const LENGTH: usize = 20;
    const PREFIXES: [&[u8]; 3] = [b"AKIA", b"ASIA", b"ABIA"];
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    let is_key = PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && run(text, is_base32) == LENGTH
        && !text.get(LENGTH).is_some_and(u8::is_ascii_alphanumeric);
    is_key.then_some(LENGTH)
}

/// Where the token is behind the word `bearer`. A word behind it, as in "bearer token", is none.
fn bearer(text: &[u8]) -> Option<Range<usize>> {
    const WORD: usize = "bearer".len();
    const SHORTEST: usize = 8;
    /// Longer than the words of a sentence.
    const LONG: usize = 20;
    if !text.get(..WORD)?.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let gap = run(&text[WORD..], |byte| b" \t:=".contains(&byte));
    let token = &text[WORD + gap..];
    let length = run(token, |byte| is_base64url(byte) || b"._~+/=".contains(&byte));
    let looks_random = length >= LONG || token[..length].iter().any(u8::is_ascii_digit);
    (gap > 0 && length >= SHORTEST && looks_random).then_some(WORD + gap..WORD + gap + length)
}

/// Where the e-mail address is around an `@`.
fn email(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let local = text[..at].iter().rev().take_while(|&&byte| is_local(byte)).count();
    let after = &text[at + 1..];
    let domain = after[..run(after, is_domain)].trim_ascii_end();
    // The full stop of a sentence does not belong to it.
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let last = domain.rsplit(|&byte| byte == b'.').next()?;
    let is_name = last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic);
    (local > 0 && last.len() + 1 < domain.len() && is_name)
        .then(|| at - local..at + 1 + domain.len())
}

/// How many bytes at the beginning are such bytes.
fn run(text: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|&&byte| is_such(byte)).count()
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Secret, find, is_in, redact};
    use crate::domain::{correlation::CorrelationId, task::TaskId};

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g";

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        for (secret, text) in [
            (Secret::Jwt, JWT),
            (Secret::Jwt, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
            (Secret::Jwt, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0"),
            (Secret::Jwt, "eyJlbmMiOiJBMjU2R0NNIn0.dGVzdA.dGVzdA.dGVzdA.dGVzdA"),
            (Secret::AwsKey, "AKIAIOSFODNN7EXAMPLE"),
            (Secret::AwsKey, "id:ASIAIOSFODNN7EXAMPLE-1"),
            (Secret::Bearer, "Bearer 3f9a0c1b7d"),
            (Secret::Bearer, "authorization: BEARER mF_9.B5f-4.1JqM"),
            (Secret::Bearer, "bearer:abcdefghijklmnopqrstuvwx"),
            (Secret::Card, "4111111111111111"),
            (Secret::Card, "card-4111-1111-1111-1111"),
            (Secret::Card, "paid with 3782 822463 10005 today"),
            (Secret::Card, "order5500005555555559"),
            (Secret::Email, "no such user: jo.doe+x@shop.example.com."),
            (Secret::Email, "<a@b.io>"),
        ] {
            assert_eq!(find(text.as_bytes()).map(|(kind, _)| kind), Some(secret), "{text}");
            let around = format!("x {text} y");
            assert!(is_in(around.as_bytes()), "{around}");
        }
    }

    #[test]
    fn ordinary_ids_and_sentences_are_none() {
        for text in [
            "",
            "a",
            "req-0123456789abcdef",
            "0192f0c1-aaaa-7bbb-8ccc-0123456789ab",
            "550e8400-e29b-41d4-a716-446655440000",
            "12345678-1234-4111-8111-111111111111",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "0xa6b461961785cf4590352728485a0000",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "1-5759e988-bd862e3fe1be46a994272793",
            // Times in milli-, micro- and nanoseconds, and a snowflake.
            "1795348800000",
            "1795348800000000",
            "1795348800000000000",
            "1212092628029698048",
            "4111111111111112",
            "orders:checkout:2026-11-22T12:00:00.000Z",
            "eyJ.a.b",
            "eyes.on.you",
            "com.example.AKIA.orders",
            "AKIAIOSFODNN7EXAMPLEANDMORE",
            "bearer-service.v2",
            "a bearer token is required: send `Authorization: Bearer <token>`",
            "connect to postgres@localhost failed",
            "user@10.0.0.1",
            "error sending request for url (http://payments:8080/v1/charges)",
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn only_the_secret_is_taken_out_of_a_text() {
        let told =
            format!("GET failed: Bearer {JWT} of jo@shop.example, card 4111 1111 1111 1111!");
        assert_eq!(redact(&told), "GET failed: Bearer *** of ***, card ***!");
        assert_eq!(redact("é jo@shop.example é"), "é *** é");
    }

    proptest! {
        #[test]
        fn ids_that_programs_make_are_kept(
            bits in any::<u128>(),
            random in any::<u64>(),
            at_us in 0_i64..4_000_000_000_000_000,
        ) {
            let uuid = TaskId::from_u128(bits).to_string();
            let minted = CorrelationId::mint(random);
            let task = TaskId::mint(at_us, bits).to_string();
            for id in [uuid.as_str(), minted.as_str(), task.as_str(), &format!("0x{bits:032x}")] {
                prop_assert!(!is_in(id.as_bytes()), "{}", id);
            }
        }

        #[test]
        fn nothing_is_left_of_what_was_taken_out(text in ".{0,80}") {
            let redacted = redact(&text);
            prop_assert!(!is_in(redacted.as_bytes()), "{:?} of {:?}", redacted, text);
        }

        #[test]
        fn a_secret_is_found_in_any_company(left in "[a-z :/]{0,12}", right in "[a-z :/]{0,12}") {
            let text = format!("{left} {JWT} {right}");
            let redacted = redact(&text);
            prop_assert_eq!(redacted.as_ref(), format!("{left} *** {right}"));
        }
    }
}
