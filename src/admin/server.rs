//! Connections of the admin port: accepted, limited, answered and closed.
//!
//! Everything here has a bound, for whoever can reach this port may be anybody. What breaks the
//! limits of [`guard`](super::guard) gets the envelope; what is not HTTP at all, or beyond the far
//! wider limits of the parser, gets the parser's bare status.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::guard::{Ends, Guard};

/// Connections at a time; beyond, new ones wait to be accepted.
const CONNECTIONS: usize = 64;

/// How long a request head, or the wait for the next one, may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// By this an answer ends the connection that it goes out on.
#[derive(Debug, Clone, Default)]
pub(super) struct Hangup(Arc<Notify>);

impl Hangup {
    pub(super) fn hang_up(&self) {
        self.0.notify_one();
    }
}

/// How long sent bytes may stay unread before the connection is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the kernel holds of an answer that is not read, about; left alone it would grow to megabytes.
const SEND_BUFFER: usize = 256 * 1024;

/// How long answers under way may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// The pause after a failed accept: out of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the parser reads at most; wider than the guard's limits, so that the guard answers first.
const PARSER_BYTES: usize = 64 * 1024;
const PARSER_FIELDS: usize = 256;

/// The answers and the rules of one admin port.
#[derive(Clone)]
pub(super) struct App {
    pub(super) router: Router,
    pub(super) guard: Arc<Guard>,
    pub(super) closing: watch::Receiver<()>,
}

/// Accepts and answers until `shutdown` ends.
pub(super) async fn run(
    listener: TcpListener,
    app: App,
    close: watch::Sender<()>,
    shutdown: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some((stream, peer, place)) = accept(&listener, &room) => {
                connections.spawn(carry(stream, peer, app.clone(), place));
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(error = %error, "a request to the admin port broke");
                }
            }
        }
    }
    drop(listener);
    close.send_replace(());
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for it. None when there will be no more.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    let mut is_told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) if !is_told => {
                tracing::warn!(error = %error, "the admin port could not accept a connection");
                is_told = true;
            }
            Err(_) => {}
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

async fn carry(stream: TcpStream, peer: SocketAddr, app: App, _place: OwnedSemaphorePermit) {
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { peer: canonical(peer), local: canonical(local) };
    let socket = socket2::SockRef::from(&stream);
    if socket.set_tcp_user_timeout(Some(STALL_TIMEOUT)).is_err()
        || socket.set_send_buffer_size(SEND_BUFFER).is_err()
        || stream.set_nodelay(true).is_err()
    {
        return;
    }
    let mut closing = app.closing.clone();
    let hangup = Hangup::default();
    let (closing_it, service) = (hangup.clone(), move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(hangup.clone());
        answer(app.clone(), ends, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(PARSER_BYTES)
        .max_headers(PARSER_FIELDS)
        .serve_connection(TokioIo::new(stream), hyper::service::service_fn(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closing_it.0.notified() => {
            tracing::warn!(peer = %ends.peer, "an answer was read too slowly: its connection is closed");
            return;
        }
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, peer = %ends.peer, "a connection to the admin port ended badly");
    }
}

async fn answer(app: App, ends: Ends, request: Request<Incoming>) -> Result<Response, Infallible> {
    let mut response = match app.guard.check(&request, ends) {
        Ok(()) => TowerToHyperService::new(app.router).call(request).await?,
        Err(fault) => fault.into_response(),
    };
    harden(response.headers_mut());
    Ok(response)
}

/// Headers of every answer: not stored, not guessed at, a page may load from here only, and none from
/// elsewhere may load it or hold on to its window.
fn harden(headers: &mut HeaderMap) {
    const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
        style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
        form-action 'none'; frame-ancestors 'none'";
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The address with an IPv4 address written as such.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
