//! Where connections of a listener are accepted, as long as there is room for them.
//!
//! An entrance knows when to stop: once the plane is closing, it lets in what the kernel has
//! completed already and nobody after.

use std::{io, net::SocketAddr, os::unix::net::UnixStream, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use super::plane::Phase;

/// The pause after the process ran out of file descriptors: accepting would fail at once again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// How long a closing listener looks for one more connection that the kernel has completed.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// A listening socket.
pub(super) trait Accept {
    /// What a caller's connection is.
    type Caller;

    /// The next connection. Losing this future loses none.
    async fn accept(&self) -> io::Result<Self::Caller>;
}

impl Accept for TcpListener {
    type Caller = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Caller> {
        self.accept().await
    }
}

/// Its callers are taken back from this runtime: they are served by any.
impl Accept for UnixListener {
    type Caller = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _nameless) = self.accept().await?;
        stream.into_std()
    }
}

/// One socket of a listener.
pub(super) struct Entrance<S> {
    socket: S,
    /// Room for the connections of the listener, over all its sockets.
    room: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
    is_failing: bool,
}

impl<S: Accept> Entrance<S> {
    pub(super) fn new(socket: S, room: Arc<Semaphore>, phase: watch::Receiver<Phase>) -> Self {
        Self { socket, room, phase, is_failing: false }
    }

    /// The next connection and its room; none when the plane is closing and no more have been
    /// completed.
    pub(super) async fn next(&mut self) -> Option<(S::Caller, OwnedSemaphorePermit)> {
        loop {
            match self.accept().await? {
                Ok(caller) => {
                    self.is_failing = false;
                    // One that finds no room waits here, and those behind it in the kernel. Asking
                    // for room first would let a thread without connections keep it from one that
                    // has some.
                    let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
                    return Some((caller, room));
                }
                Err(error) => {
                    if !self.is_failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "cannot accept connections");
                    }
                    self.is_failing = true;
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&mut self) -> Option<io::Result<S::Caller>> {
        loop {
            if matches!(*self.phase.borrow_and_update(), Phase::Closing | Phase::Aborting) {
                return timeout(LAST_LOOK, self.socket.accept()).await.ok();
            }
            tokio::select! {
                accepted = self.socket.accept() => return Some(accepted),
                _changed = self.phase.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, sync::Arc, time::Duration};

    use tokio::{
        net::{TcpListener, TcpStream, UnixListener},
        sync::{Semaphore, watch},
        time::timeout,
    };

    use super::Entrance;
    use crate::proxy::plane::Phase;

    #[tokio::test(start_paused = true)]
    async fn a_closing_entrance_lets_in_who_has_come_already() {
        let path = std::env::temp_dir().join(format!("fusebox-entrance-{}", std::process::id()));
        let socket = UnixListener::bind(&path).unwrap();
        let (phase, phases) = watch::channel(Phase::Serving);
        let mut entrance = Entrance::new(socket, Arc::new(Semaphore::new(9)), phases);
        let _callers: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        std::fs::remove_file(&path).unwrap();
        assert!(entrance.next().await.is_some());
        phase.send_replace(Phase::Closing);
        assert!(entrance.next().await.is_some());
        assert!(entrance.next().await.is_some());
        assert!(entrance.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_for_it() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (_phase, phases) = watch::channel(Phase::Serving);
        let mut entrance = Entrance::new(socket, Arc::new(Semaphore::new(1)), phases);
        let _callers = (
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        );
        let (_, room) = entrance.next().await.unwrap();
        let mut second = Box::pin(entrance.next());
        assert!(timeout(Duration::from_secs(1), second.as_mut()).await.is_err());
        drop(room);
        assert!(second.await.is_some());
    }
}
