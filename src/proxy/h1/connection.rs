//! A connection to an upstream, and what has been read from it ahead.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use tokio::io::{ReadHalf, WriteHalf};

use super::{
    Broken,
    answer::{self, Answer, Head, Wanted},
    inflow::Inflow,
};
use crate::{
    proxy::{age::Age, transport::Transport},
    upstreams::ConnectionPermit,
};

/// A longer head is not kept for the room it took.
const KEPT_ROOM: usize = 16 << 10;
/// The most interim answers (1xx) to one request.
const MAX_INTERIM: u8 = 16;

/// A connection that carries one call at a time. In a box: it is handed from call to call.
#[derive(Debug)]
pub(in crate::proxy) struct Outbound {
    pub(super) stream: Transport,
    inflow: Inflow,
    /// Interim answers to the request.
    interims: u8,
    /// Kept for its room.
    pub(super) outflow: Vec<u8>,
    age: Age,
    /// Leave for the connection to be there.
    permit: Option<ConnectionPermit>,
}

impl Outbound {
    pub(in crate::proxy) fn new(
        stream: Transport,
        age: Age,
        permit: Option<ConnectionPermit>,
    ) -> Box<Self> {
        let inflow = Inflow::new(BytesMut::new());
        Box::new(Self { stream, inflow, interims: 0, outflow: Vec::new(), age, permit })
    }

    /// Whether it is too old for another call.
    pub(in crate::proxy) fn is_worn(&self, now: Instant) -> bool {
        self.age.is_over(now)
    }

    /// Whether nothing has come since the last call: neither the end nor bytes that nobody asked
    /// for.
    pub(in crate::proxy) fn is_quiet(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Makes it ready for the next call; none if something is left of this one.
    pub(super) fn rested(mut self: Box<Self>) -> Option<Box<Self>> {
        if !self.inflow.buffer.is_empty() {
            return None;
        }
        self.inflow.rest();
        self.interims = 0;
        if self.outflow.capacity() > KEPT_ROOM {
            self.outflow = Vec::new();
        }
        Some(self)
    }

    /// Whether nothing of an answer has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.inflow.buffer.is_empty() && self.interims == 0
    }

    /// Reads the head of the answer.
    pub(super) fn poll_head(
        &mut self,
        mut wanted: Wanted<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, Broken>> {
        loop {
            let before = self.inflow.buffer.len();
            match ready!(self.inflow.poll_read(&mut self.stream, cx)) {
                Ok(0) => return Poll::Ready(Err(Broken::Connection)),
                Err(error) => return Poll::Ready(Err(Broken::of(&error))),
                Ok(_) => {}
            }
            let buffer = &mut self.inflow.buffer;
            // A head that comes byte by byte is looked at once per line.
            if before > 0 && memchr::memchr(b'\n', &buffer[before..]).is_none() {
                if buffer.len() > answer::MAX_BYTES {
                    return Poll::Ready(Err(Broken::Malformed));
                }
                continue;
            }
            while !buffer.is_empty() {
                match answer::take(buffer, &mut wanted)? {
                    None => break,
                    Some(Head::Final(answer)) => return Poll::Ready(Ok(answer)),
                    Some(Head::Interim) if self.interims == MAX_INTERIM => {
                        return Poll::Ready(Err(Broken::Malformed));
                    }
                    Some(Head::Interim) => self.interims += 1,
                }
            }
        }
    }
}

/// A connection that speaks another protocol from now on.
#[derive(Debug)]
pub(in crate::proxy) struct Switched {
    pub(in crate::proxy) stream: Transport,
    /// What the upstream sent right behind its answer.
    pub(in crate::proxy) ahead: Bytes,
    _permit: Option<ConnectionPermit>,
}

/// Where the rest of an answer is read from.
#[derive(Debug)]
pub(super) enum Source {
    Connection(Box<Outbound>),
    /// A connection on which the request is still being written.
    Half(Box<Reading>),
}

/// The half of a connection to read from.
#[derive(Debug)]
pub(super) struct Reading {
    stream: ReadHalf<Transport>,
    inflow: Inflow,
    _permit: Rc<Option<ConnectionPermit>>,
}

/// The half of a connection to write to. The connection is there until both halves are gone.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) stream: WriteHalf<Transport>,
    _permit: Rc<Option<ConnectionPermit>>,
}

impl Source {
    /// The half of a connection to read from, and the one to write to.
    pub(super) fn split(connection: Outbound) -> (Self, Writing) {
        let Outbound { stream, inflow, permit, .. } = connection;
        let (reading, writing) = tokio::io::split(stream);
        let permit = Rc::new(permit);
        let writing = Writing { stream: writing, _permit: Rc::clone(&permit) };
        let reading = Reading { stream: reading, inflow, _permit: permit };
        (Self::Half(Box::new(reading)), writing)
    }

    /// The connection as what it has been switched to.
    pub(super) fn into_switched(self) -> Option<Switched> {
        match self {
            Self::Connection(connection) => {
                let Outbound { stream, inflow, permit, .. } = *connection;
                Some(Switched { stream, ahead: inflow.buffer.freeze(), _permit: permit })
            }
            Self::Half(_) => None,
        }
    }

    /// What has been read.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        match self {
            Self::Connection(connection) => &mut connection.inflow.buffer,
            Self::Half(reading) => &mut reading.inflow.buffer,
        }
    }

    /// Reads more. Zero is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Connection(connection) => connection.inflow.poll_read(&mut connection.stream, cx),
            Self::Half(reading) => reading.inflow.poll_read(&mut reading.stream, cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_INTERIM, Outbound};
    use crate::proxy::{
        age::Age,
        h1::{Broken, answer::Wanted},
        transport::Transport,
    };
    use bytes::BytesMut;
    use http::{HeaderMap, StatusCode};
    use std::future::poll_fn;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    async fn pair() -> (Box<Outbound>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (
            Outbound::new(Transport::Tcp(stream), Age::default(), None),
            listener.accept().await.unwrap().0,
        )
    }

    async fn status(connection: &mut Outbound) -> Result<StatusCode, Broken> {
        let mut headers = HeaderMap::new();
        let answer = poll_fn(|cx| {
            let wanted = Wanted { is_head: false, is_upgrade: false, headers: &mut headers };
            connection.poll_head(wanted, cx)
        })
        .await;
        answer.map(|answer| answer.response.status())
    }

    #[tokio::test]
    async fn a_connection_is_quiet_until_something_comes() {
        let (mut connection, mut upstream) = pair().await;
        assert!(connection.is_quiet());
        upstream.write_all(b"x").await.unwrap();
        poll_fn(|cx| connection.stream.poll_peek(&mut BytesMut::new(), cx)).await.unwrap();
        assert!(!connection.is_quiet());
        let (mut connection, upstream) = pair().await;
        drop(upstream);
        poll_fn(|cx| connection.stream.poll_peek(&mut BytesMut::new(), cx)).await.unwrap();
        assert!(!connection.is_quiet());
    }

    #[tokio::test]
    async fn interim_answers_are_passed_over_up_to_a_limit() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        for (count, expected) in [
            (0, Ok(StatusCode::CREATED)),
            (MAX_INTERIM, Ok(StatusCode::CREATED)),
            (MAX_INTERIM + 1, Err(Broken::Malformed)),
        ] {
            let (mut connection, mut upstream) = pair().await;
            let wire = interim.repeat(count.into()) + "HTTP/1.1 201 Created\r\n\r\n";
            upstream.write_all(wire.as_bytes()).await.unwrap();
            assert_eq!(status(&mut connection).await, expected, "{count}");
        }
    }

    #[tokio::test]
    async fn an_end_before_the_head_is_the_connections() {
        for wire in ["", "HTTP/1.1 200 OK\r\n"] {
            let (mut connection, mut upstream) = pair().await;
            upstream.write_all(wire.as_bytes()).await.unwrap();
            drop(upstream);
            assert_eq!(status(&mut connection).await, Err(Broken::Connection));
        }
    }
}
