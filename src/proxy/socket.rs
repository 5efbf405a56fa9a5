//! Listening sockets: claimed by this process alone, then shared by its threads.
//!
//! `SO_REUSEPORT` from the start would let a second Fusebox on the same port take half of the
//! calls unnoticed. So the first socket binds and listens without it, which fails when the port is
//! taken; only then it is switched on, for the sockets of the other threads. There is no such
//! thing for Unix sockets, of which there is one for all threads.

mod unix;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;

pub use unix::SocketFile;

/// Connections that the kernel completes and keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// The sockets of a listener.
#[derive(Debug)]
pub enum Sockets {
    /// One per thread, all at the same address.
    Tcp(Vec<TcpListener>),
    /// One for all threads, and its file.
    Unix(UnixListener, SocketFile),
}

impl Sockets {
    /// Listens there, for so many threads.
    ///
    /// # Errors
    /// The address or the path is taken, or not ours.
    pub fn open(listen: &Listen, threads: usize) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => listen_tcp(*address, threads).map(Self::Tcp),
            Listen::Unix(path) => unix::listen(path).map(|(socket, file)| Self::Unix(socket, file)),
        }
    }

    /// Where they are, as really bound.
    pub fn place(&self) -> Option<Listen> {
        match self {
            Self::Tcp(sockets) => sockets.first()?.local_addr().ok().map(Listen::Tcp),
            Self::Unix(_, file) => Some(Listen::Unix(file.path().to_owned())),
        }
    }
}

/// Listens on `address` with one socket per thread. Port 0 picks a free one, the same for all.
///
/// # Errors
/// The address is taken, or not ours.
pub fn listen_tcp(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    let claim = bind(address, false)?;
    claim.set_reuse_port(true)?;
    let claim = TcpListener::from(claim);
    let address = claim.local_addr()?;
    let mut listeners = vec![claim];
    for _ in 1..threads {
        listeners.push(bind(address, true)?.into());
    }
    Ok(listeners)
}

fn bind(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process that linger in TIME_WAIT must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::listen_tcp;
    use std::io::ErrorKind;

    #[test]
    fn threads_share_a_port_that_nobody_else_can_take() {
        let ours = listen_tcp("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|listener| listener.local_addr().unwrap() == address));
        let theirs = listen_tcp(address, 1).unwrap_err();
        assert_eq!(theirs.kind(), ErrorKind::AddrInUse);
    }
}
