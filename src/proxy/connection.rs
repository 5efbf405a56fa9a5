//! One caller's connection: HTTP/1.1 until one side has had enough.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::watch};

use super::{
    alarm::Alarm,
    framing::Head,
    handler::handle,
    plane::Phase,
    routes::Routes,
    stream::{Caller, Watched},
    worker::Worker,
};
use crate::{
    clock,
    config::{Forwarded, Limits},
};

/// What all calls of a connection share.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) routes: Rc<Routes>,
    pub(super) forwarded: Forwarded,
    pub(super) peer: SocketAddr,
    pub(super) local_port: u16,
    /// The longest head that this listener takes.
    pub(super) head_bytes: usize,
    caller: Rc<RefCell<Caller>>,
    /// Bounds the waits, of which there is one at a time: for the caller's next head, or for the
    /// upstream. Borrowed while it is polled only.
    pub(super) alarm: RefCell<Alarm>,
    /// Since when no call is under way; none while one is.
    free_since: Cell<Option<Instant>>,
    /// How long a head may take, and the wait for it.
    head_timeout: Duration,
}

impl Connection {
    /// What hyper does not tell about the head of the call that begins now. Once per call.
    pub(super) fn take_head(&self) -> Head {
        self.caller.borrow_mut().take_head()
    }

    /// A call began.
    pub(super) fn begin(&self) {
        self.free_since.set(None);
    }

    /// The call ended, and with it begins the wait for the next.
    pub(super) fn end(&self, now: Instant) {
        self.free_since.set(Some(now));
    }

    /// Whether the caller has made an end of it: the next head has taken too long, or it went away
    /// in the middle of a call.
    fn poll_given_up(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut since) = self.free_since.get() else {
            return self.caller.borrow().poll_gone(cx);
        };
        if self.caller.borrow().is_in_body() {
            // Of a call that was answered before all of it had come.
            since = clock::now();
            self.free_since.set(Some(since));
        }
        let mut alarm = self.alarm.borrow_mut();
        alarm.set(since + self.head_timeout);
        alarm.poll(cx)
    }
}

/// What a listener gives to each of its connections.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) worker: Rc<Worker>,
    pub(super) routes: Rc<Routes>,
    pub(super) forwarded: Forwarded,
    pub(super) limits: Rc<Limits>,
    pub(super) local_port: u16,
}

/// Serves a connection to its end, or until the plane closes.
pub(super) async fn serve(
    terms: Terms,
    stream: TcpStream,
    peer: SocketAddr,
    phase: watch::Receiver<Phase>,
) {
    // Without it small answers may wait for an acknowledgement. A socket that is gone already says
    // so at the first read.
    let _gone = stream.set_nodelay(true);
    let caller = Caller::new(stream);
    let Terms { worker, routes, forwarded, limits, local_port } = terms;
    let (head_bytes, head_timeout) = (limits.head_bytes, limits.head_timeout);
    let now = clock::now();
    let connection = Rc::new(Connection {
        worker,
        routes,
        forwarded,
        peer,
        local_port,
        head_bytes,
        caller: Rc::clone(&caller),
        alarm: RefCell::new(Alarm::new(now + head_timeout)),
        free_since: Cell::new(Some(now)),
        head_timeout,
    });
    let service = service_fn(|request| {
        let call = handle(Rc::clone(&connection), request);
        async { Ok::<_, Infallible>(call.await) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .max_buf_size(limits.head_bytes)
            // A caller that is half gone is gone; it is not hyper who looks.
            .half_close(true)
            .serve_connection(TokioIo::new(Watched(caller)), service)
    );
    let mut closing = Closing::new(phase);
    let ended = poll_fn(|cx| {
        let mut served = serving.as_mut().poll(cx);
        if served.is_pending() && closing.poll(cx).is_ready() {
            serving.as_mut().graceful_shutdown();
            served = serving.as_mut().poll(cx);
        }
        if served.is_pending() { connection.poll_given_up(cx).map(Ok) } else { served }
    });
    if let Err(error) = ended.await {
        // Callers that go away are everyday; each call has its own line and row.
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "a connection ended early");
    }
}

/// The news that the plane is closing.
struct Closing {
    phase: watch::Receiver<Phase>,
    /// None once it has come.
    news: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The task is woken when the phase changes, so there is no need to ask for every call.
    is_awaited: bool,
}

impl Closing {
    fn new(phase: watch::Receiver<Phase>) -> Self {
        let mut watched = phase.clone();
        let news = Box::pin(async move {
            // An error means that the plane is gone, which is as good as closing.
            let _closing_or_gone = watched.wait_for(|phase| *phase == Phase::Closing).await;
        });
        Self { phase, news: Some(news), is_awaited: false }
    }

    /// Whether it has come. Ready once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_awaited && !self.phase.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        self.is_awaited = true;
        let Some(news) = &mut self.news else { return Poll::Pending };
        ready!(news.as_mut().poll(cx));
        self.news = None;
        Poll::Ready(())
    }
}
