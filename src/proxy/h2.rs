//! HTTP/2 towards upstreams: connections that many calls share.
//!
//! hyper drives each connection in a task of its own; a call is a stream of it. An endpoint has one
//! connection until its streams are used up, as the upstream counts them, or it is too old; then
//! another.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use http::{
    HeaderValue, Request, Uri, header,
    uri::{Authority, Scheme},
};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::{
    age::Age,
    message::Ask,
    sends::{Asked, Sends},
    transport::Transport,
    upload::RequestBody,
};
use crate::{
    clock,
    upstreams::{ConnectionPermit, Live},
};

/// How much of a stream's body may be on its way before the caller has taken it, and of all of a
/// connection's streams together.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of a request's body waits for the upstream.
const SEND_BUFFER: usize = 64 << 10;
/// The longest head of an answer, as over HTTP/1.1.
const MAX_HEAD: u32 = 64 << 10;
/// Streams that the upstream has not taken back yet.
const MAX_RESET_STREAMS: usize = 100;
/// How often an upstream that says nothing is asked whether it is there, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of one endpoint and one worker.
#[derive(Debug)]
pub(super) struct Lines {
    open: Rc<Open>,
    /// One is made at a time: calls that come meanwhile will share it.
    pub(super) making: Semaphore,
}

/// Those that stand.
#[derive(Debug)]
struct Open {
    live: Arc<Live>,
    lines: RefCell<Vec<Line>>,
}

/// A connection.
#[derive(Clone)]
pub(super) struct Line {
    sender: SendRequest<RequestBody>,
    asked: Asked,
    used: Rc<Used>,
    driven: Rc<RefCell<Driven>>,
}

/// How a connection is made use of.
#[derive(Debug)]
struct Used {
    age: Age,
    /// Calls under way.
    calls: Cell<usize>,
    /// When the last of them ended.
    free_since: Cell<Instant>,
}

/// What moves a connection's bytes: borrowed while it is polled, or asked, only; gone at its end, by
/// which the senders know that it is over.
type Driven = Option<http2::Connection<TokioIo<Transport>, RequestBody, Sends>>;

/// A call's share in a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Streaming {
    used: Rc<Used>,
    open: Rc<Open>,
}

impl Lines {
    pub(super) fn new(live: &Arc<Live>) -> Self {
        let open = Open { live: Arc::clone(live), lines: RefCell::default() };
        Self { open: Rc::new(open), making: Semaphore::new(1) }
    }

    /// A connection with room for another call. Those that are gone are let go of.
    pub(super) fn take(&self, now: Instant) -> Option<Line> {
        let mut open = self.open.lines.borrow_mut();
        open.retain(|line| !line.sender.is_closed() && !line.used.is_worn_out(now));
        open.iter().find(|line| !line.used.age.is_over(now) && line.has_room()).cloned()
    }

    /// One that has room, however old: for where there is to be no other.
    pub(super) fn take_old(&self) -> Option<Line> {
        self.open.lines.borrow().iter().find(|line| line.has_room()).cloned()
    }

    /// Adds a connection.
    pub(super) fn add(&self, line: &Line) {
        self.open.lines.borrow_mut().push(line.clone());
    }

    /// Counts a call on one, and gives the way to send it, with this body.
    pub(super) fn begin(
        &self,
        line: Line,
        body: &mut RequestBody,
    ) -> (SendRequest<RequestBody>, Streaming) {
        body.goes_over(line.asked);
        line.used.calls.set(line.used.calls.get() + 1);
        (line.sender, Streaming { used: line.used, open: Rc::clone(&self.open) })
    }

    /// Lets go of connections that are gone or too old, and of those that carried no call for so
    /// long: they keep others from theirs, and nobody looks whether they still stand.
    pub(super) fn sweep(&self, idle_timeout: Duration, now: Instant) {
        let is_used = |used: &Used| !used.rests(idle_timeout, now) && !used.is_worn_out(now);
        let is_kept = |line: &mut Line| !line.sender.is_closed() && is_used(&line.used);
        self.open.lines.borrow_mut().retain_mut(is_kept);
    }

    /// Lets go of a connection that carries no call; whether there was one.
    pub(super) fn close_one(&self) -> bool {
        self.open.close_one()
    }
}

impl Open {
    fn close_one(&self) -> bool {
        let mut lines = self.lines.borrow_mut();
        let idle = lines.iter().position(|line| line.used.calls.get() == 0);
        idle.map(|at| lines.swap_remove(at)).is_some()
    }
}

impl Used {
    /// Whether there was no call for so long.
    fn rests(&self, idle_timeout: Duration, now: Instant) -> bool {
        let rest = now.saturating_duration_since(self.free_since.get());
        self.calls.get() == 0 && rest > idle_timeout
    }

    /// Whether it takes no more calls, and the last has ended.
    fn is_worn_out(&self, now: Instant) -> bool {
        self.calls.get() == 0 && self.age.is_over(now)
    }
}

impl Line {
    /// Begins to speak HTTP/2 over this stream.
    ///
    /// # Errors
    /// The stream broke.
    pub(super) async fn open(
        stream: Transport,
        age: Age,
        permit: ConnectionPermit,
    ) -> hyper::Result<Self> {
        let sends = Sends::new(permit);
        let asked = sends.asked().clone();
        let (sender, connection) = http2::Builder::new(sends)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_reset_streams(MAX_RESET_STREAMS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await?;
        let driven = Rc::new(RefCell::new(Some(connection)));
        tokio::task::spawn_local(drive(Rc::clone(&driven)));
        let used = Used { age, calls: Cell::new(0), free_since: Cell::new(clock::now()) };
        Ok(Self { sender, asked, used: Rc::new(used), driven })
    }

    /// Whether the upstream takes another call. It may say at any time how many it takes.
    fn has_room(&self) -> bool {
        let driven = self.driven.borrow();
        driven
            .as_ref()
            .is_some_and(|driven| self.used.calls.get() < driven.current_max_send_streams())
    }
}

/// The request as HTTP/2 wants it: the host in the target.
pub(super) fn named(
    request: Ask<RequestBody>,
    scheme: &Scheme,
    own: &HeaderValue,
) -> Request<RequestBody> {
    let mut request = request.whole();
    let host = request.headers_mut().remove(header::HOST);
    // It has no such field; what it names is said without.
    request.headers_mut().remove(header::CONNECTION);
    let host = host.as_ref().unwrap_or(own);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(scheme.clone());
    parts.authority = Authority::try_from(host.as_bytes()).ok();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}

/// The request as it was before that.
pub(super) fn unnamed(request: Request<RequestBody>) -> Ask<RequestBody> {
    let mut request = Ask::of(request);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let host = parts.authority.take().and_then(|a| HeaderValue::try_from(a.as_str()).ok());
    host.map(|host| request.headers_mut().insert(header::HOST, host));
    parts.scheme = None;
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}

/// Drives a connection to its end.
async fn drive(driven: Rc<RefCell<Driven>>) {
    let ended = poll_fn(|cx| match driven.borrow_mut().as_mut() {
        Some(connection) => Pin::new(connection).poll(cx),
        None => Poll::Ready(Ok(())),
    })
    .await;
    let over = driven.borrow_mut().take();
    drop(over);
    if let Err(error) = ended {
        // The calls on it have been told.
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "an upstream connection ended early");
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.used.calls.set(self.used.calls.get().saturating_sub(1));
        let now = clock::now();
        self.used.free_since.set(now);
        if self.used.is_worn_out(now) {
            self.open.lines.borrow_mut().retain(|line| !Rc::ptr_eq(&line.used, &self.used));
        }
        // Who waits for a connection was told of those that were idle then.
        if self.used.calls.get() == 0 && self.open.live.is_hungry() {
            self.open.close_one();
        }
    }
}
