//! An upstream that does as it is told: answers, fails, stalls or goes away, byte by byte, and
//! keeps what it received.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::client::{Head, Headers, read_body, read_head};
use super::fusebox::PATIENCE;
use crate::local::{free_address, wait_until};

/// What is done about a request, in order. After the last step the connection serves the next.
pub(crate) type Answer = Vec<Step>;

/// One thing that is done about a request.
#[derive(Clone)]
pub(crate) enum Step {
    /// Reads the request's body to its end.
    ReadBody,
    /// Reads a body of known length to its end and keeps nothing of it.
    Drain(Arc<AtomicU64>),
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends this over and over, and counts what was taken.
    Pour { piece: Arc<[u8]>, times: u64, taken: Arc<AtomicU64> },
    /// Goes on when the gate opens.
    WaitFor(Arc<Gate>),
    /// Goes on when this is done.
    Do(Arc<dyn Fn() + Send + Sync>),
    /// Closes the connection in order.
    Close,
    /// Resets the connection.
    Reset,
}

/// Something that one thread waits for and another lets happen.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn open(&self) {
        *lock(&self.is_open) = true;
        self.opened.notify_all();
    }

    /// Longer than any test, so that a forgotten gate ends with its test binary's deadline.
    fn wait(&self) {
        const LIMIT: Duration = Duration::from_secs(120);
        drop(self.opened.wait_timeout_while(lock(&self.is_open), LIMIT, |is_open| !*is_open));
    }
}

/// An answer with this status and a small body.
pub(crate) fn status(status: u16) -> Answer {
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 2\r\n\r\nok");
    vec![Step::ReadBody, Step::Send(head.into_bytes())]
}

/// These bytes as they stand.
pub(crate) fn raw(bytes: &str) -> Step {
    Step::Send(bytes.as_bytes().to_vec())
}

/// Takes the request and never answers. The gate ends it with the test.
pub(crate) fn stall() -> Answer {
    vec![Step::ReadBody, Step::WaitFor(Gate::new())]
}

/// A request as it was received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// The request line.
    pub(crate) line: String,
    pub(crate) headers: Headers,
    /// As much of the body as was read so far.
    pub(crate) body: Vec<u8>,
    /// All of it was read, and these fields behind it.
    pub(crate) trailers: Option<Headers>,
    /// The head as it came.
    pub(crate) head: Vec<u8>,
    /// The number of the connection that it came on.
    pub(crate) connection: usize,
}

#[derive(Default)]
struct Shared {
    answer: Answer,
    by_path: HashMap<String, Answer>,
    /// Before all others, one each.
    next: VecDeque<Answer>,
    received: Vec<Received>,
    /// Connections ever accepted.
    accepted: usize,
    /// Those that may still be open, by their number.
    connections: HashMap<usize, TcpStream>,
    is_stopped: bool,
}

/// The upstream. Answers 200 until told otherwise.
pub(crate) struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    accepting: Option<JoinHandle<()>>,
}

impl ScriptedUpstream {
    pub(crate) fn start() -> Self {
        let shared = Shared { answer: status(200), ..Shared::default() };
        let mut upstream =
            Self { address: free_address(), shared: Arc::new(Mutex::new(shared)), accepting: None };
        upstream.resume();
        upstream
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is done about every request from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        lock(&self.shared).answer = answer;
    }

    /// The same for one path only.
    pub(crate) fn answer_on(&self, path: &str, answer: Answer) {
        lock(&self.shared).by_path.insert(path.to_owned(), answer);
    }

    /// What is done about the next requests, one each, before it goes on as it was told.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared).next.extend(answers);
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.shared).received.clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Received {
        lock(&self.shared).received.last().cloned().expect("a request was received")
    }

    /// How many requests were received.
    pub(crate) fn hits(&self) -> usize {
        lock(&self.shared).received.len()
    }

    /// Stops listening and drops every connection: what comes now is refused.
    pub(crate) fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        lock(&self.shared).is_stopped = true;
        // Wakes the thread that accepts, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
        accepting.join().expect("the upstream did not panic");
        for (_, connection) in lock(&self.shared).connections.drain() {
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    /// Listens again at the same address.
    pub(crate) fn resume(&mut self) {
        // Another run that looks for a free port may hold it for a moment.
        let listener =
            wait_until("its port is free", PATIENCE, || TcpListener::bind(self.address).ok());
        lock(&self.shared).is_stopped = false;
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(std::thread::spawn(move || accept(&listener, &shared)));
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Mutex<Shared>>) {
    for stream in listener.incoming().flatten() {
        let mut state = lock(shared);
        if state.is_stopped {
            return;
        }
        let number = state.accepted;
        state.accepted += 1;
        state.connections.insert(number, stream.try_clone().expect("a second handle"));
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || serve(stream, number, &shared));
    }
}

/// Serves one connection until either side ends it.
fn serve(stream: TcpStream, connection: usize, shared: &Mutex<Shared>) {
    drop(stream.set_nodelay(true));
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Ok(Head { line, headers, bytes }) = read_head(&mut reader) {
        let (answer, request) = {
            let mut state = lock(shared);
            let path = line.split(' ').nth(1).unwrap_or_default();
            let usual = state.by_path.get(path).unwrap_or(&state.answer).clone();
            let answer = state.next.pop_front().unwrap_or(usual);
            let headers = headers.clone();
            let begun = Received { line, headers, head: bytes, connection, ..Received::default() };
            state.received.push(begun);
            (answer, state.received.len() - 1)
        };
        for step in answer {
            let went_on = match step {
                Step::ReadBody => {
                    let seen = |piece: &[u8]| {
                        lock(shared).received[request].body.extend(piece);
                    };
                    let read = read_body(&mut reader, &headers, false, seen).ok();
                    let is_whole = read.is_some();
                    lock(shared).received[request].trailers = read.map(|body| body.trailers);
                    is_whole
                }
                Step::Drain(taken) => drain(&mut reader, &headers, &taken).is_ok(),
                Step::Send(bytes) => writer.write_all(&bytes).is_ok(),
                Step::Pour { piece, times, taken } => (0..times).all(|_| {
                    let went = writer.write_all(&piece).is_ok();
                    taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    went
                }),
                Step::WaitFor(gate) => {
                    gate.wait();
                    true
                }
                Step::Do(this) => {
                    this();
                    true
                }
                Step::Close => writer.shutdown(Shutdown::Both).is_err(),
                Step::Reset => {
                    let at_once = Some(Duration::ZERO);
                    drop(socket2::SockRef::from(&writer).set_linger(at_once));
                    // Only the last handle's end resets it.
                    drop(lock(shared).connections.remove(&connection));
                    false
                }
            };
            if !went_on {
                return;
            }
        }
    }
}

/// Reads a body of known length and counts its bytes.
fn drain(from: &mut impl BufRead, headers: &Headers, taken: &AtomicU64) -> std::io::Result<()> {
    let length = headers.one("content-length").and_then(|length| length.parse().ok());
    let mut left: usize = length.ok_or(ErrorKind::InvalidData)?;
    while left > 0 {
        let read = from.fill_buf()?.len().min(left);
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        from.consume(read);
        left -= read;
        taken.fetch_add(read as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// A test that failed while it held the lock has said why already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
