//! The tasks of a connection of HTTP/2 to an upstream, and the bound on a request that is left
//! unread.
//!
//! A stream of HTTP/2 has a window of its own: an upstream can answer a request completely, go on
//! with all others, and never take the rest of this one. hyper then waits for the window and asks the
//! body for nothing, so no limit of the body would ever be looked at, and the caller would be held
//! for ever; nor would it be seen that nobody wants the rest any more. What is still polled is the
//! task that sends. So that is what watches; the body tells it whose it is when it is asked for more.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::Executor;

use super::{alarm::Alarm, upload::Turn};
use crate::{clock, upstreams::ConnectionPermit};

/// For so long an upstream that has answered may leave the rest of a request unread, before it is
/// given up. As over HTTP/1.1.
pub(super) const UNREAD_FOR: Duration = Duration::from_secs(30);

/// Where tasks of a connection go: to the thread that they began on, each bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Sends {
    asked: Asked,
    /// Leave for the connection to be there, which it is until the last of its tasks has ended.
    _permit: Option<Rc<ConnectionPermit>>,
}

impl Sends {
    pub(super) fn new(permit: ConnectionPermit) -> Self {
        Self { asked: Asked::default(), _permit: Some(Rc::new(permit)) }
    }

    /// What bodies of the connection tell it by.
    pub(super) const fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl<F> Executor<F> for Sends
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, task: F) {
        // One that sends has been tried before it became a task. Where that was all, the turn is that of
        // the task which waits for the answer, and is over when nobody does.
        let sending = Sending::of(self.asked.take());
        tokio::task::spawn_local(bounded(task, self.clone(), sending));
    }
}

/// The turn of the body that was asked for more last. A connection's tasks are polled one at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Rc<RefCell<Option<Turn>>>);

impl Asked {
    /// A body is asked for more.
    pub(super) fn note(&self, turn: Turn) {
        *self.0.borrow_mut() = Some(turn);
    }

    fn take(&self) -> Option<Turn> {
        self.0.take()
    }
}

/// What a task sends.
struct Sending {
    /// None where it sends nothing, as far as is known.
    turn: Option<Turn>,
    /// When the upstream must have taken something; none while it need not.
    until: Option<Instant>,
    alarm: Option<Alarm>,
}

/// Does a task, unless what it sends is not wanted any more: dropped, it resets the stream.
async fn bounded(task: impl Future<Output = ()>, sends: Sends, mut sending: Sending) {
    let (asked, mut task) = (&sends.asked, pin!(task));
    poll_fn(|cx| {
        asked.take();
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(turn) = asked.take() {
            // It takes what it is sent, or the caller is waited for.
            (sending.turn, sending.until) = (Some(turn), None);
        }
        sending.poll_given_up(cx)
    })
    .await;
}

impl Sending {
    const fn of(turn: Option<Turn>) -> Self {
        Self { turn, until: None, alarm: None }
    }

    /// Whether it is to end.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(turn) = &self.turn else { return Poll::Pending };
        if turn.is_over() {
            return Poll::Ready(());
        }
        turn.wake_at_end(cx.waker());
        if !turn.is_left_unread() {
            self.until = None;
            return Poll::Pending;
        }
        let until = *self.until.get_or_insert_with(|| clock::now() + UNREAD_FOR);
        let alarm = self.alarm.get_or_insert_with(|| Alarm::new(until));
        alarm.set(until);
        alarm.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        rc::{Rc, Weak},
        task::{Context, Poll},
        time::Duration,
    };

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body::{Body, Frame};
    use hyper::client::conn::http2;
    use hyper_util::rt::TokioIo;
    use tokio::task::LocalSet;

    use super::{Asked, Sends, UNREAD_FOR};
    use crate::proxy::upload::{Turn, Upload};

    /// A caller that has more to send for ever.
    struct Endless {
        asked: Asked,
        upload: Rc<Upload>,
        _is_there: Rc<()>,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.asked.note(Turn::of(&self.upload, 0));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 1 << 14])))))
        }
    }

    /// The rest of an upload that the upstream has answered completely and reads nothing more of,
    /// and the upstream's end of it.
    async fn unread_upload() -> (Rc<Upload>, Weak<()>, h2::RecvStream) {
        let (ours, upstreams) = tokio::io::duplex(1 << 16);
        let upstream = tokio::task::spawn_local(async move {
            let mut connection = h2::server::handshake(upstreams).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(Response::new(()), true).unwrap();
            tokio::task::spawn_local(async move { while connection.accept().await.is_some() {} });
            request.into_body()
        });
        let sends = Sends::default();
        let (upload, there) = (Rc::new(Upload::default()), Rc::new(()));
        let is_there = Rc::downgrade(&there);
        let asked = sends.asked().clone();
        let body = Endless { asked, upload: Rc::clone(&upload), _is_there: there };
        let (mut sender, connection) =
            http2::Builder::new(sends).handshake(TokioIo::new(ours)).await.unwrap();
        tokio::task::spawn_local(async move { connection.await.unwrap() });
        let request = Request::post("http://a/").body(body).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.into_body().is_end_stream());
        // The connection stays.
        tokio::task::spawn_local(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        (upload, is_there, upstream.await.unwrap())
    }

    /// Reads what had been sent, up to why it ended.
    async fn end(mut body: h2::RecvStream) -> Option<h2::Reason> {
        while let Some(data) = body.data().await {
            match data {
                Ok(data) => body.flow_control().release_capacity(data.len()).unwrap(),
                Err(error) => return error.reason(),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_was_answered_and_that_nobody_reads_ends() {
        LocalSet::new()
            .run_until(async {
                let (upload, is_there, body) = unread_upload().await;
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                assert!(is_there.upgrade().is_some(), "the answer goes on");
                upload.answered();
                tokio::time::sleep(UNREAD_FOR - Duration::from_secs(1)).await;
                assert!(is_there.upgrade().is_some(), "it is given time");
                tokio::time::sleep(Duration::from_secs(2)).await;
                assert!(is_there.upgrade().is_none(), "and not for ever");
                assert_eq!(end(body).await, Some(h2::Reason::CANCEL));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_nobody_wants_ends_although_nobody_reads_it() {
        LocalSet::new()
            .run_until(async {
                let (upload, is_there, body) = unread_upload().await;
                upload.give_up();
                assert_eq!(end(body).await, Some(h2::Reason::CANCEL));
                assert!(is_there.upgrade().is_none());
            })
            .await;
    }
}
