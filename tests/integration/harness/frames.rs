//! HTTP/2, frame by frame, over a connection that the test holds: no library decides what is sent.

use super::client::Connection;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

/// The flag of a frame that ends its stream; of settings, that they have been read.
pub(crate) const END: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a caller begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head, in bytes.
const HEAD: usize = 9;

/// The setting of how many streams there may be at a time.
pub(crate) const MAX_STREAMS: u16 = 3;
/// That of how much of a stream may be sent before the other side says that it takes more.
pub(crate) const WINDOW: u16 = 4;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// What the head of a frame says of its payload.
fn length(head: &[u8]) -> usize {
    usize::try_from(number(&head[..3])).expect("a short frame")
}

/// One side of a connection of HTTP/2.
pub(crate) struct Frames(Connection);

impl Frames {
    /// The caller's side.
    pub(crate) fn caller(mut connection: Connection) -> Self {
        connection.send(PREFACE);
        let mut frames = Self(connection);
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    /// The server's side, which takes so many streams at a time.
    pub(crate) fn server(connection: Connection, streams: u32) -> Self {
        Self::server_with(connection, (MAX_STREAMS, streams))
    }

    /// The server's side, with one thing set.
    pub(crate) fn server_with(mut connection: Connection, (id, value): (u16, u32)) -> Self {
        assert_eq!(connection.bytes(PREFACE.len()), PREFACE);
        let mut frames = Self(connection);
        frames.send(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        frames
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.send([&head, payload].concat());
    }

    /// A GET of `/` without a body.
    pub(crate) fn get(&mut self, stream: u32) {
        // Of the static table: GET, http, `/`; the authority as a literal.
        self.send(HEADERS, END_HEADERS | END, stream, b"\x82\x86\x84\x41\x01a");
    }

    /// A POST with these fields and a body, in which lengths are below 127.
    pub(crate) fn post(&mut self, stream: u32, path: &str, fields: &[(&str, &str)], body: &[u8]) {
        let length = |text: &str| u8::try_from(text.len()).expect("a short text");
        let text = |text: &str| [&[length(text)], text.as_bytes()].concat();
        // Of the static table: POST, http; path and authority as literals, like all else.
        let mut head = [&b"\x83\x86\x04"[..], &text(path), b"\x41\x01a"].concat();
        for (name, value) in fields {
            head.extend([&[0], &*text(name), &text(value)].concat());
        }
        self.send(HEADERS, END_HEADERS, stream, &head);
        self.send(DATA, END, stream, body);
    }

    /// An answer of this status without a body: 200, 204, 404 or 500.
    pub(crate) fn answer(&mut self, stream: u32, status: u16) {
        let index = match status {
            200 => 8,
            204 => 9,
            404 => 13,
            500 => 14,
            other => panic!("{other} is not in the static table"),
        };
        self.send(HEADERS, END_HEADERS | END, stream, &[0x80 | index]);
    }

    /// The head of an answer of status 200 whose body follows.
    pub(crate) fn begin_answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &[0x88]);
    }

    /// Resets a stream with this code.
    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Frame {
        let head = self.0.bytes(HEAD);
        let (kind, flags, stream) = (head[3], head[4], number(&head[5..]));
        Frame { kind, flags, stream, payload: self.0.bytes(length(&head)) }
    }

    /// The next frame of this kind; others are passed over, settings and pings included.
    pub(crate) fn next_of(&mut self, kind: u8) -> Frame {
        std::iter::repeat_with(|| self.next()).find(|frame| frame.kind == kind).expect("endless")
    }

    /// With which code the other side resets a stream; pings before that are answered.
    pub(crate) fn code_of_reset(&mut self) -> u32 {
        let mut pings = 0;
        loop {
            let frame = self.next();
            match frame.kind {
                RST_STREAM => return number(&frame.payload),
                PING if frame.flags != END => {
                    self.send(PING, END, 0, &frame.payload);
                    pings += 1;
                }
                _ => {}
            }
            assert!(pings < 5, "it asks whether somebody is there, and resets no stream");
        }
    }

    /// What the other side has set, where it has.
    pub(crate) fn setting(&mut self, id: u16) -> Option<u32> {
        let settings = self.next_of(SETTINGS).payload;
        let mut pairs = settings.chunks_exact(6);
        let value = pairs.find(|pair| pair[..2] == id.to_be_bytes())?;
        value[2..].try_into().map(u32::from_be_bytes).ok()
    }

    /// Whether the other side closes; frames before that are passed over.
    pub(crate) fn is_closed_in_the_end(&mut self) -> bool {
        loop {
            if self.0.is_closed() {
                return true;
            }
            match self.0.try_bytes(HEAD) {
                Some(head) => drop(self.0.bytes(length(&head))),
                None => return false,
            }
        }
    }
}
