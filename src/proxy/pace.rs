//! The bound on how long a caller may leave a stream of HTTP/2 unread.
//!
//! Over HTTP/1.1 a caller that stops reading stops its connection, and [`super::stream`] lets go of
//! it. A stream of HTTP/2 has a window of its own: a caller can read all others, answer pings, and
//! never let this one go on. hyper then waits for the window and asks the body for nothing, so no
//! limit of the body would ever be looked at, and the call would hold its place at the upstream for
//! ever. What is still polled is the stream's task. So the task watches, and the body tells it
//! whenever hyper takes something.

use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};

use http_body::Body;
use hyper::rt::Executor;

use super::{alarm::Alarm, body::Outgoing, stream::STALL_LIMIT};
use crate::clock;

/// A caller that takes anything at all takes so many bytes in a second.
const LEAST_BYTES: u32 = 1 << 10;

/// Where the tasks of one caller's streams go: to the thread of its connection, each bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams(Pace);

impl Streams {
    /// What bodies of the connection tell it by.
    pub(super) const fn pace(&self) -> &Pace {
        &self.0
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(bounded(task, self.0.clone()));
    }
}

/// What the body has told that was polled last. A connection's tasks are polled one at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Rc<Cell<Option<Told>>>);

#[derive(Debug, Clone, Copy)]
enum Told {
    /// It waits for the upstream.
    Waits,
    /// It has given so many bytes, which now wait for the caller.
    Gave(usize),
}

impl Pace {
    /// A body has nothing yet.
    pub(super) fn waits(&self) {
        self.0.set(Some(Told::Waits));
    }

    /// An answer begins. One that was made here is given at once, and waits for the caller.
    pub(super) fn begins(&self, answer: &Outgoing) {
        if let Outgoing::Reply(whole) = answer {
            let bytes = whole.size_hint().exact().unwrap_or(0);
            self.gave(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }

    /// A body has given so many bytes.
    pub(super) fn gave(&self, bytes: usize) {
        self.0.set(Some(Told::Gave(bytes)));
    }
}

/// Does a stream's task, unless its caller takes nothing for too long: dropped, it resets the stream.
async fn bounded(task: impl Future<Output = ()>, pace: Pace) {
    let mut task = pin!(task);
    // When the caller must have taken what waits for it; none while nothing does.
    let mut until = None;
    let mut alarm: Option<Alarm> = None;
    poll_fn(|cx| {
        pace.0.set(None);
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match pace.0.take() {
            // It was not asked: whoever was waited for is still.
            None => {}
            Some(Told::Waits) => until = None,
            Some(Told::Gave(bytes)) => until = Some(clock::now() + limit(bytes)),
        }
        let Some(until) = until else { return Poll::Pending };
        let alarm = alarm.get_or_insert_with(|| Alarm::new(until));
        alarm.set(until);
        alarm.poll(cx)
    })
    .await;
}

/// How long a caller may take for so many bytes. hyper tells of them only when they are all gone.
fn limit(bytes: usize) -> Duration {
    let seconds = u32::try_from(bytes).unwrap_or(u32::MAX) / LEAST_BYTES;
    STALL_LIMIT + Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::poll_fn,
        pin::Pin,
        rc::{Rc, Weak},
        task::{Context, Poll},
        time::Duration,
    };

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body::{Body, Frame};
    use hyper::{server::conn::http2, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{task::LocalSet, time::timeout};

    use super::{Outgoing, Pace, STALL_LIMIT, Streams};

    const PIECE: usize = 1 << 10;

    /// Endless, as fast as it is taken.
    struct Endless(Pace, #[expect(dead_code, reason = "tells when it is gone")] Rc<()>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.gave(PIECE);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; PIECE])))))
        }
    }

    /// A caller with a window of so many bytes, and the answer it gets.
    async fn call<B>(window: usize, answer: impl Fn(&Pace) -> B + 'static) -> h2::RecvStream
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + 'static,
    {
        let (ours, callers) = tokio::io::duplex(1 << 16);
        let streams = Streams::default();
        let (pace, answer) = (streams.pace().clone(), Rc::new(answer));
        tokio::task::spawn_local(async move {
            let service = service_fn(move |_| {
                let (pace, answer) = (pace.clone(), Rc::clone(&answer));
                async move { Ok::<_, Infallible>(Response::new(answer(&pace))) }
            });
            let serving =
                http2::Builder::new(streams).serve_connection(TokioIo::new(ours), service);
            serving.await.unwrap();
        });
        let window = u32::try_from(window).unwrap();
        let mut caller = h2::client::Builder::new();
        let (mut sender, connection) =
            caller.initial_window_size(window).handshake::<_, Bytes>(callers).await.unwrap();
        tokio::task::spawn_local(async move { connection.await.unwrap() });
        let request = Request::get("http://a/").body(()).unwrap();
        let answer = sender.send_request(request, true).unwrap().0.await.unwrap();
        answer.into_body()
    }

    /// An endless answer, and whether it is there.
    async fn endless() -> (h2::RecvStream, Weak<()>) {
        let body = Rc::new(());
        let is_there = Rc::downgrade(&body);
        (call(PIECE, move |pace| Endless(pace.clone(), Rc::clone(&body))).await, is_there)
    }

    /// Leaves what follows unread until the stream is reset.
    async fn leave_unread(answer: &mut h2::RecvStream) {
        tokio::time::sleep(STALL_LIMIT - Duration::from_secs(1)).await;
        assert!(timeout(Duration::from_millis(1), answer.data()).await.is_err());
        let error = timeout(Duration::from_secs(5), answer.data()).await.unwrap();
        assert_eq!(error.unwrap().unwrap_err().reason(), Some(h2::Reason::CANCEL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_its_caller_leaves_unread_is_reset() {
        LocalSet::new()
            .run_until(async {
                let (mut answer, is_there) = endless().await;
                assert_eq!(answer.data().await.unwrap().unwrap().len(), PIECE);
                leave_unread(&mut answer).await;
                drop(answer);
                assert_eq!(is_there.strong_count(), 1, "only the service is left");
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_ours_that_its_caller_leaves_unread_is_too() {
        LocalSet::new()
            .run_until(async {
                let answer = call(0, |pace| {
                    let answer = Outgoing::Reply(Bytes::from_static(&[7; PIECE]).into());
                    pace.begins(&answer);
                    answer
                });
                leave_unread(&mut answer.await).await;
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_reads_slowly_is_not() {
        LocalSet::new()
            .run_until(async {
                let (mut answer, _is_there) = endless().await;
                for _ in 0..5 {
                    let piece = poll_fn(|cx| answer.poll_data(cx)).await.unwrap().unwrap();
                    tokio::time::sleep(STALL_LIMIT - Duration::from_secs(1)).await;
                    answer.flow_control().release_capacity(piece.len()).unwrap();
                }
            })
            .await;
    }
}
