//! What has come of a body, kept while it is little enough to be sent once more.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Replay {
    frames: Vec<Kept>,
    /// How many bytes may still be kept; none when it became too much.
    room: Option<usize>,
}

#[derive(Debug, Clone)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Replay {
    /// Keeps up to so many bytes.
    pub(super) const fn new(room: usize) -> Self {
        Self { frames: Vec::new(), room: Some(room) }
    }

    /// Takes note of a frame. Once it is too much, nothing is kept any more.
    pub(super) fn keep(&mut self, frame: &Frame<Bytes>) {
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.room = self.room.and_then(|room| room.checked_sub(length));
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            _ if self.room.is_none() => return self.frames = Vec::new(),
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(trailers.clone()),
            (None, None) => return,
        };
        self.frames.push(kept);
    }

    /// Whether all that has come is still there.
    pub(super) const fn is_whole(&self) -> bool {
        self.room.is_some()
    }

    /// How many frames are kept.
    pub(super) const fn len(&self) -> usize {
        self.frames.len()
    }

    /// The frame at this place.
    pub(super) fn frame(&self, at: usize) -> Option<Frame<Bytes>> {
        Some(match self.frames.get(at)? {
            Kept::Data(data) => Frame::data(data.clone()),
            Kept::Trailers(trailers) => Frame::trailers(trailers.clone()),
        })
    }

    /// The bytes of data from this place on.
    pub(super) fn bytes_from(&self, at: usize) -> u64 {
        let data = self.frames.iter().skip(at).map(|kept| match kept {
            Kept::Data(data) => data.len() as u64,
            Kept::Trailers(_) => 0,
        });
        data.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Replay;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body::Frame;

    #[test]
    fn what_fits_comes_again_in_its_order() {
        let mut replay = Replay::new(4);
        let field = (HeaderName::from_static("sum"), HeaderValue::from_static("4"));
        let trailers: HeaderMap = [field].into_iter().collect();
        replay.keep(&Frame::data(Bytes::from_static(b"ab")));
        replay.keep(&Frame::data(Bytes::from_static(b"cd")));
        replay.keep(&Frame::trailers(trailers.clone()));
        assert!(replay.is_whole());
        assert_eq!((replay.len(), replay.bytes_from(0), replay.bytes_from(1)), (3, 4, 2));
        assert_eq!(replay.frame(1).unwrap().into_data().unwrap(), "cd");
        assert_eq!(replay.frame(2).unwrap().into_trailers().unwrap(), trailers);
        assert!(replay.frame(3).is_none());
    }

    #[test]
    fn what_is_too_much_is_let_go_and_nothing_is_kept_after_it() {
        let mut replay = Replay::new(4);
        for data in [&b"abc"[..], b"de", b"f"] {
            replay.keep(&Frame::data(Bytes::copy_from_slice(data)));
        }
        assert!(!replay.is_whole());
        assert_eq!((replay.len(), replay.bytes_from(0)), (0, 0));
    }
}
