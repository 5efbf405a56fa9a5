//! One caller's connection: HTTP/1.1 until one side has had enough.

use std::{cell::RefCell, convert::Infallible, net::SocketAddr, rc::Rc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::watch};

use super::{
    alarm::{Alarm, Alarms},
    framing::{Head, HeadWatch},
    handler::handle,
    plane::Phase,
    routes::Routes,
    stream::Watched,
    worker::Worker,
};
use crate::config::{Forwarded, Limits};

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
    watch: Rc<RefCell<HeadWatch>>,
    /// Bounds the wait for the upstream; its calls come one after the other. None before the first.
    pub(super) alarm: RefCell<Option<Alarm>>,
}

impl Connection {
    /// What hyper does not tell about the head of the call that begins now. Once per call.
    pub(super) fn take_head(&self) -> Head {
        self.watch.borrow_mut().take()
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
    mut phase: watch::Receiver<Phase>,
) {
    // Without it small answers may wait for an acknowledgement. A socket that is gone already says
    // so at the first read.
    let _gone = stream.set_nodelay(true);
    let (stream, watch) = Watched::new(stream);
    let Terms { worker, routes, forwarded, limits, local_port } = terms;
    let head_bytes = limits.head_bytes;
    let connection = Rc::new(Connection {
        worker,
        routes,
        forwarded,
        peer,
        local_port,
        head_bytes,
        watch,
        alarm: RefCell::default(),
    });
    let service = service_fn(|request| {
        let call = handle(Rc::clone(&connection), request);
        async { Ok::<_, Infallible>(call.await) }
    });
    let serving = http1::Builder::new()
        .timer(Alarms)
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = closing(&mut phase) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // Callers that go away are everyday; each call has its own line and row.
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "a connection ended early");
    }
}

async fn closing(phase: &mut watch::Receiver<Phase>) {
    // An error means that the plane is gone, which is as good as closing.
    let _closing_or_gone = phase.wait_for(|phase| *phase == Phase::Closing).await;
}
