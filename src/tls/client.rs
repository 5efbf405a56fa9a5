//! TLS towards an upstream.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{
    Certificate,
    alpn::{Alpn, ByAlpn, is_http2},
    failure::Failure,
    fault::{Cause, Fault, Faults},
    identity::{Identity, Remark},
    provider::{provider, versions},
    roots::{self, SystemRoots},
    watch::{Renew, Renewed, Watched},
};
use crate::config::{Endpoint, Traces, Upstream, UpstreamTls};

pub use tokio_rustls::client::TlsStream as ClientStream;

/// TLS towards an upstream, shared by all threads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<Client>);

#[derive(Debug)]
struct Client {
    place: String,
    settings: UpstreamTls,
    trusted: Trusted,
    current: ArcSwap<Made>,
}

/// Whose certificates the upstream may show.
#[derive(Debug)]
enum Trusted {
    /// Those of the system's authorities.
    System(Arc<RootCertStore>),
    /// Those of the authorities in this file.
    File(PathBuf),
}

/// What was made of the files.
#[derive(Debug)]
struct Made {
    configs: ByAlpn<ClientConfig>,
    identity: Option<Identity>,
}

/// TLS towards one endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EndpointTls {
    client: ClientTls,
    /// The name that it is asked for, and must bear; the text where no certificate can bear it.
    name: Result<ServerName<'static>, Arc<str>>,
}

impl ClientTls {
    /// Reads the files of an upstream.
    pub(super) fn new(
        upstream: &Upstream,
        system: &SystemRoots,
    ) -> Result<(Self, Watched), Faults> {
        let place = format!("upstreams.{}.tls", upstream.name);
        Self::read(place, upstream.tls.clone(), &upstream.endpoints, system)
    }

    /// Reads those of the collector of traces.
    pub(super) fn of_collector(
        traces: &Traces,
        system: &SystemRoots,
    ) -> Result<(Self, Watched), Faults> {
        let settings = UpstreamTls { ca: traces.ca.clone(), ..UpstreamTls::default() };
        let endpoints = std::slice::from_ref(&traces.collector.endpoint);
        Self::read("telemetry.traces".to_owned(), settings, endpoints, system)
    }

    fn read(
        place: String,
        settings: UpstreamTls,
        endpoints: &[Endpoint],
        system: &SystemRoots,
    ) -> Result<(Self, Watched), Faults> {
        let trusted = match &settings.ca {
            Some(file) => Ok(Trusted::File(file.clone())),
            None => system.get().map(Trusted::System),
        };
        let trusted = trusted.map_err(|cause| Fault::new(&place, "ca", cause).into());
        let names = check_names(&place, &settings, endpoints);
        let (trusted, ()) = Faults::both(trusted, names)?;
        let identity = settings.identity.iter().flat_map(|files| [&files.certificate, &files.key]);
        let watch = Watched::begin(identity.chain(&settings.ca).cloned().collect());
        let current = ArcSwap::from_pointee(Made::new(&place, &settings, &trusted)?);
        let client = Arc::new(Client { place, settings, trusted, current });
        Ok((Self(Arc::clone(&client)), watch.of(client)))
    }

    /// Whether these are its settings, and it can be asked for the names of all endpoints.
    pub(super) fn suits(&self, upstream: &Upstream) -> bool {
        self.0.settings == upstream.tls
            && check_names(&self.0.place, &upstream.tls, &upstream.endpoints).is_ok()
    }

    /// Whether both are one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What a new connection is to be made with.
    pub fn config(&self, alpn: Alpn) -> Arc<ClientConfig> {
        self.0.current.load().configs.get(alpn)
    }

    /// That towards an endpoint of this upstream. None where it takes plain text.
    pub fn towards(&self, endpoint: &Endpoint) -> Option<EndpointTls> {
        let name = name(&self.0.settings, endpoint);
        endpoint.is_tls().then(|| EndpointTls {
            client: self.clone(),
            name: ServerName::try_from(name.to_owned()).map_err(|_| name.into()),
        })
    }

    /// The certificate that the upstream is shown when it asks.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let not_after = self.0.current.load().identity.as_ref()?.not_after;
        Some(Certificate { place: self.0.place.clone(), not_after })
    }

    /// What is odd about the files.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        self.0.current.load().remarks()
    }
}

impl EndpointTls {
    /// Shakes hands with the endpoint. Takes as long as the endpoint does.
    ///
    /// # Errors
    /// The endpoint and we do not come together, or it speaks no HTTP/2 where nothing else will do.
    pub async fn connect<S>(&self, alpn: Alpn, stream: S) -> Result<ClientStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.name.clone().map_err(|name| Failure::of_name(&name))?;
        let connector = TlsConnector::from(self.client.config(alpn));
        let stream = connector.connect(name, stream).await.map_err(Failure::of_handshake)?;
        if alpn == Alpn::Http2 && !is_http2(stream.get_ref().1) {
            return Err(Failure::without_http2());
        }
        Ok(stream)
    }
}

impl Renew for Client {
    fn renew(&self) -> Result<Renewed, Faults> {
        let made = Arc::new(Made::new(&self.place, &self.settings, &self.trusted)?);
        self.current.store(Arc::clone(&made));
        let not_after = made.identity.as_ref().and_then(|identity| identity.not_after);
        Ok(Renewed { place: self.place.clone(), not_after, remarks: made.remarks() })
    }
}

impl Made {
    fn new(place: &str, settings: &UpstreamTls, trusted: &Trusted) -> Result<Self, Faults> {
        let roots = match trusted {
            Trusted::System(roots) => Ok(Arc::clone(roots)),
            Trusted::File(path) => roots::from_file(path),
        };
        let identity = settings.identity.as_ref();
        let (roots, identity) = Faults::both(
            roots.map_err(|cause| Fault::new(place, "ca", cause).into()),
            identity.map(|files| Identity::load(place, files)).transpose(),
        )?;
        let configs = configs(settings, roots, identity.as_ref())
            .map_err(|cause| Fault::new(place, "ca", cause))?;
        Ok(Self { configs, identity })
    }

    fn remarks(&self) -> Vec<Remark> {
        self.identity.iter().flat_map(|identity| identity.remarks.clone()).collect()
    }
}

fn configs(
    settings: &UpstreamTls,
    roots: Arc<RootCertStore>,
    identity: Option<&Identity>,
) -> Result<ByAlpn<ClientConfig>, Cause> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::clone(&identity.shown) as _),
    };
    Ok(ByAlpn::new(config, |config| &mut config.alpn_protocols))
}

/// The name that an endpoint is asked for.
fn name<'a>(settings: &'a UpstreamTls, endpoint: &'a Endpoint) -> &'a str {
    let written = settings.server_name.as_deref();
    // An IPv6 address stands in brackets in a URL, and in a certificate it does not.
    written.unwrap_or_else(|| endpoint.host_name()).trim_matches(['[', ']'])
}

fn check_names(place: &str, settings: &UpstreamTls, endpoints: &[Endpoint]) -> Result<(), Faults> {
    let endpoints = endpoints.iter().filter(|endpoint| endpoint.is_tls());
    let mut names = endpoints.map(|endpoint| name(settings, endpoint));
    match names.find(|name| ServerName::try_from(*name).is_err()) {
        Some(name) => Err(Fault::new(place, "server_name", Cause::Name(name.to_owned())).into()),
        None => Ok(()),
    }
}
