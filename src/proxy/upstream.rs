//! An upstream as one worker sees it: endpoints in turn, connections reused or made.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use futures_util::future::Either;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::{net::TcpStream, time::timeout};

use super::{
    alarm::Alarm,
    body::{self, RequestBody, Upload},
    fault,
    h1::{Arriving, Call, Connection},
    pool::Pool,
};
use crate::{breakers::Circuit, clock, config, domain::outcome::Reason};

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) circuit: Arc<Circuit>,
    pub(super) timeouts: config::Timeouts,
    /// Statuses that the breaker counts as failures.
    pub(super) failure_statuses: Vec<StatusCode>,
    endpoints: Vec<Endpoint>,
    /// Whose turn it is.
    next: Cell<usize>,
}

/// One address of an upstream.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// `host:port`, for rows.
    pub(super) authority: Arc<str>,
    /// What it is sent as Host.
    pub(super) host: HeaderValue,
    address: Address,
    pool: Pool,
}

#[derive(Debug)]
enum Address {
    /// Written as numbers: nothing to resolve.
    Ip(SocketAddr),
    /// Resolved for every new connection.
    Name(String, u16),
}

/// How long one call waits for its upstream.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    pub(super) timeouts: &'a config::Timeouts,
    /// When the sending began.
    pub(super) began: Instant,
    /// When the total timeout is over.
    pub(super) deadline: Instant,
    /// The connection's, borrowed while it is polled only.
    pub(super) alarm: &'a RefCell<Alarm>,
}

impl Upstream {
    pub(super) fn new(settings: &config::Upstream, circuit: Arc<Circuit>) -> Self {
        Self {
            circuit,
            timeouts: settings.timeouts,
            failure_statuses: settings.breaker.failure_statuses.clone(),
            endpoints: settings.endpoints.iter().map(|e| Endpoint::new(e, settings.pool)).collect(),
            next: Cell::new(fastrand::usize(..settings.endpoints.len().max(1))),
        }
    }

    /// The endpoint whose turn it is, and its place.
    pub(super) fn turn(&self) -> usize {
        let at = self.next.get();
        self.next.set((at + 1) % self.endpoints.len().max(1));
        at
    }

    /// The endpoint at this place.
    pub(super) fn endpoint(&self, at: usize) -> &Endpoint {
        &self.endpoints[at]
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.endpoints.iter().for_each(|endpoint| endpoint.pool.sweep(now));
    }
}

impl Endpoint {
    fn new(settings: &config::Endpoint, pool: config::Pool) -> Self {
        let host = settings.uri.host().unwrap_or_default();
        let port = settings.uri.port_u16().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = match bare.parse() {
            Ok(ip) => Address::Ip(SocketAddr::new(ip, port)),
            Err(_) => Address::Name(host.to_owned(), port),
        };
        Self {
            authority: Arc::clone(&settings.authority),
            host: settings.host.clone(),
            address,
            pool: Pool::new(pool),
        }
    }

    /// Keeps a connection for the next call.
    pub(super) fn keep(&self, connection: Connection, now: Instant) {
        self.pool.put(connection, now);
    }

    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// Why there is none. Timeouts of the upstream are among the reasons, and so is a fault of the
    /// caller's body.
    pub(super) fn send(
        &self,
        request: Request<RequestBody>,
        upload: &Upload,
        patience: Patience<'_>,
    ) -> impl Future<Output = Result<Response<Arriving>, Reason>> {
        match self.pool.take(patience.began) {
            Some(connection) => Either::Left(patience.answer(connection, request, upload)),
            // In a box because it is large and rare: every call would carry its room about.
            None => Either::Right(Box::pin(self.send_first(request, upload, patience))),
        }
    }

    /// Sends a request over a connection that is made for it.
    async fn send_first(
        &self,
        request: Request<RequestBody>,
        upload: &Upload,
        mut patience: Patience<'_>,
    ) -> Result<Response<Arriving>, Reason> {
        let connection = match self.connect(&patience).await {
            Ok(connection) => connection,
            Err(reason) => {
                if !upload.is_on_hold.get() {
                    body::discard(request.into_body());
                }
                return Err(reason);
            }
        };
        patience.began = clock::now();
        patience.answer(connection, request, upload).await
    }

    async fn connect(&self, patience: &Patience<'_>) -> Result<Connection, Reason> {
        let limit = patience.timeouts.connect;
        let left = patience.deadline.saturating_duration_since(clock::now());
        let reason = if limit <= left { Reason::ConnectTimeout } else { Reason::TimeoutTotal };
        let stream = timeout(limit.min(left), self.dial()).await.map_err(|_| reason)??;
        // Without it a small request may wait for the acknowledgement of the one before.
        let _unsupported = stream.set_nodelay(true);
        Ok(Connection::new(stream))
    }

    async fn dial(&self) -> Result<TcpStream, Reason> {
        let (host, port) = match &self.address {
            Address::Ip(address) => {
                return TcpStream::connect(address)
                    .await
                    .map_err(|error| Reason::of_connect(&error));
            }
            Address::Name(host, port) => (host.as_str(), *port),
        };
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Reason::of_lookup(&error))?;
        let mut failed = Reason::DnsFailure;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = Reason::of_connect(&error),
            }
        }
        Err(failed)
    }
}

impl Patience<'_> {
    /// Sends a request over this connection and waits for the response head.
    fn answer(
        self,
        connection: Connection,
        request: Request<RequestBody>,
        upload: &Upload,
    ) -> impl Future<Output = Result<Response<Arriving>, Reason>> {
        // Encoded here, so that the request itself is not carried about.
        let mut call = Call::new(connection, request);
        async move {
            let answer = self.wait(Pin::new(&mut call), upload).await?;
            answer.map_err(|broken| fault::of_send(broken, upload))
        }
    }

    /// Waits for the response head: until the deadline, and for `first_byte` from when the sending
    /// began, or from when the caller's body has been sent.
    async fn wait<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = T>>,
        upload: &Upload,
    ) -> Result<T, Reason> {
        let first_byte_after = |moment: Instant| moment.max(self.began) + self.timeouts.first_byte;
        let mut now = self.began;
        loop {
            // While the caller is still sending, look again later: its own idle limit is watching.
            let until = first_byte_after(upload.done_at.get().unwrap_or(now)).min(self.deadline);
            if let Some(head) = self.before(until, sending.as_mut()).await {
                return Ok(head);
            }
            now = clock::now();
            if now >= self.deadline {
                return Err(upload.or_caller(Reason::TimeoutTotal));
            }
            if upload.done_at.get().is_some_and(|done| now >= first_byte_after(done)) {
                return Err(Reason::TimeoutFirstByte);
            }
        }
    }

    /// What the future says, or none when the moment comes first.
    async fn before<T>(
        &self,
        moment: Instant,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        self.alarm.borrow_mut().set(moment);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.alarm.borrow_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{Alarm, Patience, Upload};
    use crate::{clock, config::Timeouts, domain::outcome::Reason};
    use std::{cell::RefCell, future::pending, pin::pin, time::Duration};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_first_byte_begins_when_the_connection_is_there() {
        let (upload, asked) = (Upload::default(), clock::now());
        let alarm = RefCell::new(Alarm::new(asked));
        let timeouts = Timeouts {
            connect: SECOND,
            first_byte: 2 * SECOND,
            total: 60 * SECOND,
            body_idle: SECOND,
            attempt: None,
            tunnel_idle: SECOND,
        };
        upload.done_at.set(Some(asked));
        tokio::time::advance(10 * SECOND).await;
        let (began, deadline) = (clock::now(), asked + 60 * SECOND);
        let patience = Patience { timeouts: &timeouts, began, deadline, alarm: &alarm };
        let waited = patience.wait(pin!(pending::<()>()), &upload).await;
        assert_eq!(waited, Err(Reason::TimeoutFirstByte));
        let late = clock::now() - (asked + 12 * SECOND);
        assert!(late <= Duration::from_millis(2), "{late:?}");
    }
}
