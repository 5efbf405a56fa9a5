//! A pooler in front of a server of one's own, in transaction mode.

use std::{
    fs,
    net::TcpStream,
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    local::{free_address, wait_until},
    postgres::{PASSWORD, Server, unprivileged},
};

/// A running PgBouncer with a few connections for everybody, gone when it goes out of scope.
pub(crate) struct Pooler {
    keeper: Child,
    directory: PathBuf,
    /// Where the server is, and where the pooler.
    ports: [u16; 2],
}

/// Two for each of thousands of instances.
const MAX_CLIENTS: u32 = 10_000;

/// `$1` is the configuration. Ends when its input does, and the pooler with it.
const KEEPER: &str = "trap '' INT TERM HUP; pgbouncer -q \"$1\" & read -r _; kill -KILL $!; wait";

impl Pooler {
    /// In front of this server, with two connections.
    pub(crate) fn of(server: &Server) -> Self {
        Self::with(2, server)
    }

    /// In front of this server, with so many connections.
    pub(crate) fn with(connections: u32, server: &Server) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("fusebox-pooler-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory for the pooler");
        let (listen, server) = (free_address(), server.port());
        let file = directory.join("pgbouncer.ini");
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres password={PASSWORD}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
             max_client_conn = {MAX_CLIENTS}\nlogfile = {}\n",
            listen.port(),
            directory.join("log").display()
        );
        fs::write(&file, configuration).expect("the pooler's configuration");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&file).env("PATH", "/usr/sbin:/usr/bin:/bin");
        if let Some((uid, gid)) = unprivileged() {
            for path in [&directory, &file] {
                chown(path, Some(uid), Some(gid)).expect("they belong to the pooler");
            }
            keeper.uid(uid).gid(gid);
        }
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = keeper.spawn().expect("sh starts");
        wait_until("pgbouncer listens (is it installed?)", Duration::from_secs(20), || {
            TcpStream::connect(listen).ok()
        });
        Self { keeper, directory, ports: [server, listen.port()] }
    }

    /// The URL of a database of the server, through the pooler.
    pub(crate) fn url(&self, direct: &str) -> String {
        let [server, pooler] = self.ports.map(|port| format!(":{port}/"));
        direct.replace(&server, &pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}
