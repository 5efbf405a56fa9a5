//! One request and its answer, over a connection of their own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request};
use http_body::Body;

use super::{
    Broken,
    answer::{Answer, Wanted},
    arriving::Arriving,
    connection::{Outbound, Source},
    sending::Sending,
};
use crate::proxy::{
    message::{Ask, Reply},
    own::Own,
};

/// Sends a request and becomes its answer, whose body reads on from the same connection. Dropped
/// before that, it closes the connection.
#[derive(Debug)]
pub(in crate::proxy) struct Call<B> {
    /// Gone when the head of the answer is there.
    under_way: Option<(Box<Outbound>, Sending<B>)>,
    is_sent: bool,
    /// The request's, without fields: the answer's go where there is room for them.
    head: Box<Request<()>>,
    /// It asks for another protocol.
    is_upgrade: bool,
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Call<B> {
    /// `is_upgrade` says whether the request asks for another protocol.
    pub(in crate::proxy) fn new(
        mut connection: Box<Outbound>,
        request: Ask<B>,
        own: Own<'_>,
        is_upgrade: bool,
    ) -> Self {
        let Ask { mut head, body } = request;
        let sending = Sending::request((&head, own), body, std::mem::take(&mut connection.outflow));
        head.headers_mut().clear();
        Self { under_way: Some((connection, sending)), is_sent: false, head, is_upgrade }
    }

    /// Whether the request can be sent again: nothing of an answer has come, all of the request is
    /// at hand, and the upstream has had nothing of it, or may have it twice.
    pub(in crate::proxy) fn can_resend(&self, is_idempotent: bool) -> bool {
        self.under_way.as_ref().is_some_and(|(connection, sending)| {
            let is_untouched = is_idempotent || sending.progress() == 0;
            is_untouched && sending.is_whole() && connection.is_untouched()
        })
    }

    /// Sends it again over this connection.
    pub(in crate::proxy) fn resend(&mut self, connection: Box<Outbound>) {
        if let Some((stale, sending)) = &mut self.under_way {
            *stale = connection;
            sending.rewind();
            self.is_sent = false;
        }
    }

    /// The head of the answer is there.
    fn answered(&mut self, answer: Answer) -> Result<Reply<Arriving>, Broken> {
        let (mut connection, sending) = self.under_way.take().ok_or(Broken::Connection)?;
        let Answer { response, framing, keeps_alive } = answer;
        let body = if self.is_sent {
            connection.outflow = sending.into_room();
            Arriving::new(Source::Connection(connection), framing, keeps_alive)
        } else {
            let (source, writing) = Source::split(*connection);
            Arriving::new(source, framing, false).during(sending, writing)
        };
        Ok(Reply { head: response, body })
    }
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Future for Call<B> {
    type Output = Result<Reply<Arriving>, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (connection, sending) = this.under_way.as_mut().ok_or(Broken::Connection)?;
        if !this.is_sent {
            this.is_sent = sending.poll(&mut connection.stream, cx)?.is_ready();
        }
        let is_head = *this.head.method() == Method::HEAD;
        let (is_upgrade, headers) = (this.is_upgrade, this.head.headers_mut());
        let wanted = Wanted { is_head, is_upgrade, headers };
        let answer = ready!(connection.poll_head(wanted, cx))?;
        Poll::Ready(this.answered(answer))
    }
}
