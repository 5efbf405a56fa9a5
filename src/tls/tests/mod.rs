//! Both sides at once, in real handshakes with certificates that are made for them.

pub(crate) mod authority;
mod handshakes;
mod renewal;
mod setup;

use std::sync::Arc;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    join,
};

use super::{Alpn, EndpointTls, Failure, Faults, ServerTls, Tls, Watcher, is_http2};
use crate::{
    config::{self, Config, Environment, Source},
    domain::outcome::Reason,
};
use authority::Folder;

/// The name of the listener and of the upstream.
pub(crate) const NAME: &str = "payments";

/// What one side knows when both have heard from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Agreed {
    version: ProtocolVersion,
    http2: bool,
    resumed: bool,
    /// The other side's certificate.
    peer: Option<Vec<u8>>,
}

type Outcome = Result<Agreed, (Reason, String)>;

impl Agreed {
    fn of(session: &CommonState) -> Self {
        let peer = session.peer_certificates().and_then(|chain| chain.first());
        Self {
            version: session.protocol_version().unwrap(),
            http2: is_http2(session),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            peer: peer.map(|certificate| certificate.to_vec()),
        }
    }
}

/// A configuration of one listener and one upstream, whose files are in the folder.
pub(crate) fn config(folder: &Folder, listener: &str, endpoint: &str, upstream: &str) -> Config {
    let text = format!(
        "listeners: {{ {NAME}: {{ listen: 127.0.0.1:8080, upstream: {NAME}, tls: {listener} }} }}\n\
         upstreams: {{ {NAME}: {{ endpoints: [\"{endpoint}\"], tls: {upstream} }} }}"
    );
    let text = text.replace("DIR", folder.path().to_str().unwrap());
    let source = Source { name: "tls.yaml".to_owned(), text };
    config::load(&source, &Environment::default()).unwrap().config
}

/// A listener and a way to an upstream, which can be made to meet.
struct Pair {
    tls: Tls,
    watcher: Watcher,
    server: ServerTls,
    client: EndpointTls,
}

impl Pair {
    fn new(folder: &Folder, listener: &str, endpoint: &str, upstream: &str) -> Self {
        Self::try_new(folder, listener, endpoint, upstream).unwrap()
    }

    fn try_new(
        folder: &Folder,
        listener: &str,
        endpoint: &str,
        upstream: &str,
    ) -> Result<Self, Faults> {
        let config = config(folder, listener, endpoint, upstream);
        let (tls, watcher) = Tls::new(&config)?;
        let server = tls.of_listener(NAME).unwrap().clone();
        let client = tls.of_endpoint(NAME, &config.upstreams[NAME].endpoints[0]).unwrap();
        Ok(Self { tls, watcher, server, client })
    }

    /// How the client and the server see it.
    async fn meet(&self) -> (Outcome, Outcome) {
        let (near, far) = duplex(MIB);
        join!(dial(&self.client, Alpn::Any, near), answer(&self.server, Alpn::Any, far))
    }
}

const MIB: usize = 1 << 20;

/// The client's side: until it has heard from the server, which may refuse it late.
async fn dial(client: &EndpointTls, alpn: Alpn, stream: DuplexStream) -> Outcome {
    let stream = client.connect(alpn, stream).await;
    let mut stream = stream.map_err(|failure| (failure.reason, failure.words))?;
    exchange(&mut stream).await?;
    Ok(Agreed::of(stream.get_ref().1))
}

/// The server's side.
async fn answer(server: &ServerTls, alpn: Alpn, stream: DuplexStream) -> Outcome {
    let stream = server.accept(alpn, stream).await;
    let mut stream = stream.map_err(|failure| (failure.reason, failure.words))?;
    exchange(&mut stream).await?;
    Ok(Agreed::of(stream.get_ref().1))
}

/// Says a word and hears one.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), (Reason, String)> {
    let result = async {
        stream.write_all(b"word").await?;
        stream.flush().await?;
        stream.read_exact(&mut [0; 4]).await
    };
    let told = |error: std::io::Error| match Failure::within(&error) {
        Some(failure) => (failure.reason, failure.words),
        None => (Reason::ResetBeforeHeaders, error.to_string()),
    };
    result.await.map(drop).map_err(told)
}

/// What a failure must say.
fn assert_failed(outcome: &Outcome, reason: Reason, words: &str, what: &str) {
    let Err((actual, said)) = outcome else { panic!("{what}: {outcome:?}") };
    assert!(said.contains(words), "{what}: {said}");
    assert_eq!(*actual, reason, "{what}");
}

/// The first certificate of a text in PEM.
fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// Takes the settings of one side for itself, to be changed.
fn own<T: Clone>(config: Arc<T>) -> T {
    Arc::unwrap_or_clone(config)
}
