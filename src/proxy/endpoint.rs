//! One address of an upstream, and its connections: those of HTTP/1.1, which carry a call each, and
//! those of HTTP/2, which calls share.

use std::{cell::Cell, pin::Pin, sync::Arc, time::Instant};

use futures_util::future::Either;
use http::{HeaderValue, uri::Scheme};

use super::{
    answer::Answer,
    fault,
    h1::{Arriving, Broken, Call, Outbound},
    h2::{self, Line, Lines},
    message::{Ask, Reply},
    own::Own,
    patience::Patience,
    pool::Pool,
    upload::{RequestBody, Upload},
};
use crate::{
    clock, config,
    domain::outcome::{Reason, Verdict},
    tls::{EndpointTls, Tls},
    upstreams::{Host, Live},
};

/// One address of an upstream.
#[derive(Debug)]
pub(super) struct Endpoint {
    live: Arc<Live>,
    host: Arc<Host>,
    scheme: Scheme,
    /// None where it takes plain text.
    tls: Option<EndpointTls>,
    settings: Arc<config::Upstream>,
    /// It is known that TLS with it fails.
    is_told: Cell<bool>,
    /// What it chose to speak, where that was its choice.
    chosen: Cell<Option<Speech>>,
    /// The thread that this is on.
    worker: usize,
    pool: Pool,
    lines: Lines,
}

/// What the endpoints of an upstream have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) live: Arc<Live>,
    pub(super) tls: Tls,
    pub(super) settings: Arc<config::Upstream>,
    /// The thread that they are on.
    pub(super) worker: usize,
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
    Nothing(Ask<RequestBody>),
    /// The upstream says that it has done nothing for it.
    Refused,
    /// Perhaps all of it.
    Something,
}

type Answered = Result<Reply<Answer>, Failed>;

mod connecting;

use connecting::{New, Offer, Speech};

impl Endpoint {
    pub(super) fn new(host: &Arc<Host>, common: &Common) -> Self {
        let settings = &common.settings;
        Self {
            live: Arc::clone(&common.live),
            host: Arc::clone(host),
            scheme: host.endpoint().uri.scheme().cloned().unwrap_or(Scheme::HTTP),
            tls: common.tls.of_endpoint(&settings.name, host.endpoint()),
            settings: Arc::clone(settings),
            is_told: Cell::new(false),
            chosen: Cell::new(None),
            worker: common.worker,
            pool: Pool::new(settings.pool),
            lines: Lines::new(&common.live),
        }
    }

    /// What all workers share of it.
    pub(super) const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// What holds for all endpoints of the upstream.
    pub(super) fn settings(&self) -> &config::Upstream {
        &self.settings
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

    /// Keeps a connection for the next call, unless somebody needs it, or the leave for it, now, or it
    /// is too old for another.
    pub(super) fn keep(&self, connection: Box<Outbound>, now: Instant) {
        if connection.is_worn(now) {
            return;
        }
        if let Some(connection) = self.live.keep(&self.host, self.worker, connection, now) {
            self.pool.put(connection, now);
        }
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.pool.sweep(now);
        self.lines.sweep(self.settings.pool.idle_timeout, now);
    }

    /// Closes a connection that is idle; whether there was one.
    pub(super) fn close_idle(&self) -> bool {
        self.pool.close_one() || self.lines.close_one()
    }

    /// Sends a request and waits for the response head.
    ///
    /// # Errors
    /// Why there is none. Timeouts of the upstream are among the reasons, and so is a fault of the
    /// caller's body.
    pub(super) fn send<'a>(
        &'a self,
        (request, own): (Ask<RequestBody>, Own<'a>),
        asks: Asks,
        upload: &'a Upload,
        patience: Patience<'a>,
    ) -> impl Future<Output = Answered> + 'a {
        if self.offer(asks) != Offer::Only(Speech::Http2)
            && let Some(connection) = self.pool.take(patience.began)
        {
            return Either::Left(self.send_again(
                connection,
                (request, own),
                asks,
                upload,
                patience,
            ));
        }
        // In a box because it is large and rare: every call would carry its room about.
        Either::Right(Box::pin(self.send_first((request, own), asks, upload, patience)))
    }

    /// Sends a request over a connection that has carried others. The upstream may have closed it
    /// in this moment: then the request goes over a new one, if that does no harm.
    fn send_again<'a>(
        &'a self,
        connection: Box<Outbound>,
        (request, own): (Ask<RequestBody>, Own<'a>),
        asks: Asks,
        upload: &'a Upload,
        patience: Patience<'a>,
    ) -> impl Future<Output = Answered> + 'a {
        // Encoded here, so that the request itself is not carried about.
        let mut call = Call::new(connection, request, own, asks.is_upgrade);
        async move {
            let ended = patience.wait(Pin::new(&mut call), upload).await;
            let is_stale = matches!(ended, Ok(Err(Broken::Connection)))
                && upload.fault.get().is_none()
                && call.can_resend(asks.is_idempotent);
            if is_stale {
                drop(ended);
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
        let connection = self.connecting(&patience, self.dial(&patience)).await;
        call.resend(connection.map_err(Failed::after_sending)?);
        patience.began = clock::now();
        answered(patience.wait(Pin::new(&mut call), upload).await, upload)
    }

    /// Sends a request over a connection that is made for it, or one that calls share. Of the latter
    /// it may turn out that it takes no more calls: then the request goes over the next one.
    async fn send_first(
        &self,
        (mut request, own): (Ask<RequestBody>, Own<'_>),
        asks: Asks,
        upload: &Upload,
        mut patience: Patience<'_>,
    ) -> Answered {
        let mut is_second = false;
        loop {
            let making = self.connection(self.offer(asks), &patience);
            let connection = self.connecting(&patience, making).await;
            patience.began = clock::now();
            let line = match connection {
                Ok(New::Http2(line)) => line,
                Ok(New::Http1(connection)) => {
                    let mut call = Call::new(connection, request, own, asks.is_upgrade);
                    return answered(patience.wait(Pin::new(&mut call), upload).await, upload);
                }
                Err(reason) => {
                    return Err(Failed { reason, reached: Reached::Nothing(request) });
                }
            };
            match self.send_stream(line, (request, own), upload, &patience).await {
                Err(Failed { reached: Reached::Nothing(back), .. }) if !is_second => {
                    (request, is_second) = (back, true);
                }
                ended => return ended,
            }
        }
    }

    /// Sends a request as a stream of this connection.
    async fn send_stream(
        &self,
        line: Line,
        (mut request, own): (Ask<RequestBody>, Own<'_>),
        upload: &Upload,
        patience: &Patience<'_>,
    ) -> Answered {
        let (mut sender, streaming) = self.lines.begin(line, &mut request.body);
        own.put(request.headers_mut());
        let request = h2::named(request, &self.scheme, self.name());
        let mut sending = Box::pin(sender.try_send_request(request));
        let ended = patience.wait(sending.as_mut(), upload).await;
        match ended.map_err(Failed::after_sending)? {
            Ok(response) => {
                let answer = |incoming| Answer::Http2 { incoming, _share: streaming };
                Ok(Reply::of(response).map(answer))
            }
            Err(mut failed) => Err(match failed.take_message() {
                Some(request) => {
                    let mut request = h2::unnamed(request);
                    own.take_back(request.headers_mut());
                    let reached = Reached::Nothing(request);
                    Failed { reason: Reason::ResetBeforeHeaders, reached }
                }
                None if fault::is_refused(failed.error()) => {
                    Failed { reason: Reason::ResetBeforeHeaders, reached: Reached::Refused }
                }
                None => Failed::after_sending(fault::of_stream(failed.error(), upload)),
            }),
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
fn answered(ended: Result<Result<Reply<Arriving>, Broken>, Reason>, upload: &Upload) -> Answered {
    let answer = ended.map_err(Failed::after_sending)?;
    match answer {
        Ok(response) => Ok(response.map(Answer::Http1)),
        Err(broken) => Err(Failed::after_sending(fault::of_send(broken, upload))),
    }
}
