//! One request and its answer, over a connection of their own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;

use super::{
    Broken,
    answer::{Answer, Wanted},
    arriving::Arriving,
    connection::{Connection, Source},
    sending::Sending,
};

/// Sends a request and becomes its answer, whose body reads on from the same connection. Dropped
/// before that, it closes the connection.
#[derive(Debug)]
pub(in crate::proxy) struct Call<B> {
    /// Gone when the head of the answer is there.
    under_way: Option<(Connection, Sending<B>)>,
    is_sent: bool,
    /// The request's, empty: the answer's fields go where there is room for them.
    headers: HeaderMap,
    /// The method was HEAD.
    is_head: bool,
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Call<B> {
    pub(in crate::proxy) fn new(mut connection: Connection, request: Request<B>) -> Self {
        let (mut head, body) = request.into_parts();
        let sending = Sending::new(&head, body, std::mem::take(&mut connection.outflow));
        let is_head = head.method == Method::HEAD;
        let mut headers = std::mem::take(&mut head.headers);
        headers.clear();
        Self { under_way: Some((connection, sending)), is_sent: false, headers, is_head }
    }

    /// The head of the answer is there.
    fn answered(&mut self, answer: Answer) -> Result<Response<Arriving>, Broken> {
        let (mut connection, sending) = self.under_way.take().ok_or(Broken::Connection)?;
        let Answer { response, framing, keeps_alive } = answer;
        let body = if self.is_sent {
            connection.outflow = sending.into_room();
            Arriving::new(Source::Connection(connection), framing, keeps_alive)
        } else {
            let (source, writing) = Source::split(connection);
            Arriving::new(source, framing, false).during(sending, writing)
        };
        Ok(response.map(|()| body))
    }
}

impl<B: Body<Data = Bytes> + Unpin + 'static> Future for Call<B> {
    type Output = Result<Response<Arriving>, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (connection, sending) = this.under_way.as_mut().ok_or(Broken::Connection)?;
        if !this.is_sent {
            this.is_sent = sending.poll(&mut connection.stream, cx)?.is_ready();
        }
        let wanted = Wanted { is_head: this.is_head, headers: &mut this.headers };
        let answer = ready!(connection.inflow.poll_head(&mut connection.stream, wanted, cx))?;
        Poll::Ready(this.answered(answer))
    }
}
