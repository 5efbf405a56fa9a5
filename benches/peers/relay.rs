//! The floor: a process that only copies bytes between two sockets and understands nothing.
//!
//! One thread, one epoll, tokio's `copy_bidirectional`. A program in C over bare epoll is cheaper
//! by a few tenths; this one needs no unsafe code and no dependency.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Relays until it is killed.
pub(crate) fn run(listen: SocketAddr, backend: SocketAddr) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (mut caller, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(backend).await?;
                caller.set_nodelay(true)?;
                upstream.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut caller, &mut upstream).await
            });
        }
    })
}
