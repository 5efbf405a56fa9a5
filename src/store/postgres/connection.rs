//! Making connections: where to, how protected, and the task that drives each.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    sync::broadcast,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Notification};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{tls, url};
use crate::{
    aws::{KeysError, token::SignIn},
    clock,
    config::Aws,
    store::Error,
};

/// Makes connections to one database.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
    /// Makes the password of each connection, where it is none that stays.
    sign_in: Option<SignIn>,
}

/// A connection and what arrives on it unasked.
pub(super) struct Link {
    pub(super) client: Client,
    /// Held by the driver alone, so that the channel closes with the connection.
    notices: broadcast::WeakSender<Notification>,
    driver: JoinHandle<()>,
}

impl Connector {
    /// Reads the URL and loads the certificates that it names.
    pub(super) fn new(url: &str, aws: &Arc<Aws>) -> Result<Self, Error> {
        let target = url::parse(url).map_err(|error| Error::Refused(error.into()))?;
        let tls = tls::connector(&target.tls).map_err(|error| Error::Refused(error.into()))?;
        let sign_in = target.iam.map(|it| SignIn::new(aws, &it.host, it.port, &it.user));
        let sign_in = sign_in.transpose().map_err(|error| Error::Refused(error.into()))?;
        Ok(Self { config: Arc::new(target.config), tls, sign_in })
    }

    /// The settings, for the pool.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Connects. The connection's own timeout covers TCP only, so the whole has another.
    pub(super) async fn connect(&self) -> Result<Link, Error> {
        let connecting = timeout(CONNECT_LIMIT, async {
            let config =
                self.signed_in().await.map_err(|error| Error::Unavailable(error.into()))?;
            Ok(self.connect_with(&config).await?)
        });
        connecting.await.map_err(|_| Error::too_slow())?
    }

    /// Connects for the pool, which has a limit of its own and knows no errors but the protocol's.
    /// Without a token the server asks for a password in vain, and the log says why there is none.
    pub(super) async fn connect_pooled(&self) -> Result<Link, tokio_postgres::Error> {
        let config = match self.signed_in().await {
            Ok(config) => config,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "no token to sign in to the database with");
                Arc::clone(&self.config)
            }
        };
        self.connect_with(&config).await
    }

    /// The settings of one connection: a token is made anew for each.
    async fn signed_in(&self) -> Result<Arc<Config>, KeysError> {
        let Some(sign_in) = &self.sign_in else { return Ok(Arc::clone(&self.config)) };
        let token = sign_in.token(clock::wall_us()).await?;
        let mut config = Config::clone(&self.config);
        config.password(token.expose());
        Ok(Arc::new(config))
    }

    async fn connect_with(&self, config: &Config) -> Result<Link, tokio_postgres::Error> {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let (sender, _) = broadcast::channel(MAX_NOTICES);
        let notices = sender.downgrade();
        Ok(Link { client, notices, driver: tokio::spawn(drive(connection, sender)) })
    }

    /// Asks the server to give up on what the client waits for, in the background.
    pub(super) fn cancel(&self, client: &Client) {
        // Asked from drops, the last of which may come when the runtime is gone.
        let Ok(runtime) = Handle::try_current() else { return };
        let token = client.cancel_token();
        let tls = self.tls.clone();
        runtime.spawn(async move {
            // It may have ended meanwhile, or the server is away: there is nothing else to do.
            drop(timeout(CONNECT_LIMIT, token.cancel_query(tls)).await);
        });
    }
}

impl Link {
    /// What is notified from now on. Closed when the connection is.
    pub(super) fn notices(&self) -> Option<broadcast::Receiver<Notification>> {
        Some(self.notices.upgrade()?.subscribe())
    }

    /// The parts that a pool asks for.
    pub(super) fn into_parts(self) -> (Client, JoinHandle<()>) {
        (self.client, self.driver)
    }
}

/// Moves bytes until the connection ends, and hands on what is notified.
async fn drive<S, T>(mut connection: Connection<S, T>, notices: broadcast::Sender<Notification>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            // Nobody listens on most connections, and then it is nobody's.
            Ok(AsyncMessage::Notification(notice)) => drop(notices.send(notice)),
            Ok(AsyncMessage::Notice(notice)) => {
                tracing::debug!(notice = notice.message(), "the database says something");
            }
            Ok(_) => {}
            Err(error) => {
                // Whoever waits for an answer gets the error too and handles it.
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a connection to the database broke");
                return;
            }
        }
    }
}

/// How long connecting, TLS and the password may take together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Notices that wait for their reader; each only says "look", so the oldest may go.
const MAX_NOTICES: usize = 16;
