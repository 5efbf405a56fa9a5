//! Making a connection to a host.
//!
//! When the host's name has addresses of the other family too, IPv4 or IPv6, one that fails or does
//! not answer at once gets them as stand-ins: a name like `localhost` often stands for both while
//! the service listens on one. What was found to work is used from then on.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Host, Live, host::Address};
use crate::domain::outcome::Reason;

/// How long an address may take before the other family is tried beside it, as RFC 8305 has it.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection, without anything of TLS or HTTP.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Live {
    /// Makes a connection to a host. It takes as long as it takes: the caller has the timeout, and
    /// the permit. When it fails the name is resolved anew soon; when it takes too long, the caller
    /// says so to [`Host::connect_failed`].
    ///
    /// # Errors
    /// There is none.
    pub async fn dial(&self, host: &Host) -> Result<Socket, Reason> {
        let dialled = match host.address() {
            Address::Unix(path) => {
                // A socket that is not there is as good as a port that nobody listens on.
                return UnixStream::connect(path).await.map(Socket::Unix).map_err(|error| {
                    let is_missing = error.kind() == io::ErrorKind::NotFound;
                    if is_missing { Reason::ConnectRefused } else { Reason::of_connect(&error) }
                });
            }
            Address::Tcp(address) => self.dial_tcp(host, *address).await,
        };
        let stream = dialled.map_err(|error| {
            host.connect_failed();
            Reason::of_connect(&error)
        })?;
        // Without it a small request may wait for the acknowledgement of the one before.
        let _unsupported = stream.set_nodelay(true);
        Ok(Socket::Tcp(stream))
    }

    async fn dial_tcp(&self, host: &Host, address: SocketAddr) -> io::Result<TcpStream> {
        let others = self.directory().others(host);
        let mut first = pin!(TcpStream::connect(address));
        if others.is_empty() {
            return first.await;
        }
        let failed = match timeout(HEAD_START, first.as_mut()).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let mut stand_in = pin!(dial_any(&others));
        let stream = match failed {
            // What is told is how the host itself failed.
            Some(error) => stand_in.await.ok_or(error)?,
            None => tokio::select! {
                stream = first.as_mut() => return stream,
                stream = stand_in.as_mut() => match stream {
                    Some(stream) => stream,
                    None => return first.await,
                },
            },
        };
        self.change(|directory| directory.turn_from(host));
        Ok(stream)
    }
}

/// A connection to the first of these that takes one.
async fn dial_any(addresses: &[SocketAddr]) -> Option<TcpStream> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Some(stream);
        }
    }
    None
}
