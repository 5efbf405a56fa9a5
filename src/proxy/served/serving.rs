//! A connection of HTTP/1.1 from its first head to its last answer, or to the tunnel that it becomes.

use std::{
    cell::RefCell,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, StatusCode};
use tokio::{io::AsyncWrite, time::timeout};

use super::{
    answer::{self, Manner},
    caller::Caller,
    head::{Head, Refused, Wishes},
    outlet::Outlet,
    receiving::Receiving,
};
use crate::{
    clock,
    proxy::{
        body::Outgoing,
        closing::Closing,
        connection::{Connection, Terms},
        h1::{Broken, Framing, Sending},
        handler::handle,
        message::{Ask, Reply},
        received::Received,
        tunnel::Tunnel,
        upload::DISCARD_FOR,
        wire::Wire,
    },
};

/// More room than this is not kept for the next answer.
const KEPT_ROOM: usize = 16 << 10;

/// Serves a connection to its end, or until the plane closes.
pub(in crate::proxy) async fn serve(
    terms: Terms,
    wire: Wire,
    (peer, began): (Option<SocketAddr>, Instant),
    closing: Closing,
) {
    let (stream, ahead) = wire.into_parts();
    let mut serving = Serving {
        connection: Connection::new(terms, peer, None, began),
        caller: Rc::new(RefCell::new(Caller::new(stream, ahead))),
        closing,
        is_closing: false,
        fields: HeaderMap::new(),
        room: Vec::new(),
    };
    let Some(tunnel) = serving.calls().await else { return };
    let switched = serving.caller.borrow_mut().switch();
    drop(serving);
    if let Some((stream, ahead)) = switched {
        tunnel.carry(stream, ahead).await;
    }
}

struct Serving {
    connection: Rc<Connection>,
    /// Borrowed while it is polled only. A body that is received borrows it too.
    caller: Rc<RefCell<Caller>>,
    closing: Closing,
    /// The plane closes: the call under way is the last.
    is_closing: bool,
    /// Kept for their room.
    fields: HeaderMap,
    room: Vec<u8>,
}

/// What an answer is to be followed by.
enum Next {
    Call,
    Nothing,
    Tunnel(Box<Tunnel>),
}

impl Serving {
    /// Carries call after call. In the end there may be a tunnel.
    async fn calls(&mut self) -> Option<Box<Tunnel>> {
        loop {
            let head = match poll_fn(|cx| self.poll_head(cx)).await {
                Ok(Some(head)) => head,
                Ok(None) => {
                    self.shut_down().await;
                    return None;
                }
                Err(Refused(status)) => {
                    self.refuse(status).await;
                    return None;
                }
            };
            let Head { request, facts, wishes, framing, waits } = head;
            let body = Receiving::begin(&self.caller, framing, waits);
            let body = body.map_or(Received::Nothing, Received::Http1);
            let request = Ask { head: request, body };
            let answer = {
                let mut call = pin!(handle(&self.connection, request, facts));
                poll_fn(|cx| match call.as_mut().poll(cx) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => self.poll_over(cx).map(|()| None),
                })
                .await?
            };
            match self.answer(answer, wishes).await {
                Next::Call => {}
                Next::Nothing => return None,
                Next::Tunnel(tunnel) => return Some(tunnel),
            }
        }
    }

    /// The next head; none at the end, when the plane closes, or when it takes too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Head>, Refused>> {
        let limit = self.connection.terms.rules().limits.head_bytes;
        let mut caller = self.caller.borrow_mut();
        if let Poll::Ready(head) = caller.poll_head(limit, &mut self.fields, cx) {
            return Poll::Ready(head);
        }
        self.is_closing |= self.closing.poll(cx).is_ready();
        if self.is_closing && caller.is_silent() {
            return Poll::Ready(Ok(None));
        }
        self.connection.poll_given_up(!caller.is_silent(), cx).map(|()| Ok(None))
    }

    /// Whether the caller went away while it is its turn to wait.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.is_closing |= self.closing.poll(cx).is_ready();
        self.caller.borrow_mut().poll_gone(cx)
    }

    /// Writes an answer.
    async fn answer(&mut self, answer: Reply<Outgoing>, wishes: Wishes) -> Next {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        self.caller.borrow_mut().answers(&mut room);
        let Manner { framing, is_last } = self.encode(&answer, wishes, &mut room);
        let Reply { mut head, body } = answer;
        self.fields = std::mem::take(head.headers_mut());
        self.fields.clear();
        let (body, tunnel) = match body {
            Outgoing::Switch(tunnel) => (None, Some(tunnel)),
            body => (Some(body).filter(|_| framing != Framing::Nothing), None),
        };
        let mut sending = Sending::answer(room, framing, body, wishes.takes_trailers);
        let mut has_waited = false;
        let sent = poll_fn(|cx| match sending.poll(&mut Outlet(&self.caller), cx) {
            Poll::Ready(sent) => Poll::Ready(sent),
            Poll::Pending => {
                has_waited = true;
                self.poll_over(cx).map(|()| Err(Broken::Connection))
            }
        });
        if let Err(error) = sent.await {
            // Everyday; the call has its own line and row.
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
            if framing == Framing::UntilClose {
                self.caller.borrow().cut();
            }
            return Next::Nothing;
        }
        self.room = sending.into_room();
        if self.room.capacity() > KEPT_ROOM {
            self.room = Vec::new();
        }
        match tunnel {
            Some(tunnel) => Next::Tunnel(tunnel),
            None => self.follow(is_last, has_waited).await,
        }
    }

    fn encode(&self, answer: &Reply<Outgoing>, wishes: Wishes, out: &mut Vec<u8>) -> Manner {
        let is_last = self.is_closing || self.caller.borrow().is_out_of_step();
        let mut date = self.connection.terms.worker.date();
        let ids = answer.body.ids();
        answer::encode(answer, ids, wishes, is_last, (&mut date, clock::now()), out)
    }

    /// Sees to it that the next head can be read, unless the connection ends here. The wait for it
    /// begins when the answer has been written, for which the caller may have taken its time.
    async fn follow(&mut self, is_last: bool, mut has_waited: bool) -> Next {
        let is_in_step = poll_fn(|cx| {
            let polled = self.caller.borrow_mut().poll_between(cx);
            if polled.is_pending() {
                has_waited = true;
                self.is_closing |= self.closing.poll(cx).is_ready();
            }
            polled
        });
        let is_in_step = is_in_step.await;
        if is_in_step && !is_last && !self.is_closing {
            if has_waited {
                self.connection.waits_anew();
            }
            return Next::Call;
        }
        let is_cut_off = !is_in_step || (is_last && !self.caller.borrow().is_silent());
        self.shut_down().await;
        if is_cut_off {
            self.linger().await;
        }
        Next::Nothing
    }

    /// Answers what is no request.
    async fn refuse(&mut self, status: StatusCode) {
        let head =
            answer::refusal(status, (&mut self.connection.terms.worker.date(), clock::now()));
        let mut sending = Sending::<Outgoing>::answer(head, Framing::Nothing, None, false);
        if poll_fn(|cx| sending.poll(&mut Outlet(&self.caller), cx)).await.is_ok() {
            self.shut_down().await;
            self.linger().await;
        }
    }

    /// Hears a caller out that has its last answer, for a while. When the plane closes there is no
    /// time for it.
    async fn linger(&mut self) {
        let heard = poll_fn(|cx| {
            self.is_closing |= self.closing.poll(cx).is_ready();
            if self.is_closing {
                return Poll::Ready(());
            }
            self.caller.borrow_mut().poll_drained(cx)
        });
        // Whoever goes on for longer is not listening.
        let _heard_or_not = timeout(DISCARD_FOR, heard).await;
    }

    async fn shut_down(&self) {
        // One that is gone already needs no goodbye.
        let _gone = poll_fn(|cx| Pin::new(&mut Outlet(&self.caller)).poll_shutdown(cx)).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Ok(mut caller) = self.caller.try_borrow_mut() {
            caller.close();
        }
    }
}
