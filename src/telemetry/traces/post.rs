//! One request to the collector, on a connection of its own: spans go every few seconds at most.

use std::{io::Write as _, pin::pin, time::Duration};

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::partial::Partial;
use crate::{
    config::{Compression, Location, Traces},
    tls::{Alpn, EndpointTls},
};

/// As much of the answer is read: what it says is short, and the connection ends in peace.
const BODY_READ: usize = 64 << 10;

/// Why spans were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// They may be later; not before this time, where the collector says so.
    ForNow {
        /// Why.
        because: String,
        /// How long to wait.
        wait: Option<Duration>,
    },
    /// They never will be.
    ForGood(String),
}

impl Refused {
    fn for_now(because: impl ToString) -> Self {
        Self::ForNow { because: because.to_string(), wait: None }
    }

    /// Why.
    pub(super) fn because(&self) -> &str {
        match self {
            Self::ForNow { because, .. } | Self::ForGood(because) => because,
        }
    }
}

/// Compresses a body as configured.
pub(super) fn packed(body: Vec<u8>, compression: Compression) -> Bytes {
    match compression {
        Compression::None => body.into(),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
            // Writing to a Vec cannot fail.
            let written = encoder.write_all(&body).and_then(|()| encoder.finish());
            written.unwrap_or_default().into()
        }
    }
}

/// Posts a body. Spans that were taken may not all have been.
pub(super) async fn post(
    traces: &Traces,
    tls: Option<&EndpointTls>,
    body: Bytes,
) -> Result<Option<Partial>, Refused> {
    let late = |_| Refused::for_now("no answer in time");
    timeout(traces.timeout, exchange(traces, tls, body)).await.map_err(late)?
}

async fn exchange(
    traces: &Traces,
    tls: Option<&EndpointTls>,
    body: Bytes,
) -> Result<Option<Partial>, Refused> {
    let stream = connect(&traces.collector.endpoint.location).await.map_err(Refused::for_now)?;
    match tls {
        None => converse(stream, request(traces, body)).await,
        Some(tls) => {
            let shaken = tls.connect(Alpn::Http1, stream).await;
            let stream = shaken.map_err(|failure| Refused::for_now(failure.words))?;
            converse(stream, request(traces, body)).await
        }
    }
}

fn request(traces: &Traces, body: Bytes) -> Request<Full<Bytes>> {
    const AGENT: HeaderValue =
        HeaderValue::from_static(concat!("fusebox/", env!("CARGO_PKG_VERSION")));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = Uri::from(traces.collector.path.clone());
    let headers = request.headers_mut();
    headers.insert(HOST, traces.collector.endpoint.host.clone());
    headers.insert(USER_AGENT, AGENT);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if traces.compression == Compression::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.extend(traces.headers.iter().cloned());
    request
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Option<Partial>, Refused> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Refused::for_now)?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(Refused::for_now)?;
        let (head, body) = response.into_parts();
        // However the body ends, the collector has answered.
        let body = Limited::new(body, BODY_READ).collect().await.ok();
        let wait = head.headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        judged(head.status, wait)?;
        Ok(body.and_then(|body| Partial::read(&body.to_bytes())))
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // What the connection had to give is with the answer now, its error included.
        _ = &mut connection => answer.await,
    }
}

/// What a status means for the spans.
fn judged(status: StatusCode, wait_s: Option<u64>) -> Result<(), Refused> {
    let because = format!("the collector answered {status}");
    match status.as_u16() {
        200..300 => Ok(()),
        429 | 502 | 503 | 504 => {
            Err(Refused::ForNow { because, wait: wait_s.map(Duration::from_secs) })
        }
        _ => Err(Refused::ForGood(because)),
    }
}

/// A connection of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(location: &Location) -> std::io::Result<Box<dyn Stream>> {
    Ok(match location {
        Location::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Location::Address(address) => Box::new(TcpStream::connect(address).await?),
        Location::Name(host, port) => Box::new(TcpStream::connect((host.as_str(), *port)).await?),
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, time::Duration};

    use flate2::read::GzDecoder;
    use http::StatusCode;

    use super::{Refused, judged, packed};
    use crate::config::Compression;

    #[test]
    fn only_what_passes_is_tried_again() {
        let of = |code| judged(StatusCode::from_u16(code).unwrap(), Some(3));
        assert_eq!(of(200), Ok(()));
        for code in [429, 502, 503, 504] {
            let wait = Some(Duration::from_secs(3));
            assert!(matches!(of(code), Err(Refused::ForNow { wait: it, .. }) if it == wait));
        }
        for code in [301, 400, 401, 404, 500] {
            assert!(matches!(of(code), Err(Refused::ForGood(_))), "{code}");
        }
    }

    #[test]
    fn a_body_is_compressed_where_that_is_configured() {
        let body = b"spans ".repeat(100);
        assert_eq!(packed(body.clone(), Compression::None), body);
        let small = packed(body.clone(), Compression::Gzip);
        assert!(small.len() < 60);
        let mut read = Vec::new();
        GzDecoder::new(&*small).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
    }
}
