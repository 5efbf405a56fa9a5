//! Asking the admin port: one connection, one question, one deadline.
//!
//! What commands need of HTTP and no more: a request with the bearer token, so that a health check
//! in a container without a shell costs one small process and no other program.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};

use super::exit::Exit;
use crate::{
    admin::Refusal,
    config::Secret,
    store::{self, BoxError},
};

/// The largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Where an admin port is: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// How to reach a port of this machine that listens there. One that listens on every address
    /// is reached through loopback.
    pub fn of(listen: SocketAddr) -> Self {
        let mut reached = listen;
        if listen.ip().is_unspecified() {
            reached.set_ip(match listen {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Self(reached.to_string())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that names no admin port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as `127.0.0.1:9901` or `http://localhost:9901`")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: http::uri::Authority = authority.parse().map_err(|_| AddressError)?;
        let has_userinfo = authority.contains('@');
        match parsed.port_u16() {
            Some(_) if !has_userinfo && !parsed.host().is_empty() => Ok(Self(authority.to_owned())),
            _ => Err(AddressError),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, or the network is in the way.
    #[error("cannot reach the admin port at {0}")]
    Unreachable(Address, #[source] BoxError),
    /// No answer in time.
    #[error("no answer from the admin port at {0} within {1:?}")]
    TimedOut(Address, Duration),
    /// It answers that it is not well.
    #[error("unhealthy: {0}")]
    Unhealthy(String),
    /// It answers with an error.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// Something else answers there.
    #[error(
        "what answers at {0}, with {1}, is no admin port of a Fusebox; `--admin` says where that is"
    )]
    Foreign(Address, StatusCode),
    /// It answers with something else: probably no Fusebox.
    #[error("the answer of {0} cannot be understood; is that a Fusebox of this version?")]
    Malformed(Address, #[source] BoxError),
    /// The store, asked directly, does not answer.
    #[error("{0}")]
    Direct(Refusal),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] store::Error),
    /// What was asked for is not there.
    #[error("{0}")]
    Nothing(String),
    /// The answer cannot be printed.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable(..) | Self::TimedOut(..) | Self::Store(_) => Exit::Unreachable,
            Self::Unhealthy(_) => Exit::Unhealthy,
            Self::Refused(status, _) | Self::Direct(Refusal { status, .. }) => match *status {
                StatusCode::BAD_REQUEST => Exit::Usage,
                StatusCode::SERVICE_UNAVAILABLE => Exit::Unreachable,
                _ => Exit::Runtime,
            },
            Self::Foreign(..) | Self::Malformed(..) | Self::Nothing(_) | Self::Output(_) => {
                Exit::Runtime
            }
        }
    }
}

/// Asks one admin port.
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    token: Option<Secret>,
    timeout: Duration,
}

impl Client {
    /// Each question, the connect included, may take `timeout`.
    pub const fn new(address: Address, token: Option<Secret>, timeout: Duration) -> Self {
        Self { address, token, timeout }
    }

    /// The `data` of an enveloped answer.
    ///
    /// # Errors
    /// There is no answer, or it is an error, or not of this shape.
    pub async fn data<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.opened(self.get(path).await?)
    }

    /// The `data` of the answer to a request that changes something.
    ///
    /// # Errors
    /// There is no answer, or it is an error, or not of this shape.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        self.opened(self.within_time(method, path, Some(body.to_string())).await?)
    }

    /// The body of an answer that has no envelope.
    ///
    /// # Errors
    /// There is no answer, or it is an error, or no text.
    pub async fn text(&self, path: &str) -> Result<String, Error> {
        let body = self.succeeded(self.get(path).await?)?;
        String::from_utf8(body.into()).map_err(|error| self.malformed(error))
    }

    /// What is in the envelope.
    fn opened<T: DeserializeOwned>(&self, answer: (StatusCode, Bytes)) -> Result<T, Error> {
        #[derive(Deserialize)]
        struct Envelope<T> {
            data: T,
        }
        let body = self.succeeded(answer)?;
        let envelope: Envelope<T> =
            serde_json::from_slice(&body).map_err(|error| self.malformed(error))?;
        Ok(envelope.data)
    }

    /// The body, unless it tells an error.
    fn succeeded(&self, (status, body): (StatusCode, Bytes)) -> Result<Bytes, Error> {
        if status.is_success() {
            return Ok(body);
        }
        let Some(message) = told(&body) else {
            return Err(Error::Foreign(self.address.clone(), status));
        };
        let message = match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => {
                "this Fusebox wants a token: set FUSEBOX_ADMIN_TOKEN to it".to_owned()
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                "the token in FUSEBOX_ADMIN_TOKEN is not that of this Fusebox".to_owned()
            }
            _ => message,
        };
        Err(Error::Refused(status, message))
    }

    /// An answer that is not of the shape that was expected.
    pub(super) fn malformed(&self, error: impl Into<BoxError>) -> Error {
        Error::Malformed(self.address.clone(), error.into())
    }

    /// The status and the body of an answer, whatever they are.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), Error> {
        self.within_time(Method::GET, path, None).await
    }

    async fn within_time(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), Error> {
        match timeout(self.timeout, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::TimedOut(self.address.clone(), self.timeout)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let unreachable = |error: BoxError| Error::Unreachable(self.address.clone(), error);
        let malformed = |error: BoxError| Error::Malformed(self.address.clone(), error);
        let stream =
            TcpStream::connect(&self.address.0).await.map_err(|error| unreachable(error.into()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.into()))?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address.0)
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::<Bytes>::from(body.unwrap_or_default()))
            .map_err(|error| malformed(error.into()))?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?;
            Ok::<_, BoxError>((status, body.to_bytes()))
        };
        // The connection is driven beside the answer; its own fault shows in the answer's.
        let (answer, _) = tokio::join!(answer, connection);
        // One that breaks off is away; one that says something else is something else.
        answer.map_err(|error| match error.downcast_ref::<hyper::Error>() {
            Some(broken) if !broken.is_parse() => unreachable(error),
            _ => malformed(error),
        })
    }
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The message of an error's envelope, or the beginning of whatever came instead.
pub(super) fn message(body: &[u8]) -> String {
    told(body).unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect())
}

/// The message of an error's envelope.
fn told(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    json.pointer("/error/message")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError, segment};

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        assert_eq!(segment("payments-v2.internal_1"), "payments-v2.internal_1");
        assert_eq!(segment("payments/v1/é?#%"), "payments%2Fv1%2F%C3%A9%3F%23%25");
    }

    #[test]
    fn an_address_is_a_host_and_a_port_with_or_without_http() {
        for (text, shown) in [
            ("127.0.0.1:9901", "127.0.0.1:9901"),
            ("http://localhost:9901", "localhost:9901"),
            ("http://[::1]:9901/", "[::1]:9901"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in ["", "localhost", "https://localhost:9901", "a b:1", "x@localhost:1", ":9901"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn a_port_that_listens_everywhere_is_reached_through_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:9901", "127.0.0.1:9901"),
            ("[::]:9901", "[::1]:9901"),
            ("10.0.0.5:9901", "10.0.0.5:9901"),
        ] {
            assert_eq!(Address::of(listen.parse().unwrap()).to_string(), reached);
        }
    }
}
