//! What hyper does not tell about a request head, seen on its way in.
//!
//! hyper's limit on a head is that of its buffer, which a last read may exceed by as much again.
//! hyper drops `Content-Length` without a word when `Transfer-Encoding` is there too. It then
//! frames the message safely, but a request with both is an attack or a broken client, and is to be
//! refused. It takes lines that end with a bare LF, joins equal `Content-Length` fields to one, and
//! cuts a fragment off the target. [`HeadWatch`] looks at the bytes that hyper reads and remembers
//! these facts about every head. It follows bodies to their ends, since a read may hold several
//! messages, and a body may come when its call is long over.

use std::collections::VecDeque;

/// As much of a line is kept across reads: any field that matters is shorter.
const KEPT: usize = 128;

/// What hyper does not tell about one head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// It had a `Content-Length`.
    pub(super) has_content_length: bool,
    /// Its length in bytes.
    pub(super) length: usize,
    /// What is wrong with it.
    pub(super) flaw: Option<Flaw>,
}

/// What hyper lets through although another server might read it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A line ends with LF alone.
    BareLf,
    /// There is a `#` in the request line.
    Fragment,
    /// `Content-Length` is there twice.
    TwoLengths,
}

impl Flaw {
    /// The flaw in words for the caller.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BareLf => "lines of the request head must end with CR LF",
            Self::Fragment => "the request target may have no `#`: fragments are not sent",
            Self::TwoLengths => "there must be one Content-Length, of digits only",
        }
    }
}

/// Watches a connection line by line, across reads.
#[derive(Debug, Default)]
pub(super) struct HeadWatch {
    part: Part,
    /// The beginning of a line that the last read cut off.
    cut: Vec<u8>,
    /// It was cut off behind a CR.
    is_cut_at_cr: bool,
    /// The head that is being read, and how its body will be framed.
    head: Head,
    body: Body,
    /// Complete heads whose calls have not begun; no more than hyper's buffer holds.
    heads: VecDeque<Head>,
}

/// Where in a message the next byte belongs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The first line of a head, or an empty one before it.
    #[default]
    RequestLine,
    Fields,
    /// So many bytes of a body.
    Data(u64),
    /// So many bytes of a chunk.
    Chunk(u64),
    ChunkSize,
    ChunkEnd,
    Trailers,
}

impl Part {
    /// With so many bytes left.
    const fn with(self, left: u64) -> Self {
        match (self, left) {
            (Self::Chunk(_), 0) => Self::ChunkEnd,
            (Self::Chunk(_), _) => Self::Chunk(left),
            (_, 0) => Self::RequestLine,
            (_, _) => Self::Data(left),
        }
    }
}

/// How the body is framed that comes after a head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
}

impl HeadWatch {
    /// Looks at bytes as they are read.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Part::Data(left) | Part::Chunk(left) = self.part {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[here..];
                self.part = self.part.with(left - here as u64);
                continue;
            }
            let end = memchr::memchr(b'\n', bytes);
            let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            if self.is_in_head() {
                self.look(line, end.is_some());
            }
            if self.cut.is_empty() && end.is_some() {
                self.line(line);
            } else {
                let room = KEPT.saturating_sub(self.cut.len());
                self.cut.extend_from_slice(&line[..line.len().min(room)]);
                if end.is_some() {
                    let line = std::mem::take(&mut self.cut);
                    self.line(&line);
                }
            }
            bytes = rest;
        }
    }

    /// The head of the call that begins now.
    pub(super) fn take(&mut self) -> Head {
        self.heads.pop_front().unwrap_or_default()
    }

    /// Whether what comes next belongs to a body.
    pub(super) fn is_in_body(&self) -> bool {
        !self.is_in_head()
    }

    /// Whether all that was read belongs to calls that have begun, bodies included.
    pub(super) fn is_between_messages(&self) -> bool {
        self.part == Part::RequestLine && self.head.length == 0 && self.heads.is_empty()
    }

    fn is_in_head(&self) -> bool {
        matches!(self.part, Part::RequestLine | Part::Fields)
    }

    /// Takes the bytes of a line of a head as they come: all of it, or a piece.
    fn look(&mut self, piece: &[u8], is_end: bool) {
        self.head.length += piece.len();
        if self.part == Part::RequestLine && memchr::memchr(b'#', piece).is_some() {
            self.found(Flaw::Fragment);
        }
        let has_cr = piece.ends_with(b"\r\n") || (piece.len() == 1 && self.is_cut_at_cr);
        if is_end && !has_cr {
            self.found(Flaw::BareLf);
        }
        self.is_cut_at_cr = piece.ends_with(b"\r");
    }

    /// One flaw is enough: the first.
    fn found(&mut self, flaw: Flaw) {
        self.head.flaw.get_or_insert(flaw);
    }

    /// Takes a whole line, or the first [`KEPT`] bytes of a longer one.
    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        match self.part {
            // Empty lines before a request line are no head (RFC 9112 §2.2).
            Part::RequestLine if line.is_empty() => self.head = Head::default(),
            Part::RequestLine => self.part = Part::Fields,
            Part::Fields if line.is_empty() => self.head_ended(),
            Part::Fields => self.field(line),
            Part::ChunkSize => {
                self.part = match number(line, 16) {
                    0 => Part::Trailers,
                    size => Part::Chunk(size),
                }
            }
            Part::Trailers if line.is_empty() => self.part = Part::RequestLine,
            Part::Trailers | Part::Data(_) | Part::Chunk(_) => {}
            Part::ChunkEnd => self.part = Part::ChunkSize,
        }
    }

    fn field(&mut self, line: &[u8]) {
        // Cheap for nearly every line: the two that matter begin with these letters.
        match line[0] {
            b'c' | b'C' => {
                let Some(length) = value(line, b"content-length") else { return };
                if std::mem::replace(&mut self.head.has_content_length, true) {
                    self.found(Flaw::TwoLengths);
                }
                if self.body != Body::Chunked {
                    self.body = Body::Length(number(length, 10));
                }
            }
            b't' | b'T' if value(line, b"transfer-encoding").is_some() => self.body = Body::Chunked,
            _ => {}
        }
    }

    fn head_ended(&mut self) {
        let (head, body) = (std::mem::take(&mut self.head), std::mem::take(&mut self.body));
        self.heads.push_back(head);
        self.part = match body {
            Body::None | Body::Length(0) => Part::RequestLine,
            Body::Length(length) => Part::Data(length),
            Body::Chunked => Part::ChunkSize,
        };
    }
}

/// The value of the field of this name, if this is its line.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii_start())
}

/// The digits that a text begins with. What hyper reads differently, it refuses.
fn number(text: &[u8], radix: u32) -> u64 {
    let digits = text.iter().map_while(|&digit| char::from(digit).to_digit(radix));
    digits.fold(0, |number: u64, digit| {
        number.saturating_mul(radix.into()).saturating_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Head, HeadWatch};
    use proptest::prelude::proptest;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A head, its body, and what is wrong with the head.
    type Message = (&'static str, &'static str, Option<Flaw>);

    const MESSAGES: [Message; 11] = [
        (GET, "", None),
        ("POST / HTTP/1.1\r\ncontent-length: 12\r\n\r\n", "GET /\r\n\r\ncl:", None),
        (
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\n\r\n",
            "3;x=y\r\n\r\n\r\r\n1a\r\ncontent-length: 5\r\n\r\nGET /\r\n0\r\nx: 1\r\n\r\n",
            None,
        ),
        ("\r\n", "", None),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\n\r\n",
            None,
        ),
        ("GET / HTTP/1.1\ncontent-length-x: 1\n\n", "", Some(Flaw::BareLf)),
        ("GET / HTTP/1.1\r\nx: #\r\n\n", "", Some(Flaw::BareLf)),
        ("\n", "", None),
        ("GET /a#b HTTP/1.1\r\nx: 1\n\r\n", "", Some(Flaw::Fragment)),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
            "\n",
            Some(Flaw::TwoLengths),
        ),
        (GET, "", None),
    ];

    /// What a connection holds, each head apart from its body; and what is known about the heads.
    fn connection() -> (String, Vec<Head>) {
        let wire = MESSAGES.iter().flat_map(|(head, body, _)| [*head, *body]).collect();
        let heads =
            MESSAGES.iter().filter(|(head, ..)| head.len() > 2).map(|(head, _, flaw)| Head {
                has_content_length: head.to_ascii_lowercase().contains("content-length:"),
                length: head.len(),
                flaw: *flaw,
            });
        (wire, heads.collect())
    }

    proptest! {
        #[test]
        fn every_head_is_seen_apart_from_all_bodies_wherever_reads_cut(
            cuts in proptest::collection::vec(0_usize..400, 0..12)
        ) {
            let (wire, heads) = connection();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let mut watch = HeadWatch::default();
            for pair in cuts.windows(2) {
                watch.feed(&wire.as_bytes()[pair[0]..pair[1]]);
            }
            assert!(!watch.is_between_messages(), "calls have yet to begin");
            let seen: Vec<_> = heads.iter().map(|_| watch.take()).collect();
            assert!(watch.is_between_messages());
            assert_eq!(seen, heads);
            assert_eq!(watch.take(), Head::default(), "and no other");
        }
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut watch = HeadWatch::default();
        for _ in 0..1_000 {
            watch.feed(&[b'x'; 1_000]);
        }
        assert!(watch.cut.capacity() < 1_024);
        watch.feed(b"\r\n\r\n");
        assert_eq!(watch.take().length, 1_000_004);
    }
}
