//! The body of a message, out of bytes: where it ends, and what of it is data.
//!
//! A pure state machine over what has been read so far. Data is handed on without a copy; size lines
//! and chunk extensions are checked, counted against a limit and dropped; trailers are kept.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;

use super::Broken;

/// The most bytes of chunk extensions in a body: nobody needs them.
const MAX_EXTENSIONS: usize = 16 << 10;
/// The most bytes of trailers.
const MAX_TRAILERS: usize = 16 << 10;
const MAX_TRAILER_FIELDS: usize = 100;
/// The most digits of a chunk's size: as many as 64 bits have.
const MAX_DIGITS: u8 = 16;

/// How the body of a message is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Framing {
    /// There is none.
    Nothing,
    Length(u64),
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// Takes a body apart. See the module's text.
#[derive(Debug)]
pub(in crate::proxy) struct Decoder {
    state: State,
    /// Bytes of extensions so far.
    extra: usize,
    /// The trailers as they came, up to the empty line that ends them.
    trailers: Vec<u8>,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// None of this body.
    Done,
    /// Data, of which so much is left.
    Data(u64),
    /// Data until the connection ends.
    UntilClose,
    /// Data of a chunk, of which so much is left.
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    /// A digit of the size, or what follows the digits.
    Size {
        digits: u8,
        size: u64,
    },
    Extension(u64),
    /// Behind a size: white space, which an extension or the end of the line may follow.
    Blank(u64),
    SizeLf(u64),
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    /// It did not make sense.
    Broken,
}

impl Decoder {
    pub(in crate::proxy) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Nothing | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Data(length),
            Framing::Chunked => State::Size { digits: 0, size: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extra: 0, trailers: Vec::new() }
    }

    /// Whether all of the body has been taken.
    pub(in crate::proxy) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How much data is still to come, if that is known.
    pub(in crate::proxy) const fn left(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Data(left) => Some(left),
            _ => None,
        }
    }

    /// The data at the front of the buffer; none until more is read, or when the body is done. With
    /// the last data, what ends the body is taken too if it is there.
    ///
    /// # Errors
    /// The body is malformed. Data before that has been handed on.
    pub(in crate::proxy) fn take(
        &mut self,
        buffer: &mut BytesMut,
    ) -> Result<Option<Bytes>, Broken> {
        self.skip(buffer);
        let here = buffer.len() as u64;
        let (length, next) = match self.state {
            State::Broken => return Err(Broken::Malformed),
            State::Data(left) if left > here => (here, State::Data(left - here)),
            State::Data(left) => (left, State::Done),
            State::Chunk(left) if left > here => (here, State::Chunk(left - here)),
            State::Chunk(left) => (left, State::ChunkCr),
            State::UntilClose => (here, State::UntilClose),
            _ => return Ok(None),
        };
        if length == 0 {
            return Ok(None);
        }
        self.state = next;
        let length = usize::try_from(length).unwrap_or(buffer.len());
        let data = buffer.split_to(length).freeze();
        self.skip(buffer);
        Ok(Some(data))
    }

    /// The fields behind the data, once.
    ///
    /// # Errors
    /// They are no fields, or too many.
    pub(in crate::proxy) fn take_trailers(&mut self) -> Result<Option<HeaderMap>, Broken> {
        if self.state != State::Done || self.trailers.is_empty() {
            return Ok(None);
        }
        let mut raw = std::mem::take(&mut self.trailers);
        raw.extend_from_slice(b"\r\n");
        let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
        let Ok(Status::Complete((_, parsed))) = httparse::parse_headers(&raw, &mut fields) else {
            return Err(Broken::Malformed);
        };
        let mut trailers = HeaderMap::with_capacity(parsed.len());
        for field in parsed {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else { return Err(Broken::Malformed) };
            trailers.append(name, value);
        }
        Ok(Some(trailers))
    }

    /// Whether there are fields to be taken.
    pub(in crate::proxy) const fn has_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    /// The connection ended.
    ///
    /// # Errors
    /// The body should have gone on.
    pub(in crate::proxy) fn end(&mut self) -> Result<(), Broken> {
        match self.state {
            State::Done | State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Broken::Connection),
        }
    }

    /// Takes what is no data from the front of the buffer.
    fn skip(&mut self, buffer: &mut BytesMut) {
        let mut taken = 0;
        for &byte in &**buffer {
            if matches!(
                self.state,
                State::Done | State::Data(_) | State::UntilClose | State::Chunk(_) | State::Broken
            ) {
                break;
            }
            self.state = self.after(byte).unwrap_or(State::Broken);
            taken += 1;
        }
        buffer.advance(taken);
    }

    /// The state after a byte that is no data; none if it does not belong there.
    fn after(&mut self, byte: u8) -> Option<State> {
        Some(match (self.state, byte) {
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { digits: 0, size: 0 },
            (State::Size { digits, size }, b'\r') if digits > 0 => State::SizeLf(size),
            (State::Size { digits, size }, b';') if digits > 0 => State::Extension(size),
            (State::Size { digits, size }, b' ' | b'\t') if digits > 0 => State::Blank(size),
            (State::Size { digits, size }, byte) if digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (State::Blank(size) | State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Blank(size), b' ' | b'\t') => {
                self.count(MAX_EXTENSIONS)?;
                State::Blank(size)
            }
            (State::Blank(size), b';') => State::Extension(size),
            (State::Extension(size), byte) if byte != b'\n' => {
                self.count(MAX_EXTENSIONS)?;
                State::Extension(size)
            }
            (State::SizeLf(0), b'\n') => State::TrailerStart,
            (State::SizeLf(size), b'\n') => State::Chunk(size),
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, byte)
                if byte != b'\n' && self.trailers.len() < MAX_TRAILERS =>
            {
                self.trailers.push(byte);
                State::Trailer
            }
            (State::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                State::TrailerStart
            }
            (State::LastLf, b'\n') => State::Done,
            _ => return None,
        })
    }

    /// Counts a byte that is dropped; none when there are too many.
    fn count(&mut self, limit: usize) -> Option<()> {
        self.extra += 1;
        (self.extra <= limit).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Decoder, Framing, MAX_EXTENSIONS, MAX_TRAILERS};
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    /// Reads a body that comes in these pieces: its data, and what is behind it.
    fn read<'a>(
        framing: Framing,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<u8>, BytesMut), Broken> {
        let (mut decoder, mut buffer) = (Decoder::new(framing), BytesMut::new());
        let mut data = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(bytes) = decoder.take(&mut buffer)? {
                assert!(!bytes.is_empty());
                data.extend_from_slice(&bytes);
            }
        }
        decoder.end().map(|()| (data, buffer))
    }

    fn chunks(wire: &str) -> Result<(Vec<u8>, BytesMut), Broken> {
        read(Framing::Chunked, [wire.as_bytes()])
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let mut buffer = BytesMut::from("bodynext");
        let mut decoder = Decoder::new(Framing::Length(4));
        assert_eq!((decoder.left(), decoder.is_done()), (Some(4), false));
        assert_eq!(decoder.take(&mut buffer), Ok(Some(Bytes::from("body"))));
        assert_eq!((decoder.left(), decoder.is_done()), (Some(0), true));
        assert_eq!(decoder.take(&mut buffer), Ok(None));
        assert_eq!(buffer, "next");
        for framing in [Framing::Nothing, Framing::Length(0)] {
            assert!(Decoder::new(framing).is_done());
        }
    }

    #[test]
    fn the_last_data_ends_the_body_if_its_end_is_there() {
        let (mut decoder, mut buffer) =
            (Decoder::new(Framing::Chunked), BytesMut::from("2\r\nok\r\n0\r\n\r\n"));
        assert_eq!(decoder.take(&mut buffer), Ok(Some(Bytes::from("ok"))));
        assert!(decoder.is_done());
    }

    #[test]
    fn data_before_a_fault_is_handed_on_first() {
        let (mut decoder, mut buffer) =
            (Decoder::new(Framing::Chunked), BytesMut::from("2\r\nok\r\nZZ"));
        assert_eq!(decoder.take(&mut buffer), Ok(Some(Bytes::from("ok"))));
        assert!(!decoder.is_done());
        assert_eq!(decoder.take(&mut buffer), Err(Broken::Malformed));
        assert_eq!(decoder.take(&mut buffer), Err(Broken::Malformed), "and stays so");
    }

    #[test]
    fn only_a_body_that_ends_with_the_connection_may_do_so() {
        assert_eq!(read(Framing::UntilClose, [&b"all"[..]]).unwrap().0, b"all");
        assert_eq!(read(Framing::Length(4), [&b"all"[..]]), Err(Broken::Connection));
        for cut in ["", "3", "3\r\n", "3\r\nal", "3\r\nall\r\n", "3\r\nall\r\n0\r\n"] {
            assert_eq!(chunks(cut), Err(Broken::Connection), "{cut:?}");
        }
    }

    #[test]
    fn chunks_that_make_no_sense_are_refused() {
        for wire in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\n",
            "1\r\r\n",
            "1;a\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "10000000000000000\r\n",
            "00000000000000001\r\n",
            "0\r\n\n",
            "0\r\na: 1\n\r\n",
            "0\r\n\r\r\n",
        ] {
            assert_eq!(chunks(wire), Err(Broken::Malformed), "{wire:?}");
        }
    }

    #[test]
    fn trailers_are_kept_for_who_asks_once() {
        let mut decoder = Decoder::new(Framing::Chunked);
        let mut buffer = BytesMut::from("0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nrest");
        assert_eq!(decoder.take(&mut buffer), Ok(None));
        assert!(decoder.is_done() && decoder.has_trailers());
        let trailers = decoder.take_trailers().unwrap().unwrap();
        assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((decoder.take_trailers(), &buffer[..]), (Ok(None), &b"rest"[..]));
        for malformed in ["x", "x y: 1", ": 1", "x: \0"] {
            let mut decoder = Decoder::new(Framing::Chunked);
            let wire = format!("0\r\n{malformed}\r\n\r\n");
            assert_eq!(decoder.take(&mut BytesMut::from(&wire[..])), Ok(None));
            assert_eq!(decoder.take_trailers(), Err(Broken::Malformed), "{malformed:?}");
        }
    }

    #[test]
    fn extensions_are_dropped_and_trailers_kept_up_to_a_limit() {
        let (data, rest) =
            chunks("1;a=\"b\" \r\nx\r\n1 \r\ny\r\n0;z\r\nx-a: 1\r\nb: 2\r\n\r\nrest").unwrap();
        assert_eq!((&data[..], &rest[..]), (&b"xy"[..], &b"rest"[..]));
        let extension = |length| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(length));
        assert!(chunks(&extension(MAX_EXTENSIONS)).is_ok());
        assert_eq!(chunks(&extension(MAX_EXTENSIONS + 1)), Err(Broken::Malformed));
        let many = "1;aaa\r\nx\r\n".repeat(MAX_EXTENSIONS / 2);
        assert_eq!(chunks(&format!("{many}0\r\n\r\n")), Err(Broken::Malformed), "of all chunks");
        let trailer = |length| format!("0\r\n{}\r\n\r\n", "a".repeat(length));
        assert!(chunks(&trailer(MAX_TRAILERS)).is_ok());
        assert_eq!(chunks(&trailer(MAX_TRAILERS + 1)), Err(Broken::Malformed));
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_went_in_wherever_reads_cut(
            data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in proptest::collection::vec(0_usize..400, 0..12),
            every_byte in any::<bool>(),
        ) {
            let mut wire = Vec::new();
            for chunk in &data {
                wire.extend(format!("{:X};x\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\nsum: 1\r\n\r\n");
            let end = wire.len();
            wire.extend(b"HTTP/1.1");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            if every_byte {
                cuts = (0..wire.len()).collect();
            }
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]);
            let (read, rest) = read(Framing::Chunked, pieces).unwrap();
            prop_assert_eq!(read, data.concat());
            prop_assert_eq!(&rest[..], &wire[end..]);
        }

        #[test]
        fn any_bytes_are_data_or_refused_and_none_are_made_up(
            bytes in proptest::collection::vec(any::<u8>(), 0..99),
            start in 0_usize..3,
        ) {
            let mut wire = ["", "5\r\n", "1\r\na\r\n0\r\n"][start].as_bytes().to_vec();
            wire.extend(&bytes);
            if let Ok((data, rest)) = read(Framing::Chunked, [&wire[..]]) {
                prop_assert!(data.len() + rest.len() < wire.len());
            }
        }
    }
}
