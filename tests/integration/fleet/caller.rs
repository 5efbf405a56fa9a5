//! Somebody who calls through a Fusebox all the time, whatever becomes of the calls.

use std::{
    net::{SocketAddr, TcpStream},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::harness::{Connection, Fusebox};

/// The time between two calls.
const PACE: Duration = Duration::from_millis(50);

/// Calls until it is dropped. The path of its calls is the number of the process that it calls, so
/// that the upstream sees who forwards them.
pub(super) struct Caller {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Caller {
    pub(super) fn of(fusebox: &Fusebox) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (to, path) = (fusebox.proxy, format!("/{}", fusebox.pid()));
        let thread = thread::spawn(move || {
            let mut connection = None;
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                connection = call(connection, to, &path);
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a caller takes whatever comes");
        }
    }
}

/// One call on the connection that there is, else on a new one. Returns it if it can be used again.
fn call(connection: Option<Connection>, to: SocketAddr, path: &str) -> Option<Connection> {
    let dialled = || TcpStream::connect(to).ok().map(Connection::of);
    let mut connection = connection.or_else(dialled)?;
    let is_sent = connection.try_send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    let (status, headers) = connection.try_head().filter(|_| is_sent)?;
    connection.body("GET", status, &headers).ok()?;
    (headers.one("connection") != Some("close")).then_some(connection)
}
