//! A caller's connection from its first byte to its last: HTTP/1.1, HTTP/2, or a tunnel in the end.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::Request;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::watch,
    time::{timeout, timeout_at},
};

use super::{
    closing::Closing,
    connection::{Connection, Terms},
    handler::handle,
    message::Ask,
    pace::Streams,
    plane::Phase,
    received::Received,
    served::{self, Facts},
    stream::Bounded,
    transport::Transport,
    wire::Wire,
};
use crate::{
    clock,
    tls::{self, Alpn},
};

/// How much of a stream's body may be on its way before the upstream has taken it, and of all of a
/// connection's streams together.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of an answer waits for the caller.
const SEND_BUFFER: usize = 64 << 10;
const MAX_FRAME: u32 = 16 << 10;
/// Streams that were reset before they were looked at, and those that we reset: more is an attack
/// (rapid reset, CVE-2023-44487; MadeYouReset, CVE-2025-8671).
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 100;
/// How often a caller that says nothing is asked whether it is there, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// For so long a connection that is told to go may stay.
const GOING_FOR: Duration = Duration::from_secs(5);

/// Serves a connection to its end, or until the plane closes.
pub(super) async fn serve(
    terms: Terms,
    stream: Transport,
    peer: Option<SocketAddr>,
    phase: watch::Receiver<Phase>,
) {
    // From here on the first head is awaited, however it comes.
    let began = clock::now();
    let mut closing = Closing::new(phase);
    let Some((stream, is_http2)) = secured(stream, &terms, &mut closing).await else { return };
    let mut wire = Wire::new(stream);
    let until = began + terms.rules().limits.head_timeout;
    // Also where TLS has settled it: whoever says nothing is waited for as long as for a head.
    let Some(speaks_http2) = speaks_http2(&mut wire, until, &mut closing).await else { return };
    if is_http2 || speaks_http2 {
        // In a box because it is large: every connection would have room for it.
        Box::pin(serve_http2(terms, wire, (peer, began), closing)).await;
    } else {
        served::serve(terms, wire, (peer, began), closing).await;
    }
}

/// The stream as the listener wants it, and whether HTTP/2 was agreed on; none if they do not come
/// together.
async fn secured(
    stream: Transport,
    terms: &Terms,
    closing: &mut Closing,
) -> Option<(Transport, bool)> {
    let (tls, stream) = match (&terms.tls, stream) {
        (Some(tls), Transport::Tcp(stream)) => (tls, stream),
        (_, stream) => return Some((stream, false)),
    };
    let limit = HANDSHAKE_TIMEOUT.min(terms.rules().limits.head_timeout);
    let mut shaking = pin!(timeout(limit, async {
        // One that says nothing yet takes nobody's place.
        stream.readable().await.ok()?;
        let _place = terms.handshakes.acquire().await.ok()?;
        Some(tls.accept(Alpn::Any, stream).await)
    }));
    let shaken = poll_fn(|cx| match shaking.as_mut().poll(cx) {
        Poll::Ready(shaken) => Poll::Ready(shaken.ok().flatten()),
        Poll::Pending => closing.poll(cx).map(|()| None),
    });
    match shaken.await? {
        Ok(stream) => {
            let is_http2 = tls::is_http2(stream.get_ref().1);
            Some((Transport::Tls(Box::new(stream.into())), is_http2))
        }
        Err(failure) => {
            tracing::debug!(error = failure.words, "no TLS connection with a caller");
            None
        }
    }
}

/// Whether the caller begins as HTTP/2 does; none if it went, or nothing of it came.
async fn speaks_http2(wire: &mut Wire, until: Instant, closing: &mut Closing) -> Option<bool> {
    let mut asking = pin!(timeout_at(until.into(), wire.speaks_http2()));
    poll_fn(|cx| match asking.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(answer.ok().and_then(Result::ok)),
        Poll::Pending => closing.poll(cx).map(|()| None),
    })
    .await
}

async fn serve_http2(
    terms: Terms,
    wire: Wire,
    (peer, began): (Option<SocketAddr>, Instant),
    mut closing: Closing,
) {
    let rules = terms.rules();
    let limits = &rules.limits;
    let streams = Streams::default();
    let pace = streams.pace().clone();
    let connection = Connection::new(terms, peer, Some(pace.clone()), began);
    let service = service_fn(|request: Request<Incoming>| {
        // hyper has held the head against the limit.
        let request = Ask::of(request).map(Received::Http2);
        let (answer, pace) = (handle(&connection, request, Facts::default()), pace.clone());
        answer.map(move |answer| {
            pace.begins(&answer.body);
            Ok::<_, Infallible>(answer.whole())
        })
    });
    let mut serving = pin!(
        http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_frame_size(MAX_FRAME)
            .max_concurrent_streams(limits.streams.get())
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(TokioIo::new(Bounded::new(wire)), service)
    );
    let mut is_going = false;
    let ended = poll_fn(|cx| {
        loop {
            let served = serving.as_mut().poll(cx);
            if served.is_ready() {
                return served;
            }
            if is_going {
                return connection.poll_idle_for(GOING_FOR, cx).map(Ok);
            }
            let is_wanted = !connection.is_abused() && !connection.is_worn();
            if is_wanted
                && closing.poll(cx).is_pending()
                && connection.poll_given_up(false, cx).is_pending()
            {
                return Poll::Pending;
            }
            is_going = true;
            connection.waits_anew();
            serving.as_mut().graceful_shutdown();
        }
    });
    tell(ended.await);
}

/// Callers that go away are everyday; each call has its own line and row.
fn tell(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "a connection ended early");
    }
}
