//! One question to an endpoint that the platform offers within the machine: a GET, and its JSON.

use std::time::Duration;

use bytes::Bytes;
use http::{
    Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONNECTION, HOST},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::config::Secret;

/// Why there is no answer. Never shows what was shown to the endpoint, nor the path that it was
/// asked for: whoever knows that of a task's credentials may borrow them too.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The platform names an address that is none.
    #[error("what the platform names is no http:// address")]
    Address,
    /// Nobody answers in time.
    #[error("{0} did not answer within {limit:?}", limit = LIMIT)]
    TooSlow(String),
    /// It cannot be reached.
    #[error("cannot be reached")]
    Unreachable(#[from] std::io::Error),
    /// It does not speak HTTP, or breaks off.
    #[error("broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refuses.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// It answers something else.
    #[error("it answered no JSON")]
    NoJson(#[from] serde_json::Error),
}

/// Asks for the JSON at this URL.
pub(super) async fn ask(url: &str, authorization: Option<&Secret>) -> Result<Value, AskError> {
    let asking = timeout(LIMIT, exchange(url, authorization)).await;
    asking.map_err(|_| AskError::TooSlow(host_of(url)))?
}

async fn exchange(url: &str, authorization: Option<&Secret>) -> Result<Value, AskError> {
    let uri: Uri = url.parse().map_err(|_| AskError::Address)?;
    let authority =
        uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or(AskError::Address)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host().trim_matches(['[', ']']), port)).await?;
    let mut request =
        Request::get(target).header(HOST, authority.as_str()).header(CONNECTION, "close");
    if let Some(shown) = authorization {
        request = request.header(AUTHORIZATION, shown.expose());
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| AskError::Address)?;
    let broken = |error: hyper::Error| AskError::Broken(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        Ok(serde_json::from_slice(&body.map_err(AskError::Broken)?.to_bytes())?)
    };
    let driving = async {
        // What goes wrong with it goes wrong with the exchange.
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = driving => never,
    }
}

/// What of a URL may be shown: host and port.
fn host_of(url: &str) -> String {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

/// The endpoints are on the same machine.
const LIMIT: Duration = Duration::from_secs(1);
/// A task with many containers is told in a few kilobytes.
const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::ask;

    #[tokio::test(start_paused = true)]
    async fn the_path_of_lent_credentials_is_shown_to_nobody() {
        // It lets everybody come and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        for (url, said) in [
            (
                format!("http://u:s3cret@{address}/v2/credentials/s3cret"),
                format!("{address} did not answer within 1s"),
            ),
            (
                "https://169.254.170.2/v2/credentials/s3cret".to_owned(),
                "what the platform names is no http:// address".to_owned(),
            ),
            (
                "http://169 254/v2/credentials/s3cret".to_owned(),
                "what the platform names is no http:// address".to_owned(),
            ),
        ] {
            let error = ask(&url, None).await.unwrap_err();
            assert_eq!(error.to_string(), said);
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
