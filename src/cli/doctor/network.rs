//! Whether upstreams are where the configuration says: names, then connections.

use std::{net::SocketAddr, path::Path, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

use super::finding::{Finding, subject};
use crate::config::{Config, Endpoint, Location, Upstream};

/// How long a name, or a connection, may take.
const WITHIN: Duration = Duration::from_secs(3);

/// Looks at every endpoint of every upstream.
pub(super) async fn upstreams(config: &Config) -> Vec<Finding> {
    let of_upstream = |upstream: &std::sync::Arc<Upstream>| {
        let upstream = std::sync::Arc::clone(upstream);
        async move { join_all(upstream.endpoints.iter().map(|one| endpoint(&upstream.name, one))).await }
    };
    let all = join_all(config.upstreams.values().map(of_upstream)).await;
    all.into_iter().flatten().flatten().collect()
}

async fn endpoint(upstream: &str, endpoint: &Endpoint) -> Vec<Finding> {
    let place = format!("{upstream} {}", endpoint.authority);
    match &endpoint.location {
        Location::Address(address) => vec![reach(&place, &[*address]).await],
        Location::Unix(path) => vec![socket(&place, path).await],
        Location::Name(host, port) => {
            let found = timeout(WITHIN, lookup_host((host.as_str(), *port))).await;
            let addresses: Vec<_> = match found {
                Err(_) => return vec![Finding::bad(subject::NAMES, format!("{place}: no answer"))],
                Ok(Err(error)) => {
                    return vec![Finding::bad(subject::NAMES, format!("{place}: {error}"))];
                }
                Ok(Ok(addresses)) => addresses.collect(),
            };
            let detail = format!("{place}, {} addresses", addresses.len());
            vec![Finding::good(subject::NAMES, detail), reach(&place, &addresses).await]
        }
    }
}

/// One address that answers is enough: a name often has some of a family that is not routed.
async fn reach(place: &str, addresses: &[SocketAddr]) -> Finding {
    let mut last = "no address".to_owned();
    for address in addresses {
        match timeout(WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Finding::good(subject::REACH, format!("{place} at {address}")),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer within {WITHIN:?}"),
        }
    }
    Finding::bad(subject::REACH, format!("{place}: {last}"))
}

async fn socket(place: &str, path: &Path) -> Finding {
    match timeout(WITHIN, UnixStream::connect(path)).await {
        Ok(Ok(_)) => Finding::good(subject::REACH, place),
        Ok(Err(error)) => Finding::bad(subject::REACH, format!("{place}: {error}")),
        Err(_) => Finding::bad(subject::REACH, format!("{place}: no answer within {WITHIN:?}")),
    }
}
