//! New connections to an endpoint, and what is spoken over them.

use super::{Asks, Endpoint};
use crate::{
    clock,
    config::Protocol,
    domain::outcome::Reason,
    proxy::{age::Age, h1::Outbound, h2::Line, patience::Patience, transport::Transport},
    tls::{self, Alpn, Failure},
    upstreams::{Leave, Socket},
};

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Http1,
    Http2,
}

/// What an endpoint is asked to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Only(Speech),
    /// What it likes best.
    Either,
}

/// A new connection.
pub(super) enum New {
    Http1(Box<Outbound>),
    Http2(Line),
}

impl Endpoint {
    /// What this request can be sent over.
    pub(super) fn offer(&self, asks: Asks) -> Offer {
        Offer::Only(match self.settings.protocol {
            _ if asks.is_upgrade => Speech::Http1,
            Protocol::Http2 => Speech::Http2,
            Protocol::Http1 => Speech::Http1,
            Protocol::Auto if self.tls.is_some() => return Offer::Either,
            // No gRPC server speaks anything else.
            Protocol::Auto if asks.is_grpc => Speech::Http2,
            Protocol::Auto => Speech::Http1,
        })
    }

    /// A connection for one call, or one that calls share.
    pub(super) async fn connection(
        &self,
        offer: Offer,
        patience: &Patience<'_>,
    ) -> Result<New, Reason> {
        if let Offer::Only(Speech::Http1) = offer {
            return self.dial(patience).await.map(New::Http1);
        }
        if let Some(line) = self.lines.take(patience.began) {
            return Ok(New::Http2(line));
        }
        // One at a time: those that come meanwhile will share it, unless the endpoint is known to
        // choose otherwise.
        let turn = self.lines.making.acquire().await.map_err(|_| Reason::Internal)?;
        if let Some(line) = self.lines.take(patience.began) {
            return Ok(New::Http2(line));
        }
        let alpn = match offer {
            Offer::Only(_) => Alpn::Http2,
            Offer::Either => Alpn::Any,
        };
        if offer == Offer::Either && self.chosen.get() == Some(Speech::Http1) {
            drop(turn);
        }
        let permit = match self.live.try_connection(&self.host) {
            Some(permit) => permit,
            // An old one is better than none.
            None => match self.lines.take_old() {
                Some(line) => return Ok(New::Http2(line)),
                None => self.live.connection(&self.host, patience.connect_until()).await?,
            },
        };
        let (stream, chosen) = self.stream(alpn).await?;
        self.chosen.set(Some(chosen));
        if chosen == Speech::Http1 {
            return Ok(New::Http1(Outbound::new(stream, self.age(), Some(permit))));
        }
        let line =
            Line::open(stream, self.age(), permit).await.map_err(|_| Reason::ConnectReset)?;
        self.lines.add(&line);
        Ok(New::Http2(line))
    }

    /// A connection for one call: a new one, or one that another call is done with.
    pub(super) async fn dial(&self, patience: &Patience<'_>) -> Result<Box<Outbound>, Reason> {
        let until = patience.connect_until();
        let permit = loop {
            if let Some(permit) = self.live.try_connection(&self.host) {
                break permit;
            }
            let leave =
                self.live.connection_or_kept::<Box<Outbound>>(&self.host, self.worker, until);
            match leave.await? {
                Leave::Make(permit) => break permit,
                // One that the upstream has closed in this moment gives its leave back.
                Leave::Use(mut connection) => {
                    if connection.is_quiet() {
                        return Ok(connection);
                    }
                }
            }
        };
        let (stream, _) = self.stream(Alpn::Http1).await?;
        Ok(Outbound::new(stream, self.age(), Some(permit)))
    }

    /// That of a connection that is made now.
    fn age(&self) -> Age {
        Age::begin(self.settings.pool.max_age, clock::now())
    }

    /// A stream to the endpoint, and what it is to carry.
    async fn stream(&self, alpn: Alpn) -> Result<(Transport, Speech), Reason> {
        let plain = if alpn == Alpn::Http1 { Speech::Http1 } else { Speech::Http2 };
        let stream = match (self.live.dial(&self.host).await?, &self.tls) {
            (Socket::Tcp(stream), Some(tls)) => match tls.connect(alpn, stream).await {
                Ok(stream) => stream,
                Err(failure) => return Err(self.tell(&failure)),
            },
            (Socket::Tcp(stream), None) => return Ok((Transport::Tcp(stream), plain)),
            (Socket::Unix(stream), _) => return Ok((Transport::Unix(stream), plain)),
        };
        self.is_told.set(false);
        let is_http2 = tls::is_http2(stream.get_ref().1);
        let stream = Transport::Tls(Box::new(stream.into()));
        Ok((stream, if is_http2 { Speech::Http2 } else { Speech::Http1 }))
    }

    /// Tells why the handshake failed, in words that the reason has not got.
    /// Once, until one succeeds: rows have the reason of every attempt.
    fn tell(&self, failure: &Failure) -> Reason {
        if !self.is_told.replace(true) {
            let endpoint = &**self.authority();
            tracing::warn!(endpoint, error = failure.words, "no TLS connection to an upstream");
        }
        failure.reason
    }

    /// Makes a connection within the time that there is for it.
    pub(super) async fn connecting<T>(
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
}
