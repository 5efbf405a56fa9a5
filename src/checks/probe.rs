//! One question to one endpoint: a GET on a connection of its own, and what came of it.
//!
//! A new connection each time, because whether one can be made is half of what is asked. Any 2xx
//! or 3xx is well; what follows the response head does not count.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, CONNECTION, HOST, USER_AGENT},
    uri::{Parts, PathAndQuery},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout_at,
};

use crate::{
    clock,
    config::{Endpoint, Location},
    domain::{
        correlation::{CorrelationId, TraceContext},
        outcome::Reason,
    },
    tls::{Alpn, EndpointTls, Failure},
};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("fusebox/", env!("CARGO_PKG_VERSION")));
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// As much of the body is read, so that the endpoint can close in peace.
const BODY_READ: usize = 64 * 1024;

/// What one endpoint said.
#[derive(Debug)]
pub(super) struct Answer {
    /// The authority that was asked.
    pub(super) endpoint: Arc<str>,
    /// The status, if there was one.
    pub(super) status: Option<StatusCode>,
    /// Why it is not well; none when it is.
    pub(super) trouble: Option<Trouble>,
    /// Up to the response head, or the error.
    pub(super) latency: Duration,
}

/// Why an endpoint is not well.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) reason: Reason,
    /// More than the reason says, for people.
    pub(super) words: Option<String>,
}

impl Answer {
    pub(super) const fn is_ok(&self) -> bool {
        self.trouble.is_none()
    }

    /// Why it is not well; none when it is.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.trouble.as_ref().map(|trouble| trouble.reason)
    }
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self { reason, words: None }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { reason: failure.reason, words: Some(failure.words) }
    }
}

/// The request of a check. Its target has no authority, so it goes out in origin form.
pub(super) fn request(
    path: &PathAndQuery,
    host: &HeaderValue,
    correlation_id: &CorrelationId,
    trace: &TraceContext,
) -> Request<Empty<Bytes>> {
    let mut target = Parts::default();
    target.path_and_query = Some(path.clone());
    let mut request = Request::new(Empty::new());
    // A path alone is a whole target; the default is `/`.
    *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(HOST, host.clone());
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let traceparent = trace.traceparent();
    let ids = [(CORRELATION_ID, correlation_id.as_str().as_bytes()), (TRACEPARENT, &traceparent)];
    for (name, id) in ids {
        // Both grammars are narrower than that of a header value.
        headers.extend(HeaderValue::from_bytes(id).ok().map(|value| (name, value)));
    }
    request
}

/// Asks one endpoint, by `tls` if there is one; takes no longer than `limit`.
pub(super) async fn ask(
    endpoint: &Endpoint,
    tls: Option<&EndpointTls>,
    request: Request<Empty<Bytes>>,
    limit: Duration,
) -> Answer {
    let began = clock::now();
    let result = exchange(endpoint, tls, request, began + limit).await;
    let (status, trouble, ended) = match result {
        Ok((status, head_at)) => (Some(status), reason_of(status).map(Trouble::from), head_at),
        Err(trouble) => (None, Some(trouble), clock::now()),
    };
    let latency = ended.saturating_duration_since(began);
    Answer { endpoint: Arc::clone(&endpoint.authority), status, trouble, latency }
}

/// Why a status is not well.
fn reason_of(status: StatusCode) -> Option<Reason> {
    if status.is_success() || status.is_redirection() {
        return None;
    }
    Some(Reason::of_status(status, &[status]).unwrap_or(Reason::HttpOther))
}

/// The status and when its head had come.
async fn exchange(
    endpoint: &Endpoint,
    tls: Option<&EndpointTls>,
    request: Request<Empty<Bytes>>,
    deadline: Instant,
) -> Result<(StatusCode, Instant), Trouble> {
    let late = |_| Trouble::from(Reason::ConnectTimeout);
    let stream = timeout_at(deadline.into(), connect(&endpoint.location)).await.map_err(late)??;
    let Some(tls) = tls else { return converse(stream, request, deadline).await };
    let shaken = timeout_at(deadline.into(), tls.connect(Alpn::Http1, stream)).await;
    converse(shaken.map_err(late)??, request, deadline).await
}

/// The same over a connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
    deadline: Instant,
) -> Result<(StatusCode, Instant), Trouble> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let answered = timeout_at(deadline.into(), sender.send_request(request)).await;
        let response = answered.map_err(|_| Reason::TimeoutFirstByte)?;
        let response = response.map_err(|error| broken(&error))?;
        let (status, head_at) = (response.status(), clock::now());
        let body = Limited::new(response.into_body(), BODY_READ).collect();
        // However the body ends, the endpoint has answered.
        timeout_at(deadline.into(), body).await.ok();
        Ok((status, head_at))
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // What the connection had to give is with the answer now, its error included.
        _ = &mut connection => answer.await,
    }
}

/// A connection of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(location: &Location) -> Result<Box<dyn Stream>, Reason> {
    let failed = |error| Reason::of_connect(&error);
    let addresses: Vec<SocketAddr> = match location {
        Location::Unix(path) => {
            return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?));
        }
        Location::Address(address) => vec![*address],
        Location::Name(host, port) => lookup_host((host.as_str(), *port))
            .await
            .map_err(|error| Reason::of_lookup(&error))?
            .collect(),
    };
    if addresses.is_empty() {
        return Err(Reason::DnsFailure);
    }
    Ok(Box::new(TcpStream::connect(&*addresses).await.map_err(failed)?))
}

/// A connection that broke before the response head.
fn broken(error: &hyper::Error) -> Trouble {
    if let Some(failure) = Failure::within(error) {
        return failure.into();
    }
    if error.is_parse() { Reason::ProtocolError.into() } else { Reason::ResetBeforeHeaders.into() }
}

#[cfg(test)]
mod tests {
    use super::connect;
    use crate::{config::Location, domain::outcome::Reason};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn a_socket_is_asked_where_it_is() {
        let name = format!("fusebox-probe-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let location = Location::Unix(path.clone());
        let service = UnixListener::bind(&path).unwrap();
        assert!(connect(&location).await.is_ok());
        drop(service);
        assert_eq!(connect(&location).await.err(), Some(Reason::ConnectRefused));
        std::fs::remove_file(&path).unwrap();
    }
}
