//! New connections to an address.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpStream, UnixStream};

use super::transport::Transport;
use crate::domain::outcome::Reason;

/// Where an endpoint is.
#[derive(Debug)]
pub(super) enum Address {
    /// Written as numbers: nothing to resolve.
    Ip(SocketAddr),
    /// Resolved for every new connection.
    Name(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

impl Address {
    /// Makes a connection.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn dial(&self) -> Result<Transport, Reason> {
        let (host, port) = match self {
            Self::Ip(address) => return tcp(*address).await.map_err(|e| Reason::of_connect(&e)),
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                return stream.map(Transport::Unix).map_err(|error| of_unix(&error));
            }
            Self::Name(host, port) => (host.as_str(), *port),
        };
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Reason::of_lookup(&error))?;
        let mut failed = Reason::DnsFailure;
        for address in addresses {
            match tcp(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = Reason::of_connect(&error),
            }
        }
        Err(failed)
    }
}

async fn tcp(address: SocketAddr) -> io::Result<Transport> {
    let stream = TcpStream::connect(address).await?;
    // Without it a small request may wait for the acknowledgement of the one before.
    let _unsupported = stream.set_nodelay(true);
    Ok(Transport::Tcp(stream))
}

/// A socket that is not there is as good as a port that nobody listens on.
fn of_unix(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::NotFound => Reason::ConnectRefused,
        _ => Reason::of_connect(error),
    }
}
