//! An upstream whose connections the test holds in its own hands: it accepts, reads and writes in
//! the test's own order.

use std::net::{SocketAddr, TcpListener};

use super::{client::Connection, fusebox::PATIENCE};
use crate::local::{free_address, wait_until};

/// See the module docs.
pub(crate) struct HeldUpstream {
    address: SocketAddr,
    listener: TcpListener,
}

impl HeldUpstream {
    pub(crate) fn start() -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).expect("its port is free");
        listener.set_nonblocking(true).expect("it can be asked");
        Self { address, listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next connection that is made to it.
    pub(crate) fn accept(&self) -> Connection {
        wait_until("a connection is made to it", PATIENCE, || self.try_accept())
    }

    /// The next connection, if one has been made already.
    pub(crate) fn try_accept(&self) -> Option<Connection> {
        self.listener.accept().ok().map(|(stream, _)| Connection::of(stream))
    }
}
