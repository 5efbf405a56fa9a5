//! The body of a request, read from the caller's connection as it is asked for.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::caller::Caller;
use crate::proxy::h1::{Broken, Framing};

/// See the module's text.
#[derive(Debug)]
pub(in crate::proxy) struct Receiving {
    caller: Rc<RefCell<Caller>>,
    /// Which of the caller's bodies it is.
    turn: u64,
    /// Its length was told before it.
    has_length: bool,
}

impl Receiving {
    /// The body behind the last head; none if there is nothing of it. `waits` says whether the
    /// caller wants to be told to send it.
    pub(super) fn begin(
        caller: &Rc<RefCell<Caller>>,
        framing: Framing,
        waits: bool,
    ) -> Option<Self> {
        let turn = caller.borrow_mut().begin_body(framing, waits)?;
        let has_length = matches!(framing, Framing::Length(_));
        Some(Self { caller: Rc::clone(caller), turn, has_length })
    }

    /// What the caller says, while it is this body that it sends.
    fn ask<T>(&self, ask: impl FnOnce(&mut Caller) -> T) -> Option<T> {
        let mut caller = self.caller.borrow_mut();
        (caller.turn() == self.turn).then(|| ask(&mut caller))
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.ask(|caller| caller.poll_frame(cx)).unwrap_or(Poll::Ready(None))
    }

    fn is_end_stream(&self) -> bool {
        self.ask(|caller| caller.is_at_end()).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        // One that came in chunks goes on in chunks, also when all of it is there to be sent again.
        if !self.has_length {
            return SizeHint::new();
        }
        let left = self.ask(|caller| caller.left()).unwrap_or(Some(0));
        left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.ask(Caller::let_go);
    }
}
