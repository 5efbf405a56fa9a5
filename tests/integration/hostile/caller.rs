//! A caller that writes frames (RFC 9113 §4) and reads them, and obeys nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::harness::{Fusebox, PATIENCE};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The code of a reset or of a goodbye.
    pub(super) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// A connection that speaks HTTP/2 as it likes.
pub(super) struct Caller(TcpStream);

impl Caller {
    /// Connects and says the preface, and that streams have windows of this size.
    pub(super) fn open(fusebox: &Fusebox, window: u32) -> Self {
        let stream = TcpStream::connect(fusebox.proxy).expect("it accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout is set");
        let mut caller = Self(stream);
        let initial_window = [&[0, 4][..], &window.to_be_bytes()].concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert!(caller.send(&[preface, &frame(SETTINGS, 0, 0, &initial_window)[..]].concat()));
        caller
    }

    /// Whether all of it was taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; none when the connection has ended.
    pub(super) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in time")
            }
            Err(_) => return None,
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let mut payload = vec![0; number(&head[..3]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        let stream = number(&head[5..]) & 0x7fff_ffff;
        Some(Frame { kind: head[3], stream, payload })
    }

    /// The next frame that is this, of those that come.
    pub(super) fn wait_for(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// What a stream comes to: its answer's head, its reset, or the goodbye to all.
    pub(super) fn end_of(&mut self, stream: u32) -> Option<Frame> {
        self.wait_for(|frame| {
            let is_its = frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM);
            is_its || frame.kind == GOAWAY
        })
    }
}

/// A frame, as bytes.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it fits");
    let stream = stream.to_be_bytes();
    [&length.to_be_bytes()[1..], &[kind, flags], &stream, payload].concat()
}

/// Fields as HPACK has them: each literally, and remembered by nobody.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = text.len();
        let prefix = match u8::try_from(length) {
            Ok(length) if length < 127 => vec![length],
            _ => {
                let rest = length - 127;
                let low = u8::try_from(rest & 0x7f).expect("seven bits");
                vec![127, 0x80 | low, u8::try_from(rest >> 7).expect("below 32 KiB")]
            }
        };
        [&prefix, text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// An ordinary head of a request.
pub(super) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

/// A request without a body.
pub(super) fn request(stream: u32, head: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(head))
}
