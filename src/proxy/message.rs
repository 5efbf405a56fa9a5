//! A message on its way through: its head, and its body.
//!
//! It is handed on many times, and the head is large, so that is in a box.

use std::ops::{Deref, DerefMut};

use http::{Request, Response};

/// A request.
pub(super) type Ask<B> = Message<Request<()>, B>;
/// An answer.
pub(super) type Reply<B> = Message<Response<()>, B>;

/// See the module's text. It can be asked for what its head says.
#[derive(Debug)]
pub(super) struct Message<H, B> {
    pub(super) head: Box<H>,
    pub(super) body: B,
}

impl<H, B> Message<H, B> {
    /// With another body.
    pub(super) fn map<C>(self, change: impl FnOnce(B) -> C) -> Message<H, C> {
        Message { head: self.head, body: change(self.body) }
    }
}

impl<B> Ask<B> {
    /// Of one in one piece.
    pub(super) fn of(request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { head: Box::new(Request::from_parts(parts, ())), body }
    }

    /// In one piece.
    pub(super) fn whole(self) -> Request<B> {
        let Self { head, body } = self;
        head.map(|()| body)
    }
}

impl<B> Reply<B> {
    /// With nothing in its head.
    pub(super) fn new(body: B) -> Self {
        Self { head: Box::new(Response::new(())), body }
    }

    /// Of one in one piece.
    pub(super) fn of(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { head: Box::new(Response::from_parts(parts, ())), body }
    }

    /// In one piece.
    pub(super) fn whole(self) -> Response<B> {
        let Self { head, body } = self;
        head.map(|()| body)
    }
}

impl<H, B> Deref for Message<H, B> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.head
    }
}

impl<H, B> DerefMut for Message<H, B> {
    fn deref_mut(&mut self) -> &mut H {
        &mut self.head
    }
}
