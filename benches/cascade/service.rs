//! A service as many are: some threads, each of which serves one request at a time.
//!
//! The threads accept by themselves, and what none of them has accepted waits in the kernel's
//! queue. A request for [`NEEDS_C`] is passed on to the next service, as far as there is one, with
//! a client that waits for so long and then gives up; all else is answered here. The service ends
//! when its standard input does, so that it never outlives who started it.

use std::{
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use crate::Result;

/// The argument that makes this program a service: `service LISTEN PATIENCE_MS [NEXT]`.
pub(crate) const MODE: &str = "service";

/// The path that leads down to C.
pub(crate) const NEEDS_C: &str = "/needs-c";

/// Threads of each service.
pub(crate) const WORKERS: usize = 32;

/// Connections that wait to be accepted; the default of many frameworks.
const BACKLOG: i32 = 128;

/// What an answer takes that needs nobody else.
const OWN_WORK: Duration = Duration::from_millis(5);

/// How long a request may take to come in.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// What a service is told on its standard input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// From now on it accepts and does not answer.
    Hang,
    /// As after a restart: who still waits is cut off, who comes is answered.
    Answer,
}

impl Order {
    /// How it is written, one a line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Answer => "answer",
        }
    }
}

/// What its threads share.
struct Service {
    next: Option<SocketAddr>,
    patience: Duration,
    hangs: Mutex<bool>,
    answers_again: Condvar,
}

/// Runs one until its input ends.
pub(crate) fn run(settings: &[String]) -> Result<()> {
    let [listen, patience, next @ ..] = settings else {
        return Err("service LISTEN PATIENCE_MS [NEXT]".into());
    };
    let service = Arc::new(Service {
        next: next.first().map(|next| next.parse()).transpose()?,
        patience: Duration::from_millis(patience.parse()?),
        hangs: Mutex::new(false),
        answers_again: Condvar::new(),
    });
    let listener = Arc::new(listener(listen.parse()?)?);
    for _ in 0..WORKERS {
        let (service, listener) = (Arc::clone(&service), Arc::clone(&listener));
        thread::spawn(move || {
            loop {
                // A caller that is gone again is no reason to stop.
                drop(listener.accept().and_then(|(caller, _)| service.serve(caller)));
            }
        });
    }
    for line in io::stdin().lock().lines() {
        service.obey(line?.trim() == Order::Hang.word());
    }
    Ok(())
}

fn listener(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Service {
    fn obey(&self, hang: bool) {
        *self.hangs.lock().unwrap_or_else(PoisonError::into_inner) = hang;
        self.answers_again.notify_all();
    }

    fn serve(&self, mut caller: TcpStream) -> io::Result<()> {
        caller.set_read_timeout(Some(READ_LIMIT))?;
        let head = head(&mut caller)?;
        if self.has_hung() {
            return Ok(());
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let status = match self.next {
            Some(next) if path == NEEDS_C => match get(next, path, self.patience) {
                Ok(200) => "200 OK",
                Ok(_) => "502 Bad Gateway",
                Err(_) => "504 Gateway Timeout",
            },
            _ => {
                work();
                "200 OK"
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        caller.write_all(answer.as_bytes())
    }

    /// Waits while the service hangs; whether it did.
    fn has_hung(&self) -> bool {
        let hangs = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        let did = *hangs;
        let until = self.answers_again.wait_while(hangs, |hangs| *hangs);
        drop(until);
        did
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread that waits for its disk is such a thread")]
fn work() {
    thread::sleep(OWN_WORK);
}

/// Asks another service, and waits for so long.
fn get(from: SocketAddr, path: &str, patience: Duration) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&from, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(request(from, path).as_bytes())?;
    status(&head(&mut stream)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A request as all callers here make it.
pub(crate) fn request(to: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n")
}

/// The status in the head of an answer.
pub(crate) fn status(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

/// Reads a head, of which nothing here is longer than a packet.
fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 2_048];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
