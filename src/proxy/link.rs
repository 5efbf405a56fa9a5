//! One upstream connection, driven by the call that uses it.
//!
//! hyper splits a connection into a half that sends and a half that must be polled. The usual way
//! is to give the second half to a task of its own, which costs two wake-ups and a trip through the
//! scheduler per call. Here the two stay together and whoever waits for the connection polls it: the
//! call while it waits for the head, its body while it streams, the pool for a glance. A call that
//! is dropped takes its connection with it.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;

/// See the module docs.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<RequestBody>,
    /// None once it has ended; it may not be polled after that.
    driver: Option<Box<Driver>>,
}

type Driver = Connection<TokioIo<TcpStream>, RequestBody>;

impl Link {
    /// Speaks HTTP/1.1 over a connected socket.
    ///
    /// # Errors
    /// None over a fresh socket; hyper reserves the right.
    pub(super) async fn over(stream: TcpStream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut link = Self { sender, driver: Some(Box::new(driver)) };
        link.glance();
        Ok(link)
    }

    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// The connection failed; the request comes back when nothing of it was written.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let mut head = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        std::future::poll_fn(|cx| {
            drive(driver, cx);
            head.as_mut().poll(cx)
        })
        .await
    }

    /// Moves the connection along. What it has to say reaches the message that waits for it.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Whether another request can be sent over it: both messages of the last exchange are complete
    /// and the other side has not closed.
    pub(super) fn is_idle(&mut self) -> bool {
        self.glance();
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Moves it along without being woken for it.
    fn glance(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }
}

fn drive(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && let Poll::Ready(_told_to_the_message) = Pin::new(connection.as_mut()).poll(cx)
    {
        *driver = None;
    }
}
