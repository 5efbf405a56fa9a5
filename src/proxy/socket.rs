//! Listening sockets: claimed by this process alone, then shared by its threads.
//!
//! `SO_REUSEPORT` from the start would let a second Fusebox on the same port take half of the
//! calls unnoticed. So the first socket binds and listens without it, which fails when the port is
//! taken; only then it is switched on, for the sockets of the other threads.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel completes and keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Listens on `address` with one socket per thread. Port 0 picks a free one, the same for all.
///
/// # Errors
/// The address is taken, or not ours.
pub fn listen(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
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
    use super::listen;
    use std::io::ErrorKind;

    #[test]
    fn threads_share_a_port_that_nobody_else_can_take() {
        let ours = listen("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|listener| listener.local_addr().unwrap() == address));
        let theirs = listen(address, 1).unwrap_err();
        assert_eq!(theirs.kind(), ErrorKind::AddrInUse);
    }
}
