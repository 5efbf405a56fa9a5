//! A rotation of sidecars as a load balancer keeps one, and callers that go through it.
//!
//! Connections are kept between calls. One that was closed while it was idle is made again, as every
//! client does; a call whose answer breaks off, or that is answered badly, has failed.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use crate::harness::Connection;

/// The places of the sidecars that take calls.
pub(crate) struct Rotation {
    places: Vec<RwLock<SocketAddr>>,
    is_over: AtomicBool,
    passed: AtomicUsize,
    failed: AtomicUsize,
}

/// Who calls through a rotation, until it is told to stop.
pub(crate) struct Callers {
    rotation: Arc<Rotation>,
    threads: Vec<JoinHandle<()>>,
}

impl Rotation {
    pub(crate) fn of(places: impl IntoIterator<Item = SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            places: places.into_iter().map(RwLock::new).collect(),
            is_over: AtomicBool::new(false),
            passed: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        })
    }

    /// Puts another in a place. When it returns nobody connects to the one before any more.
    pub(crate) fn replace(&self, at: usize, by: SocketAddr) {
        *self.places[at].write().unwrap_or_else(PoisonError::into_inner) = by;
    }

    /// How many calls passed so far.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Relaxed)
    }

    /// Calls until it is over, each time through the next.
    fn call_on(&self, first: usize) {
        let mut lines: Vec<Option<Connection>> = self.places.iter().map(|_| None).collect();
        let mut at = first;
        while !self.is_over.load(Relaxed) {
            at = (at + 1) % lines.len();
            // A kept one that answers nothing was closed while it was idle.
            let answered = lines[at].take().and_then(call);
            match answered.or_else(|| self.dial(at).and_then(call)) {
                Some((connection, true)) => {
                    self.passed.fetch_add(1, Relaxed);
                    lines[at] = connection;
                }
                _ => {
                    self.failed.fetch_add(1, Relaxed);
                }
            }
        }
    }

    fn dial(&self, at: usize) -> Option<Connection> {
        let place = self.places[at].read().unwrap_or_else(PoisonError::into_inner);
        TcpStream::connect(*place).ok().map(Connection::of)
    }
}

impl Callers {
    pub(crate) fn start(rotation: &Arc<Rotation>, count: usize) -> Self {
        let caller = |first: usize| {
            let rotation = Arc::clone(rotation);
            std::thread::spawn(move || rotation.call_on(first))
        };
        Self { rotation: Arc::clone(rotation), threads: (0..count).map(caller).collect() }
    }

    /// Ends the calls, and returns how many passed and how many failed.
    pub(crate) fn stop(self) -> (usize, usize) {
        self.rotation.is_over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("a caller takes whatever comes");
        }
        (self.rotation.passed.load(Relaxed), self.rotation.failed.load(Relaxed))
    }
}

/// One call. None when nothing was answered; else whether it was answered well, and the connection
/// where it stays.
fn call(mut connection: Connection) -> Option<(Option<Connection>, bool)> {
    let is_sent = connection.try_send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let (status, headers) = connection.try_head().filter(|_| is_sent)?;
    let is_whole = connection.body("GET", status, &headers).is_ok();
    let stays = is_whole && headers.one("connection") != Some("close");
    Some((stays.then_some(connection), is_whole && status == 200))
}
