//! The composition root: builds the parts from the configuration, runs them, stops them in order.
//!
//! Boring on purpose: parse, build (binds the ports), announce, wait, drain.

mod advising;
mod current;
mod emf;
mod file;
mod identity;
mod ledger;
mod numbers;
mod orphans;
mod reloading;
mod renewal;
mod reports;
mod running;
mod store_thread;
mod telling;
mod view;
mod waiting;
mod watching;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
};

use http::uri::InvalidUri;

use crate::{
    breakers::Breakers,
    checks::{Checks, HealthBoard},
    clock,
    config::{Config, Listen, Listener, Origin, Workers},
    history::{
        Recorder, Writer,
        journal::{Journal, KEPT, Limits, home::Home},
    },
    proxy::socket::{self, Sockets},
    shutdown::Signals,
    store::{self, Stores},
    telemetry::log::{self, Labels, Sink},
    tls::{self, Tls},
    upstreams::Upstreams,
};
use running::Running;

/// What keeps Fusebox from starting.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The data directory cannot be used.
    #[error(
        "the data directory {path} (`data_dir`, or `--data-dir` without a file) cannot be used"
    )]
    DataDir {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: store::BoxError,
    },
    /// The log file cannot be opened.
    #[error("the log file cannot be opened")]
    LogFile(#[source] io::Error),
    /// A port cannot be listened on.
    #[error("cannot listen on {address} ({name})")]
    Bind {
        /// The listener's name.
        name: String,
        /// Its address.
        address: Listen,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store's settings are wrong.
    #[error("the database cannot be used")]
    Store(#[source] store::Error),
    /// The certificates, keys and authorities of the configuration cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] tls::Faults),
    /// The path of a health check is none.
    #[error("a health check cannot be made")]
    Check(#[source] InvalidUri),
}

/// Everything built and bound, nothing running.
pub struct App {
    config: Arc<Config>,
    warnings: Vec<String>,
    workers: usize,
    sockets: Vec<(Listener, Sockets)>,
    admin: TcpListener,
    identity: store::Identity,
    stores: Stores,
    breakers: Arc<Breakers>,
    recorder: Recorder,
    writer: Writer,
    /// Where the configuration can be read again.
    origin: Option<Origin>,
    checks: Checks,
    board: HealthBoard,
    certificates: tls::Watcher,
    upstreams: Arc<Upstreams>,
    tls: Tls,
    sink: Sink,
}

/// Makes the data directory ours. Without a database it holds the store, and cannot be done without.
fn establish(config: &Config) -> Result<(store::Identity, Home), BuildError> {
    let path = || config.data_dir.display().to_string();
    let (identity, home) = identity::establish(config)
        .map_err(|error| BuildError::DataDir { path: path(), source: error.into() })?;
    match home.segments() {
        Err(why) if config.database.url.is_none() => {
            Err(BuildError::DataDir { path: path(), source: why.into() })
        }
        _ => Ok((identity, home)),
    }
}

/// The way of calls into history, through the journal in our home.
fn history(
    home: Home,
    identity: &store::Identity,
    lanes: usize,
    config: &Config,
) -> (Recorder, Writer) {
    let limits = Limits { spool_max_bytes: config.history.spool_max_bytes, kept: KEPT };
    let directory = home.segments().is_ok().then(|| config.data_dir.clone());
    let journal = Journal::open(home, identity.origin(), lanes, limits);
    Recorder::new(lanes, journal, &config.history, directory)
}

/// Listens for calls, with so many threads, and for questions.
fn bind(
    config: &Config,
    workers: usize,
) -> Result<(Vec<(Listener, Sockets)>, TcpListener), BuildError> {
    let failed = |name: &str, address: Listen| {
        let name = name.to_owned();
        |source| BuildError::Bind { name, address, source }
    };
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        let opened = Sockets::open(&listener.listen, workers)
            .map_err(failed(&listener.name, listener.listen.clone()))?;
        sockets.push((listener.clone(), opened));
    }
    let admin = socket::listen_tcp(config.admin.listen, 1)
        .map_err(failed("admin", Listen::Tcp(config.admin.listen)))?
        .remove(0);
    Ok((sockets, admin))
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("service", &self.config.service).finish_non_exhaustive()
    }
}

impl App {
    /// Builds the parts and binds the ports. `warnings` are those of the configuration.
    ///
    /// # Errors
    /// See [`BuildError`]. A store that is away is none.
    pub fn build(config: Config, mut warnings: Vec<String>) -> Result<Self, BuildError> {
        let (tls, certificates) = Tls::new(&config).map_err(BuildError::Tls)?;
        warnings.extend(tls.remarks().iter().map(ToString::to_string));
        let workers = match config.workers {
            Workers::Count(count) => count.get(),
            Workers::Auto => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        let (identity, home) = establish(&config)?;
        let (sockets, admin) = bind(&config, workers)?;
        let stores = store::open(&config.database, &config.data_dir, identity.clone())
            .map_err(BuildError::Store)?;
        let breakers = Breakers::new(config.circuits(), config.breakers_enabled);
        // One lane more than workers, for the checks.
        if let Some(place) = &stores.place
            && let Err(error) = home.mark(place)
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "the data directory cannot be marked: nobody will adopt its rows"
            );
        }
        let (recorder, writer) = history(home, &identity, workers + 1, &config);
        let lane = recorder.lane(workers);
        let board = HealthBoard::default();
        let checks = Checks::new(config.upstreams.values(), &tls, &breakers, &lane, &board)
            .map_err(BuildError::Check)?;
        let upstreams = Upstreams::new(config.upstreams.values(), clock::now());
        let sink = log::start(&config.logs, Labels::of(&config)).map_err(BuildError::LogFile)?;
        let config = Arc::new(config);
        Ok(Self {
            config,
            warnings,
            workers,
            sockets,
            admin,
            identity,
            stores,
            breakers,
            recorder,
            writer,
            origin: None,
            checks,
            board,
            certificates,
            upstreams,
            tls,
            sink,
        })
    }

    /// The same, whose configuration is read again from there when it changes.
    pub fn of(self, origin: Option<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// Where calls come in, by listener, and where the admin port is: as really bound.
    pub fn addresses(&self) -> (Vec<(String, Listen)>, Option<SocketAddr>) {
        let bound = self
            .sockets
            .iter()
            .filter_map(|(listener, sockets)| Some((listener.name.clone(), sockets.place()?)));
        (bound.collect(), self.admin.local_addr().ok())
    }

    /// Runs until the first signal, then drains; a second one cuts the drain short.
    ///
    /// # Errors
    /// A part cannot be started, or a thread of the data plane failed.
    pub async fn run(self, mut signals: Signals) -> io::Result<()> {
        identity::find_out(&self.config, &self.identity);
        let mut running = Running::start(self).await?;
        let mut asked = running.asked_to_drain();
        let failed = tokio::select! {
            signal = signals.next() => {
                running.tell_drain(signal);
                None
            }
            Ok(_) = asked.wait_for(|asked| *asked) => {
                running.tell_drain("the admin port");
                None
            }
            error = running.failed() => Some(error),
        };
        running.stop(signals.next()).await;
        failed.map_or(Ok(()), Err)
    }
}
