//! TLS of a listener.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::{
    Certificate,
    alpn::{Alpn, ByAlpn},
    failure::Failure,
    fault::{Cause, Fault, Faults},
    identity::{Identity, Remark},
    provider::{provider, versions},
    roots,
    watch::{Renew, Renewed, Watched},
};
use crate::config::ListenerTls;

pub use tokio_rustls::server::TlsStream as ServerStream;

/// TLS of a listener, shared by its threads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<Server>);

#[derive(Debug)]
struct Server {
    place: String,
    settings: ListenerTls,
    current: ArcSwap<Made>,
}

/// What was made of the files.
#[derive(Debug)]
struct Made {
    configs: ByAlpn<ServerConfig>,
    identity: Identity,
}

impl ServerTls {
    /// Reads the files of the settings at `place` of the configuration.
    pub(super) fn new(place: String, settings: &ListenerTls) -> Result<(Self, Watched), Faults> {
        let files = [Some(&settings.identity.certificate), Some(&settings.identity.key)];
        let files = files.into_iter().chain([settings.client_ca.as_ref()]).flatten();
        let watch = Watched::begin(files.cloned().collect());
        let made = Made::new(&place, settings)?;
        let current = ArcSwap::from_pointee(made);
        let server = Arc::new(Server { place, settings: settings.clone(), current });
        Ok((Self(Arc::clone(&server)), watch.of(server)))
    }

    /// Whether these are its settings.
    pub(super) fn suits(&self, settings: &ListenerTls) -> bool {
        self.0.settings == *settings
    }

    /// What a new connection is to be accepted with.
    pub fn config(&self, alpn: Alpn) -> Arc<ServerConfig> {
        self.0.current.load().configs.get(alpn)
    }

    /// Shakes hands with a caller. Takes as long as the caller does.
    ///
    /// # Errors
    /// The caller and we do not come together. The reason is an upstream's, and means nothing here.
    pub async fn accept<S>(&self, alpn: Alpn, stream: S) -> Result<ServerStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config(alpn)).accept(stream).await.map_err(Failure::of_handshake)
    }

    /// The certificate that new callers are shown.
    pub(super) fn certificate(&self) -> Certificate {
        let not_after = self.0.current.load().identity.not_after;
        Certificate { place: self.0.place.clone(), not_after }
    }

    /// What is odd about the files.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        self.0.current.load().identity.remarks.clone()
    }
}

impl Renew for Server {
    fn renew(&self) -> Result<Renewed, Faults> {
        let made = Arc::new(Made::new(&self.place, &self.settings)?);
        self.current.store(Arc::clone(&made));
        let Identity { not_after, remarks, .. } = &made.identity;
        Ok(Renewed { place: self.place.clone(), not_after: *not_after, remarks: remarks.clone() })
    }
}

impl Made {
    fn new(place: &str, settings: &ListenerTls) -> Result<Self, Faults> {
        let authorities = |path: &PathBuf| {
            roots::from_file(path).map_err(|cause| Fault::new(place, "client_ca", cause).into())
        };
        let (identity, authorities) = Faults::both(
            Identity::load(place, &settings.identity),
            settings.client_ca.as_ref().map(authorities).transpose(),
        )?;
        let configs = configs(settings, &identity, authorities)
            .map_err(|cause| Fault::new(place, "certificate", cause))?;
        Ok(Self { configs, identity })
    }
}

fn configs(
    settings: &ListenerTls,
    identity: &Identity,
    authorities: Option<Arc<RootCertStore>>,
) -> Result<ByAlpn<ServerConfig>, Cause> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))?;
    let mut config = builder
        .with_client_cert_verifier(verifier(authorities)?)
        .with_cert_resolver(Arc::clone(&identity.shown) as _);
    // Of this making alone: who resumes is not asked for a certificate again, and must not bring
    // one that the files no longer admit.
    config.ticketer = Ticketer::new()?;
    Ok(ByAlpn::new(config, |config| &mut config.alpn_protocols))
}

fn verifier(authorities: Option<Arc<RootCertStore>>) -> Result<Arc<dyn ClientCertVerifier>, Cause> {
    let Some(authorities) = authorities else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    WebPkiClientVerifier::builder_with_provider(authorities, provider())
        .build()
        .map_err(|error| Cause::Rustls(rustls::Error::General(error.to_string())))
}
