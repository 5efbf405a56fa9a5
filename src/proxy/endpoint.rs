//! One address of an upstream, and its connections: those of HTTP/1.1, which carry a call each, and
//! those of HTTP/2, which calls share.

use std::{pin::Pin, sync::Arc, time::Instant};

use futures_util::future::Either;
use http::{
    HeaderValue, Request, Response, Uri, header,
    uri::{Authority, Scheme},
};

use super::{
    answer::Answer,
    fault,
    h1::{Arriving, Broken, Call, Connection},
    h2::{Line, Lines},
    patience::Patience,
    pool::Pool,
    transport::Transport,
    upload::{self, RequestBody, Upload},
};
use crate::{
    clock,
    config::{self, Protocol},
    domain::outcome::{Reason, Verdict},
    upstreams::{ConnectionPermit, Host, Live, Socket},
};

/// One address of an upstream.
#[derive(Debug)]
pub(super) struct Endpoint {
    live: Arc<Live>,
    host: Arc<Host>,
    scheme: Scheme,
    protocol: Protocol,
    pool: Pool,
    lines: Lines,
}

/// What a request asks of its connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asks {
    /// To become something else than HTTP.
    pub(super) is_upgrade: bool,
    /// To carry gRPC.
    pub(super) is_grpc: bool,
    /// Nothing, if it is sent twice.
    pub(super) is_idempotent: bool,
}

/// An attempt without an answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    pub(super) reached: Reached,
}

/// What of a request reached the upstream.
#[derive(Debug)]
pub(super) enum Reached {
    /// Nothing: here it is again.
    Nothing(Box<Request<RequestBody>>),
    /// The upstream says that it has done nothing for it.
    Refused,
    /// Perhaps all of it.
    Something,
}

type Answered = Result<Response<Answer>, Failed>;

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Http1,
    Http2,
}

/// A new connection.
enum New {
    Http1(Connection),
    Http2(Line),
}

impl Endpoint {
    pub(super) fn new(host: &Arc<Host>, live: &Arc<Live>, upstream: &config::Upstream) -> Self {
        Self {
            live: Arc::clone(live),
            host: Arc::clone(host),
            scheme: host.endpoint().uri.scheme().cloned().unwrap_or(Scheme::HTTP),
            protocol: upstream.protocol,
            pool: Pool::new(upstream.pool),
            lines: Lines::new(),
        }
    }

    /// What all workers share of it.
    pub(super) const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// `host:port`, for rows.
    pub(super) fn authority(&self) -> &Arc<str> {
        &self.host.endpoint().authority
    }

    /// What it is sent as Host.
    pub(super) fn name(&self) -> &HeaderValue {
        &self.host.endpoint().host
    }

    /// How an attempt went, for all workers.
    pub(super) fn record(&self, verdict: Verdict, now: Instant) {
        self.live.record(&self.host, verdict, now);
    }

    /// Keeps a connection for the next call, unless somebody waits for leave to make one.
    pub(super) fn keep(&self, connection: Connection, now: Instant) {
        if !self.live.is_hungry() {
            self.pool.put(connection, now);
        }
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.pool.sweep(now);
        self.lines.sweep();
    }

    /// Closes connections that are idle.
    pub(super) fn close_idle(&self) {
        self.pool.clear();
        self.lines.close_idle();
    }

    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// Why there is none. Timeouts of the upstream are among the reasons, and so is a fault of the
    /// caller's body.
    pub(super) fn send<'a>(
        &'a self,
        request: Request<RequestBody>,
        asks: Asks,
        upload: &'a Upload,
        patience: Patience<'a>,
    ) -> impl Future<Output = Answered> + 'a {
        if self.speech(asks) == Speech::Http1
            && let Some(connection) = self.pool.take(patience.began)
        {
            return Either::Left(self.send_again(connection, request, asks, upload, patience));
        }
        // In a box because it is large and rare: every call would carry its room about.
        Either::Right(Box::pin(self.send_first(request, asks, upload, patience)))
    }

    /// What this request is to be sent over.
    fn speech(&self, asks: Asks) -> Speech {
        match self.protocol {
            _ if asks.is_upgrade => Speech::Http1,
            Protocol::Http2 => Speech::Http2,
            // No gRPC server speaks anything else.
            Protocol::Auto if asks.is_grpc => Speech::Http2,
            Protocol::Http1 | Protocol::Auto => Speech::Http1,
        }
    }

    /// Sends a request over a connection that has carried others. The upstream may have closed it
    /// in this moment: then the request goes over a new one, if that does no harm.
    fn send_again<'a>(
        &'a self,
        connection: Connection,
        request: Request<RequestBody>,
        asks: Asks,
        upload: &'a Upload,
        patience: Patience<'a>,
    ) -> impl Future<Output = Answered> + 'a {
        // Encoded here, so that the request itself is not carried about.
        let mut call = Call::new(connection, request, asks.is_upgrade);
        async move {
            let ended = patience.wait(Pin::new(&mut call), upload).await;
            let is_stale = matches!(ended, Ok(Err(Broken::Connection)))
                && upload.fault.get().is_none()
                && call.can_resend(asks.is_idempotent);
            if is_stale {
                return Box::pin(self.resend(call, upload, patience)).await;
            }
            answered(ended, upload)
        }
    }

    /// Sends a request again, over a new connection.
    async fn resend(
        &self,
        mut call: Call<RequestBody>,
        upload: &Upload,
        mut patience: Patience<'_>,
    ) -> Answered {
        call.resend(self.dial(&patience).await.map_err(Failed::after_sending)?);
        patience.began = clock::now();
        answered(patience.wait(Pin::new(&mut call), upload).await, upload)
    }

    /// Sends a request over a connection that is made for it, or one that calls share.
    async fn send_first(
        &self,
        request: Request<RequestBody>,
        asks: Asks,
        upload: &Upload,
        mut patience: Patience<'_>,
    ) -> Answered {
        let connection = match self.speech(asks) {
            Speech::Http1 => self.dial(&patience).await.map(New::Http1),
            Speech::Http2 => self.line(&patience).await.map(New::Http2),
        };
        patience.began = clock::now();
        match connection {
            Ok(New::Http1(connection)) => {
                let mut call = Call::new(connection, request, asks.is_upgrade);
                answered(patience.wait(Pin::new(&mut call), upload).await, upload)
            }
            Ok(New::Http2(line)) => self.stream(line, request, upload, patience).await,
            Err(reason) => Err(Failed { reason, reached: Reached::Nothing(Box::new(request)) }),
        }
    }

    /// Sends a request as a stream of this connection.
    async fn stream(
        &self,
        line: Line,
        request: Request<RequestBody>,
        upload: &Upload,
        patience: Patience<'_>,
    ) -> Answered {
        let (mut sender, streaming) = line.begin();
        let request = named(request, &self.scheme, self.name());
        let mut sending = Box::pin(sender.try_send_request(request));
        let ended = patience.wait(sending.as_mut(), upload).await;
        match ended.map_err(Failed::after_sending)? {
            Ok(response) => Ok(response.map(|body| Answer::Http2(body, streaming))),
            Err(mut failed) => Err(match failed.take_message() {
                Some(request) => Failed {
                    reason: Reason::ResetBeforeHeaders,
                    reached: Reached::Nothing(Box::new(unnamed(request))),
                },
                None if fault::is_refused(failed.error()) => {
                    Failed { reason: Reason::ResetBeforeHeaders, reached: Reached::Refused }
                }
                None => Failed::after_sending(fault::of_stream(failed.error(), upload)),
            }),
        }
    }

    /// A connection that calls share: one that is there, or a new one.
    async fn line(&self, patience: &Patience<'_>) -> Result<Line, Reason> {
        match self.lines.take() {
            Some(line) => Ok(line),
            None => self.connecting(patience, self.make_line(patience)).await,
        }
    }

    async fn make_line(&self, patience: &Patience<'_>) -> Result<Line, Reason> {
        let _turn = self.lines.making.acquire().await.map_err(|_| Reason::Internal)?;
        // Somebody may have made one meanwhile.
        if let Some(line) = self.lines.take() {
            return Ok(line);
        }
        let (stream, permit) = self.socket(patience).await?;
        let line = Line::open(stream, permit).await.map_err(|_| Reason::ConnectReset)?;
        self.lines.add(&line);
        Ok(line)
    }

    async fn dial(&self, patience: &Patience<'_>) -> Result<Connection, Reason> {
        let dialling = async {
            let (stream, permit) = self.socket(patience).await?;
            Ok(Connection::new(stream, Some(permit)))
        };
        self.connecting(patience, dialling).await
    }

    /// Makes a connection within the time that there is for it.
    async fn connecting<T>(
        &self,
        patience: &Patience<'_>,
        making: impl Future<Output = Result<T, Reason>>,
    ) -> Result<T, Reason> {
        let made = patience.connect(making).await;
        if matches!(made, Err(Reason::ConnectTimeout)) {
            self.host.connect_failed();
        }
        made
    }

    async fn socket(
        &self,
        patience: &Patience<'_>,
    ) -> Result<(Transport, ConnectionPermit), Reason> {
        let permit = match self.live.try_connection(&self.host) {
            Some(permit) => permit,
            None => self.live.connection(&self.host, patience.connect_until()).await?,
        };
        let stream = match self.live.dial(&self.host).await? {
            Socket::Tcp(stream) => {
                // Without it a small request may wait for the acknowledgement of the one before.
                let _unsupported = stream.set_nodelay(true);
                Transport::Tcp(stream)
            }
            Socket::Unix(stream) => Transport::Unix(stream),
        };
        Ok((stream, permit))
    }
}

impl Reached {
    /// Takes what the caller still sends, unless it waits for leave to.
    pub(super) fn discard(self, upload: &Upload) {
        if let Self::Nothing(request) = self
            && !upload.is_on_hold.get()
        {
            upload::discard(request.into_body());
        }
    }
}

impl Failed {
    /// The request may have arrived.
    const fn after_sending(reason: Reason) -> Self {
        Self { reason, reached: Reached::Something }
    }
}

/// What came of a wait for an answer over HTTP/1.1.
fn answered(
    ended: Result<Result<Response<Arriving>, Broken>, Reason>,
    upload: &Upload,
) -> Answered {
    let answer = ended.map_err(Failed::after_sending)?;
    match answer {
        Ok(response) => Ok(response.map(Answer::Http1)),
        Err(broken) => Err(Failed::after_sending(fault::of_send(broken, upload))),
    }
}

/// The request as HTTP/2 wants it: the host in the target.
fn named(
    mut request: Request<RequestBody>,
    scheme: &Scheme,
    own: &HeaderValue,
) -> Request<RequestBody> {
    let host = request.headers_mut().remove(header::HOST);
    // It has no such field; what it names is said without.
    request.headers_mut().remove(header::CONNECTION);
    let host = host.as_ref().unwrap_or(own);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(scheme.clone());
    parts.authority = Authority::try_from(host.as_bytes()).ok();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}

/// The request as it was before that.
fn unnamed(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let host = parts.authority.take().and_then(|a| HeaderValue::try_from(a.as_str()).ok());
    host.map(|host| request.headers_mut().insert(header::HOST, host));
    parts.scheme = None;
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}
