//! Where the tokens of a JSON document end (RFC 8259), each found from where it begins, and checked.

use super::{fault::Fault, json::MAX_NESTING, words};

type End = Result<usize, Fault>;

/// The end of white space.
#[inline]
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of one byte that must be there.
#[inline]
pub(super) fn byte(bytes: &[u8], at: usize, byte: u8) -> End {
    if bytes.get(at) == Some(&byte) { Ok(at + 1) } else { Err(Fault::NotJson) }
}

/// The end of a word that must be there.
pub(super) fn word(bytes: &[u8], at: usize, word: &[u8]) -> End {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(Fault::NotJson) }
}

/// The end of a string, its quotes included, and whether anything in it is escaped.
#[inline]
pub(super) fn string(bytes: &[u8], at: usize) -> Result<(usize, bool), Fault> {
    let (mut at, mut has_escapes) = (byte(bytes, at, b'"')?, false);
    loop {
        at = words::end_of_text(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, has_escapes)),
            Some(b'\\') => (at, has_escapes) = (escape(bytes, at)?, true),
            // Control characters, and the end.
            _ => return Err(Fault::NotJson),
        }
    }
}

/// The end of a backslash and what belongs to it.
fn escape(bytes: &[u8], at: usize) -> End {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let digits = bytes.get(at + 2..at + 6).ok_or(Fault::NotJson)?;
            let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
            are_digits.then_some(at + 6).ok_or(Fault::NotJson)
        }
        _ => Err(Fault::NotJson),
    }
}

/// The end of a number.
#[inline(always)]
pub(super) fn number(bytes: &[u8], at: usize) -> End {
    let mut at = at + usize::from(bytes.get(at) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// The end of one digit at least.
#[inline(always)]
fn digits(bytes: &[u8], begin: usize) -> End {
    let at = words::end_of_digits(bytes, begin);
    if at == begin { Err(Fault::NotJson) } else { Ok(at) }
}

/// The end of a value that nobody wants, in a list or an object that is `depth` deep.
pub(super) fn value(bytes: &[u8], at: usize, depth: usize) -> End {
    // What is open, a bit each: one for an object.
    let (mut open, mut level, mut at) = (0_u64, 0_usize, space(bytes, at));
    loop {
        at = match bytes.get(at) {
            Some(&begin @ (b'{' | b'[')) => {
                let is_object = begin == b'{';
                level += 1;
                if depth + level > MAX_NESTING {
                    return Err(Fault::TooDeep);
                }
                open = open << 1 | u64::from(is_object);
                let next = space(bytes, at + 1);
                // The bytes that close are two after those that open.
                match bytes.get(next) {
                    Some(&close) if close == begin + 2 => next,
                    _ if is_object => {
                        at = key(bytes, next)?;
                        continue;
                    }
                    _ => {
                        at = next;
                        continue;
                    }
                }
            }
            Some(b'"') => string(bytes, at)?.0,
            Some(b't') => word(bytes, at, b"true")?,
            Some(b'f') => word(bytes, at, b"false")?,
            Some(b'n') => word(bytes, at, b"null")?,
            _ => number(bytes, at)?,
        };
        // Behind a value, or at the end of an empty list or object.
        loop {
            if level == 0 {
                return Ok(at);
            }
            let is_object = open & 1 == 1;
            let close = if is_object { b'}' } else { b']' };
            at = space(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = space(bytes, at + 1);
                    if is_object {
                        at = key(bytes, at)?;
                    }
                    break;
                }
                Some(&end) if end == close => {
                    (open, level, at) = (open >> 1, level - 1, at + 1);
                }
                _ => return Err(Fault::NotJson),
            }
        }
    }
}

/// The end of a key, its colon and the white space behind that.
fn key(bytes: &[u8], at: usize) -> End {
    let at = space(bytes, string(bytes, at)?.0);
    Ok(space(bytes, byte(bytes, at, b':')?))
}
