//! An upstream that remembers the id of every call that reached it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// One in so many calls is answered late, so that some are under way at any moment.
const LATE_ONE_IN: u64 = 8;
/// How late at most.
const LATE: Duration = Duration::from_millis(40);

/// See the module docs.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_failing: AtomicBool,
    calls: AtomicU64,
    /// The task ids, by the order in which they came.
    seen: Mutex<Vec<String>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::<Shared>::default();
        let for_connections = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&for_connections)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it answers 500 from now on.
    pub(crate) fn fails(&self, is_failing: bool) {
        self.shared.is_failing.store(is_failing, Relaxed);
    }

    /// The task ids of all calls so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut late = tokio::time::interval(LATE);
    let mut id = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, value)) = line.split_once(": ").filter(|(name, _)| *name == "x-task-id") {
            id = Some(value.to_owned());
        }
        if !line.is_empty() {
            continue;
        }
        let seen = id.take().expect("Fusebox gives each call an id");
        shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        if shared.calls.fetch_add(1, Relaxed).is_multiple_of(LATE_ONE_IN) {
            late.tick().await;
        }
        let status = if shared.is_failing.load(Relaxed) { 500 } else { 200 };
        let answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: 2\r\n\r\nok");
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
