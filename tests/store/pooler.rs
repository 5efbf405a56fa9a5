//! The real store through PgBouncer in transaction mode, where each transaction may get another
//! connection of the server.

use std::{
    fs,
    net::TcpStream,
    os::unix::{fs::chown, process::CommandExt},
    process::{Child, Command, Stdio},
    time::Duration,
};

use fusebox::{
    domain::{breaker::State, learn::rollup::deltas},
    store::{Error, HistoryStore, Kind, RollupQuery, Stores, TaskQuery, open},
};

use crate::{
    fixture::{
        Directory, OPENING, Store, call, database, failed_call, first_step, identity, put_at, trip,
    },
    local::{free_address, wait_until},
    postgres::{PASSWORD, Server, unprivileged},
};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

const INSTANCES: usize = 6;
const BATCHES: usize = 8;

/// A pooler in front of the shared server, with two connections for everybody.
struct Pooler {
    keeper: Child,
    port: u16,
    _directory: Directory,
}

/// `$1` is the configuration. Ends when its input does, and the pooler with it.
const KEEPER: &str = "trap '' INT TERM HUP; pgbouncer -q \"$1\" & read -r _; kill -KILL $!; wait";

impl Pooler {
    fn start() -> Self {
        let directory = Directory::new();
        fs::create_dir_all(&directory.0).expect("a directory for the pooler");
        let (listen, server) = (free_address(), Server::shared().port());
        let file = directory.0.join("pgbouncer.ini");
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres password={PASSWORD}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n\
             logfile = {}\n",
            listen.port(),
            directory.0.join("log").display()
        );
        fs::write(&file, configuration).expect("the pooler's configuration");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&file).env("PATH", "/usr/sbin:/usr/bin:/bin");
        if let Some((uid, gid)) = unprivileged() {
            for path in [&directory.0, &file] {
                chown(path, Some(uid), Some(gid)).expect("they belong to the pooler");
            }
            keeper.uid(uid).gid(gid);
        }
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = keeper.spawn().expect("sh starts");
        wait_until("pgbouncer listens (is it installed?)", Duration::from_secs(20), || {
            TcpStream::connect(listen).ok()
        });
        Self { keeper, port: listen.port(), _directory: directory }
    }

    /// Opens the store through the pooler, as an instance of this name.
    fn open(&self, store: &Store, instance: &str) -> Stores {
        let url = store.database.url.as_ref().expect("it is Postgres").expose();
        let url = url.replace(&Server::shared().port().to_string(), &self.port.to_string());
        open(&database(Some(url)), store.data_dir(), identity("test", instance)).expect("it opens")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

#[tokio::test]
async fn history_is_written_read_and_kept_up_through_a_pooler() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::start();
    let instances: Vec<Stores> =
        (0..INSTANCES).map(|n| pooler.open(&store, &format!("instance-{n}"))).collect();
    // All at once, so that they take the server's two connections from each other all the time.
    let busy = instances.iter().map(|stores| busy(&*stores.history));
    futures_util::future::join_all(busy).await;

    let history = &*instances[0].history;
    let page = TaskQuery { limit: 500, ..TaskQuery::default() };
    assert_eq!(history.tasks(&page).await.unwrap().len(), INSTANCES * BATCHES * 2);
    let calls = (INSTANCES * BATCHES) as u64;
    for _ in 0..2 {
        let totals = history.totals(&RollupQuery::default()).await.unwrap();
        assert_eq!(totals.iter().map(|(_, sum)| sum.count).sum::<u64>(), calls * 4);
        assert_eq!(totals.iter().map(|(_, sum)| sum.stored).sum::<u64>(), calls * 2);
        history.maintain(DAYS).await.unwrap();
    }
    let left = "select string_agg(distinct resolution, ' ') from task_rollup";
    assert_eq!(store.psql(left), "minute", "upkeep has merged them");
}

async fn busy(history: &dyn HistoryStore) {
    history.maintain(DAYS).await.expect("upkeep");
    for _ in 0..BATCHES {
        let (step, rows) = (first_step(), [call(600), failed_call(900)]);
        let deltas = deltas("orders", &rows, &rows);
        put_at(history, step, &rows, &deltas).await.expect("written");
        let again = put_at(history, step, &rows, &deltas).await;
        assert!(matches!(again, Err(Error::CursorMoved)), "{again:?}");
        let one = TaskQuery { id: Some(rows[1].id), limit: 2, ..TaskQuery::default() };
        assert_eq!(history.tasks(&one).await.expect("rows").len(), 1);
    }
}

#[tokio::test]
async fn breakers_are_shared_through_a_pooler_and_hints_are_not_relied_on() {
    let store = Store::new(Kind::Postgres).await;
    let pooler = Pooler::start();
    let [a, b] = ["a", "b"].map(|name| pooler.open(&store, name).state);
    trip(&*a, 0, OPENING).await;
    let seen = b.breakers(Duration::from_secs(60)).await.unwrap();
    assert_eq!(seen[0].row.state, State::Open);
    assert!(b.subscribe().await.unwrap().is_none(), "the pooler swallows notifications");
}
