//! A link to Postgres that breaks at the worst moments: around the COMMIT of a batch.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::JoinHandle,
};

/// What the end of a batch looks like on the wire: a statement, and COMMIT behind it.
const END: &[u8] = b"; commit\0";

/// What happens to one COMMIT after the other, over and over.
const FATES: [Fate; 6] =
    [Fate::Passes, Fate::Forgotten, Fate::Passes, Fate::Unheard, Fate::Abandoned, Fate::Passes];

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It passes, and so does the answer.
    Passes,
    /// It passes; the connection breaks when the answer comes.
    Forgotten,
    /// It passes; the connection breaks at once.
    Abandoned,
    /// The connection breaks before it.
    Unheard,
}

/// See the module docs.
pub(crate) struct ForgetfulLink {
    pub(crate) address: SocketAddr,
    commits: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl ForgetfulLink {
    /// A link to this port of loopback.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let commits = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&commits);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // While Postgres is away a connection ends as soon as it is made.
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await {
                    tokio::spawn(relay(near, far, Arc::clone(&seen)));
                }
            }
        });
        Self { address, commits, accepting }
    }

    /// The COMMITs that came by.
    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for ForgetfulLink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes bytes on until either side, or fate, ends the connection.
async fn relay(near: TcpStream, far: TcpStream, commits: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = near.into_split();
    let (mut from_server, mut to_server) = far.into_split();
    let mut buffer = vec![0; 64 * 1024];
    let fate = tokio::select! {
        fate = pass_on(&mut from_client, &mut to_server, &mut buffer, &commits) => fate,
        _ = copy(&mut from_server, &mut to_client) => Fate::Passes,
    };
    if fate == Fate::Forgotten {
        drop(from_server.read_u8().await);
    }
}

/// Passes on what the client says, until it ends or a COMMIT is to have a worse fate.
async fn pass_on(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut OwnedWriteHalf,
    buffer: &mut [u8],
    commits: &AtomicUsize,
) -> Fate {
    while let Ok(count @ 1..) = from.read(buffer).await {
        let said = &buffer[..count];
        let fate = match said.ends_with(END) {
            true => FATES[commits.fetch_add(1, Ordering::Relaxed) % FATES.len()],
            false => Fate::Passes,
        };
        if fate == Fate::Unheard || to.write_all(said).await.is_err() {
            return Fate::Unheard;
        }
        if fate != Fate::Passes {
            return fate;
        }
    }
    Fate::Passes
}
