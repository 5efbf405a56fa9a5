//! The upstreams of the demo: real servers on loopback, each with a temper.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::clock;

/// How a service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// Fails for a while in every cycle.
    Flaky,
    /// Answers, but takes its time now and then.
    Slow,
}

/// One round of a flaky service: well, then failing, then well again.
const CYCLE: Duration = Duration::from_secs(50);
/// When in the cycle it begins to fail.
const FAILS_FROM: Duration = Duration::from_secs(8);
/// When in the cycle it is well again.
const FAILS_UNTIL: Duration = Duration::from_secs(16);

impl Temper {
    /// What a call at this age of the service gets.
    fn answer(self, age: Duration, dice: f64) -> (StatusCode, Duration) {
        let moment =
            Duration::from_nanos((age.as_nanos() % CYCLE.as_nanos()).try_into().unwrap_or(0));
        match self {
            Self::Flaky if (FAILS_FROM..FAILS_UNTIL).contains(&moment) => {
                (StatusCode::INTERNAL_SERVER_ERROR, Duration::from_millis(5))
            }
            Self::Slow => {
                (StatusCode::OK, Duration::from_millis(20).mul_f64(1.0 + 20.0 * dice.powi(8)))
            }
            Self::Flaky => (StatusCode::OK, Duration::from_millis(2).mul_f64(1.0 + dice)),
        }
    }
}

/// Starts a service on a free port and returns where it is. It ends with the runtime.
///
/// # Errors
/// No port is free.
pub(super) async fn start(temper: Temper) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let began = clock::now();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |_| answer(temper, began));
            tokio::spawn(async move {
                // The caller is the demo's own proxy; how it ends its connections is its affair.
                let _ended =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(temper: Temper, began: Instant) -> Result<Response<Full<Bytes>>, Infallible> {
    let age = clock::now().saturating_duration_since(began);
    let (status, takes) = temper.answer(age, fastrand::f64());
    tokio::time::sleep(takes).await;
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"from\":\"the demo\"}\n")));
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::{CYCLE, Temper};
    use std::time::Duration;

    #[test]
    fn a_flaky_service_fails_once_in_every_cycle() {
        let fails =
            |second| Temper::Flaky.answer(Duration::from_secs(second), 0.5).0.is_server_error();
        assert!(!fails(0) && fails(8) && fails(15) && !fails(16));
        assert!(fails(8 + CYCLE.as_secs()));
        assert!(!Temper::Slow.answer(Duration::from_secs(8), 0.5).0.is_server_error());
    }
}
