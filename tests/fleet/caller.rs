//! Somebody who calls through a Fusebox all the time, whatever becomes of the calls.

use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError, Sender},
    },
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
    counts: Arc<Counts>,
    /// The connection that it made last.
    line: Line,
}

type Line = Arc<Mutex<Option<TcpStream>>>;

/// What became of the calls.
#[derive(Default)]
struct Counts {
    passed: AtomicUsize,
    /// The upstream never says so itself.
    refused: AtomicUsize,
}

impl Caller {
    pub(super) fn of(fusebox: &Fusebox) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (to, path) = (fusebox.proxy, format!("/{}", fusebox.pid()));
        let (counts, line) = (Arc::<Counts>::default(), Line::default());
        let (counted, its) = (Arc::clone(&counts), Arc::clone(&line));
        let thread = thread::spawn(move || {
            let mut connection = None;
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                connection = call(connection, (to, &its), &path, &counted);
            }
        });
        Self { stop: Some(stop), thread: Some(thread), counts, line }
    }

    /// Leaves the call that it makes, if it makes one, and goes on with the next.
    pub(super) fn goes_away(&self) {
        if let Some(line) = &*self.line.lock().unwrap_or_else(PoisonError::into_inner) {
            // It may be closed already.
            line.shutdown(Shutdown::Both).ok();
        }
    }

    /// How many were answered 503 so far.
    pub(super) fn refused(&self) -> usize {
        self.counts.refused.load(Relaxed)
    }

    /// How many had another answer.
    pub(super) fn passed(&self) -> usize {
        self.counts.passed.load(Relaxed)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.goes_away();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a caller takes whatever comes");
        }
    }
}

/// One call on the connection that there is, else on a new one. Returns it if it can be used again.
fn call(
    connection: Option<Connection>,
    (to, line): (SocketAddr, &Line),
    path: &str,
    counts: &Counts,
) -> Option<Connection> {
    let dialled = || {
        let stream = TcpStream::connect(to).ok()?;
        *line.lock().unwrap_or_else(PoisonError::into_inner) = stream.try_clone().ok();
        Some(Connection::of(stream))
    };
    let mut connection = connection.or_else(dialled)?;
    let is_sent = connection.try_send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    let (status, headers) = connection.try_head().filter(|_| is_sent)?;
    let count = if status == 503 { &counts.refused } else { &counts.passed };
    count.fetch_add(1, Relaxed);
    connection.body("GET", status, &headers).ok()?;
    (headers.one("connection") != Some("close")).then_some(connection)
}
