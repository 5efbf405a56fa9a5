//! The body of an answer, read from its connection as it is asked for.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    Broken, Decoder, Framing,
    connection::{Outbound, Source, Switched, Writing},
    sending::Sending,
};
use crate::proxy::sends::UNREAD_FOR;

/// A body on its way in.
#[derive(Debug)]
pub(in crate::proxy) struct Arriving {
    /// None once the connection has gone on.
    source: Option<Source>,
    decoder: Decoder,
    /// The connection may carry another call.
    is_reusable: bool,
    /// The rest of the request, when the upstream answered before it had all of it.
    upload: Option<JoinHandle<Result<(), Broken>>>,
}

impl Arriving {
    pub(super) const fn new(source: Source, framing: Framing, is_reusable: bool) -> Self {
        Self { source: Some(source), decoder: Decoder::new(framing), is_reusable, upload: None }
    }

    /// Lets the rest of the request go on by itself: the caller may read nothing before it has
    /// written all. It ends with the caller's body, which has its limits, and that with the caller;
    /// or when the upstream, which has answered, takes nothing more for [`UNREAD_FOR`].
    pub(super) fn during<B: Body<Data = Bytes> + Unpin + 'static>(
        mut self,
        mut sending: Sending<B>,
        mut writing: Writing,
    ) -> Self {
        self.upload = Some(tokio::task::spawn_local(async move {
            let mut before = sending.progress();
            let sent = loop {
                let rest = poll_fn(|cx| sending.poll(&mut writing.stream, cx));
                match timeout(UNREAD_FOR, rest).await {
                    Ok(sent) => break sent,
                    Err(_) if sending.is_held_up() && sending.progress() == before => {
                        break Err(Broken::Connection);
                    }
                    Err(_) => before = sending.progress(),
                }
            };
            // It is not shut down: to some upstreams a connection that is closed in one direction is
            // closed.
            sent
        }));
        self
    }

    /// The connection, if it can carry another call. Once, when the body is done.
    pub(in crate::proxy) fn take_connection(&mut self) -> Option<Box<Outbound>> {
        if !self.is_reusable || !self.decoder.is_done() {
            return None;
        }
        match self.source.take()? {
            Source::Connection(connection) => connection.rested(),
            Source::Half(_) => None,
        }
    }

    /// The connection as what it has been switched to.
    pub(in crate::proxy) fn into_switched(mut self) -> Option<Switched> {
        self.source.take()?.into_switched()
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        while !self.decoder.is_done() {
            let Some(source) = &mut self.source else { break };
            match self.decoder.take(source.buffer()) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) if self.decoder.is_done() => break,
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match source.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    if let Err(error) = self.decoder.end() {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(Broken::Connection))),
                Poll::Pending => return self.poll_upload(cx).map(|error| Some(Err(error))),
            }
        }
        Poll::Ready(None)
    }

    /// Whether the rest of the request has failed, and the answer with it.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let Some(upload) = &mut self.upload else { return Poll::Pending };
        let Poll::Ready(ended) = Pin::new(upload).poll(cx) else { return Poll::Pending };
        self.upload = None;
        match ended {
            Ok(Ok(())) => Poll::Pending,
            Ok(Err(error)) => Poll::Ready(error),
            Err(_) => Poll::Ready(Broken::Request),
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match ready!(this.poll_data(cx)) {
            Some(data) => Poll::Ready(Some(data.map(Frame::data))),
            None => Poll::Ready(
                this.decoder.take_trailers().transpose().map(|t| t.map(Frame::trailers)),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done() && !self.decoder.has_trailers()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::Arriving;
    use crate::proxy::{
        age::Age,
        h1::{
            Framing,
            connection::{Outbound, Source},
            sending::Sending,
        },
        own::Own,
        transport::Transport,
    };
    use bytes::Bytes;
    use http::Request;
    use http_body::{Body, Frame};
    use std::{
        pin::Pin,
        rc::{Rc, Weak},
        task::{Context, Poll},
        time::Duration,
    };
    use tokio::net::{TcpListener, TcpStream};

    /// A caller that has more to send for ever.
    struct Endless(#[expect(dead_code, reason = "tells when it is gone")] Rc<()>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 1 << 16])))))
        }
    }

    /// The rest of an upload that the upstream has answered and reads nothing more of.
    async fn unread_upload() -> (Weak<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let upstream = listener.accept().await.unwrap().0;
        let (caller, head) = (Rc::new(()), Request::new(()));
        let is_there = Rc::downgrade(&caller);
        let sending = Sending::request((&head, Own::default()), Endless(caller), Vec::new());
        let (source, writing) =
            Source::split(*Outbound::new(Transport::Tcp(stream), Age::default(), None));
        drop(Arriving::new(source, Framing::Nothing, false).during(sending, writing));
        (is_there, upstream)
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_was_answered_and_that_nobody_reads_ends() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (is_there, _upstream) = unread_upload().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(is_there.upgrade().is_some(), "it is given time");
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                assert!(is_there.upgrade().is_none(), "and not for ever");
            })
            .await;
    }
}
