//! Finding values in a JSON document (RFC 8259) in one pass, without building it.
//!
//! What nothing is wanted of is checked and skipped; numbers stay text until somebody knows of
//! which type they are to be. A document that is not valid to its last byte says nothing, and so
//! does one that gives a wanted value twice.

use std::borrow::Cow;

use super::{
    fault::Fault,
    scalar::Scalar,
    token,
    wanted::{Node, Wanted},
};

/// Lists and objects within each other. What is wanted is never so deep; this bounds the rest.
pub const MAX_NESTING: usize = 64;

/// Hands out what is wanted and there, each by its number.
///
/// # Errors
/// The document is none, nested too deeply, or says something wanted twice. What was handed out
/// before is then not to be used.
pub fn find<'a>(
    document: &'a [u8],
    wanted: &Wanted,
    found: &mut impl FnMut(usize, Scalar<'a>),
) -> Result<(), Fault> {
    let text = std::str::from_utf8(document).map_err(|_| Fault::NotJson)?;
    let mut scan = Scan { text, bytes: document, at: 0, found };
    scan.value(wanted.root(), 0)?;
    scan.space();
    if scan.at == document.len() { Ok(()) } else { Err(Fault::NotJson) }
}

struct Scan<'a, 'f, F> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    found: &'f mut F,
}

impl<'a, F: FnMut(usize, Scalar<'a>)> Scan<'a, '_, F> {
    /// One value, whatever it is.
    fn value(&mut self, node: &Node, depth: usize) -> Result<(), Fault> {
        if node.is_nothing() {
            self.at = token::value(self.bytes, self.at, depth)?;
            return Ok(());
        }
        self.space();
        let begin = self.at;
        let scalar = match self.bytes.get(begin) {
            Some(b'{') => return self.object(node, depth + 1),
            Some(b'[') => return self.list(node, depth + 1),
            Some(b'"') => Scalar::Text(self.string()?.decoded()?),
            Some(b't') => Scalar::Bool(true),
            Some(b'f') => Scalar::Bool(false),
            Some(b'n') => {
                self.at = token::word(self.bytes, begin, b"null")?;
                return Ok(());
            }
            _ => {
                self.at = token::number(self.bytes, begin)?;
                Scalar::Number(&self.text[begin..self.at])
            }
        };
        if let Scalar::Bool(value) = scalar {
            let word: &[u8] = if value { b"true" } else { b"false" };
            self.at = token::word(self.bytes, begin, word)?;
        }
        self.tell(node, &scalar);
        Ok(())
    }

    fn object(&mut self, node: &Node, depth: usize) -> Result<(), Fault> {
        self.enter(node, depth)?;
        if self.closes(b'}') {
            return Ok(());
        }
        // A bit for each key that is looked for: there are far fewer than bits.
        let mut seen = 0_u128;
        loop {
            self.space();
            let key = self.string()?;
            let step = node.by_key(&key.decoded()?);
            if let Some(step) = step {
                let bit = 1_u128.checked_shl(u32::try_from(step).unwrap_or(u32::MAX)).unwrap_or(0);
                if seen & bit != 0 {
                    return Err(Fault::DuplicateKey);
                }
                seen |= bit;
            }
            self.space();
            self.at = token::byte(self.bytes, self.at, b':')?;
            self.value(step.map_or(Node::NOTHING, |step| &node.below[step].node), depth)?;
            if self.closes(b'}') {
                return Ok(());
            }
            self.at = token::byte(self.bytes, self.at, b',')?;
        }
    }

    fn list(&mut self, node: &Node, depth: usize) -> Result<(), Fault> {
        self.enter(node, depth)?;
        if self.closes(b']') {
            return Ok(());
        }
        for item in 0_usize.. {
            self.value(node.by_item(item), depth)?;
            if self.closes(b']') {
                break;
            }
            self.at = token::byte(self.bytes, self.at, b',')?;
        }
        Ok(())
    }

    /// Steps over the byte that begins a list or an object.
    fn enter(&mut self, node: &Node, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.tell(node, &Scalar::Nested);
        if depth > MAX_NESTING { Err(Fault::TooDeep) } else { Ok(()) }
    }

    fn tell(&mut self, node: &Node, scalar: &Scalar<'a>) {
        node.ends.iter().for_each(|&number| (self.found)(number, scalar.clone()));
    }

    /// What stands between quotes.
    fn string(&mut self) -> Result<Raw<'a>, Fault> {
        let begin = self.at + 1;
        let (end, has_escapes) = token::string(self.bytes, self.at)?;
        self.at = end;
        Ok(Raw { text: &self.text[begin..end - 1], has_escapes })
    }

    /// Whether this byte comes next, white space aside, which is then stepped over.
    fn closes(&mut self, byte: u8) -> bool {
        self.space();
        let closes = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(closes);
        closes
    }

    fn space(&mut self) {
        self.at = token::space(self.bytes, self.at);
    }
}

/// A string as it is written.
struct Raw<'a> {
    text: &'a str,
    has_escapes: bool,
}

impl<'a> Raw<'a> {
    fn decoded(&self) -> Result<Cow<'a, str>, Fault> {
        if !self.has_escapes {
            return Ok(Cow::Borrowed(self.text));
        }
        let mut decoded = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            decoded.push_str(&rest[..at]);
            let length = match rest.as_bytes()[at + 1] {
                b'u' => {
                    let (character, length) = unicode(&rest[at..])?;
                    decoded.push(character);
                    length
                }
                other => {
                    decoded.push(match other {
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        other => char::from(other),
                    });
                    2
                }
            };
            rest = &rest[at + length..];
        }
        decoded.push_str(rest);
        Ok(Cow::Owned(decoded))
    }
}

/// The character of `\uXXXX`, or of two of them that belong together, and how long that is.
fn unicode(text: &str) -> Result<(char, usize), Fault> {
    const ESCAPE: usize = 6;
    let unit = |from: usize| {
        let digits = text.get(from..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(0).ok_or(Fault::NotJson)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|one| (one, ESCAPE)).ok_or(Fault::NotJson);
    }
    let second = unit(ESCAPE).filter(|unit| (0xdc00..0xe000).contains(unit));
    let joined = second.map(|second| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    let joined = joined.and_then(char::from_u32);
    joined.map(|one| (one, 2 * ESCAPE)).ok_or(Fault::NotJson)
}

#[cfg(test)]
mod tests;
