//! Which version of HTTP is spoken within TLS, as both sides agree while they shake hands (ALPN).

use std::sync::Arc;

use rustls::CommonState;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What is offered or accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpn {
    /// HTTP/2, and HTTP/1.1 with those that do not speak it.
    #[default]
    Any,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let protocols: &[&[u8]] = match self {
            Self::Any => &[HTTP2, HTTP1],
            Self::Http1 => &[HTTP1],
            Self::Http2 => &[HTTP2],
        };
        protocols.iter().map(|protocol| protocol.to_vec()).collect()
    }
}

/// Whether both sides agreed on HTTP/2. Those that agreed on nothing speak HTTP/1.1.
pub fn is_http2(session: &CommonState) -> bool {
    session.alpn_protocol() == Some(HTTP2)
}

/// A configuration for each choice. They share all but the offer.
#[derive(Debug)]
pub(super) struct ByAlpn<T> {
    any: Arc<T>,
    http1: Arc<T>,
    http2: Arc<T>,
}

impl<T: Clone> ByAlpn<T> {
    /// `offers` is where a configuration holds its protocols.
    pub(super) fn new(config: T, offers: impl Fn(&mut T) -> &mut Vec<Vec<u8>>) -> Self {
        let with = |alpn: Alpn| {
            let mut config = config.clone();
            *offers(&mut config) = alpn.protocols();
            Arc::new(config)
        };
        Self { any: with(Alpn::Any), http1: with(Alpn::Http1), http2: with(Alpn::Http2) }
    }

    pub(super) fn get(&self, alpn: Alpn) -> Arc<T> {
        Arc::clone(match alpn {
            Alpn::Any => &self.any,
            Alpn::Http1 => &self.http1,
            Alpn::Http2 => &self.http2,
        })
    }
}
