//! A real Postgres for tests: its own cluster in a temporary directory, gone when the tests are.
//!
//! A small shell, the *keeper*, starts and stops the server on our word and holds the other end of
//! a pipe. However the test process ends, a panic or a kill included, the pipe breaks, and the
//! keeper stops the server and removes the directory. The server speaks TLS with a certificate of
//! its own authority for `localhost` and demands a password, so that both can be tested; it never
//! syncs to disk.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The password of the superuser `postgres`.
pub(crate) const PASSWORD: &str = "right-horse";

/// A running server.
pub(crate) struct Server {
    home: PathBuf,
    port: u16,
    bin: PathBuf,
    keeper: Mutex<Keeper>,
}

struct Keeper {
    shell: Child,
    /// Open until it is dropped.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// The server that all tests of this binary share. For tests that leave it alone.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, for tests that stop it.
    pub(crate) fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("fusebox-pg-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home).expect("a directory for the server");
        let owner = unprivileged();
        if let Some((uid, gid)) = owner {
            chown(&home, Some(uid), Some(gid)).expect("the directory belongs to the server");
        }
        let port = free_port();
        let bin = bin_dir();
        let keeper = Mutex::new(keep(&home, &bin, port, owner));
        Self { home, port, bin, keeper }
    }

    /// Makes an empty database and returns its URL.
    pub(crate) fn database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &["-c", &format!("create database {name}")]);
        self.url(&name)
    }

    /// The URL of a database, without TLS.
    pub(crate) fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Runs `psql` on a database, over the socket, and returns what it printed: bare values.
    ///
    /// # Panics
    /// When `psql` fails; the message says why.
    pub(crate) fn psql(&self, database: &str, args: &[&str]) -> String {
        let output = Command::new(tool(&self.bin, "psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"])
            .args(["-d", database, "-p", &self.port.to_string(), "-h"])
            .arg(&self.home)
            .env("PGPASSWORD", PASSWORD)
            .args(args)
            .output()
            .expect("psql starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql {args:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The certificate of the authority that the server's own is signed by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.home.join("ca.pem")
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as a crash would. Its data stays.
    pub(crate) fn stop(&self) {
        self.order("stop");
    }

    /// Kills all its processes: nothing is finished, and nobody is told.
    pub(crate) fn kill9(&self) {
        self.order("murder");
    }

    /// Starts it again after [`Server::stop`] or [`Server::kill9`].
    pub(crate) fn resume(&self) {
        self.order("start");
    }

    /// Copies its data as it runs, as a standby has them that lags from now on.
    pub(crate) fn copy(&self) {
        self.order("copy");
    }

    /// Stops it as a crash would, and starts the copy in its place.
    pub(crate) fn fail_over(&self) {
        self.order("fail_over");
    }

    /// Starts a standby that every commit waits for, and returns its port.
    pub(crate) fn stand_by(&self) -> u16 {
        let port = free_port();
        self.order(&format!("stand_by {port}"));
        port
    }

    /// Stops the server as a crash would, and makes its standby the one that writes.
    pub(crate) fn promote(&self) {
        self.order("promote");
    }

    /// What a query prints at another port of this server's home: bare values.
    pub(crate) fn psql_at(&self, port: u16, database: &str, sql: &str) -> String {
        let output = Command::new(tool(&self.bin, "psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-c", sql])
            .args(["-d", database, "-p", &port.to_string(), "-h"])
            .arg(&self.home)
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql starts");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn order(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = keeper.orders.as_mut().expect("open until dropped");
        writeln!(orders, "{word}").expect("the keeper listens");
        keeper.wait_for_done(&self.home);
    }
}

impl Keeper {
    fn wait_for_done(&mut self, home: &Path) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        let log = || fs::read_to_string(home.join("log")).unwrap_or_default();
        assert_eq!(answer.trim(), "done", "the server's log: {}", log());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        drop(self.shell.wait());
    }
}

/// What the keeper runs. `$1` is the home, `$2` the port; the tools are on its PATH.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cd "$1" || exit 1
port=$2
make() {
    umask 077
    openssl ecparam -genkey -name prime256v1 -out ca.key
    openssl req -x509 -key ca.key -subj /CN=authority -days 2 -out ca.pem
    openssl ecparam -genkey -name prime256v1 -out server.key
    openssl req -new -key server.key -subj /CN=localhost -out server.csr
    echo subjectAltName=DNS:localhost >names
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
        -days 2 -extfile names -out server.pem
    chmod 644 ca.pem && chmod 755 .
    initdb -D data -U postgres -A scram-sha-256 --pwfile=password -E UTF8 --locale=C -N
    cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = '$PWD'
max_connections = 200
fsync = off
full_page_writes = off
ssl = on
ssl_cert_file = '$PWD/server.pem'
ssl_key_file = '$PWD/server.key'
END
}
start() { pg_ctl -D data -l log -w -t 60 start; }
stop() { pg_ctl -D data -m immediate -w stop; }
copy() {
    PGPASSWORD=$(cat password) pg_basebackup -D copy -X fetch -c fast -h "$PWD" -p "$port" -U postgres
}
fail_over() { stop && rm -rf lost && mv data lost && mv copy data && start; }
stand_by() {
    PGPASSWORD=$(cat password) pg_basebackup -D standby -X stream -c fast -R -h "$PWD" -p "$port" -U postgres
    echo "port = $1" >>standby/postgresql.auto.conf
    pg_ctl -D standby -l standby.log -w -t 60 start || return
    echo "synchronous_standby_names = '*'" >>data/postgresql.auto.conf
    pg_ctl -D data reload
}
promote() {
    stop
    echo "synchronous_standby_names = ''" >>standby/postgresql.auto.conf
    pg_ctl -D standby reload && pg_ctl -D standby -w -t 60 promote
}
# The parent is held meanwhile, so that it cannot clean up behind its children. Whoever is gone has
# no executable any more, whether or not somebody asked for its end.
murder() {
    parent=$(head -n 1 data/postmaster.pid)
    kill -STOP "$parent"
    family=$(grep -ls "^PPid:[[:space:]]*$parent\$" /proc/[0-9]*/status | cut -d / -f 3)
    kill -KILL $family "$parent"
    for one in $family $parent; do while [ -e "/proc/$one/exe" ]; do sleep 0.05; done; done
    rm -f data/postmaster.pid .s.PGSQL.*
}
make "$2" >make.log 2>&1 && start >/dev/null 2>&1 && echo done || { cat make.log >>log; echo failed; }
while read -r word argument; do "$word" $argument >/dev/null 2>&1 && echo done || echo failed; done
stop >/dev/null 2>&1
[ ! -d standby ] || pg_ctl -D standby -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$1"
"#;

fn keep(home: &Path, bin: &Path, port: u16, owner: Option<(u32, u32)>) -> Keeper {
    fs::write(home.join("password"), PASSWORD).expect("the password file");
    let mut command = Command::new("sh");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    command.args(["-c", KEEPER, "keeper"]).arg(home).arg(port.to_string()).env("PATH", path);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut shell = command.spawn().expect("sh starts");
    let orders = shell.stdin.take();
    let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
    let mut keeper = Keeper { shell, orders, answers };
    keeper.wait_for_done(home);
    keeper
}

/// Postgres refuses to run as root; then its user is the system's `postgres`, or else `nobody`.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids_of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    };
    is_root.then(|| ids_of("postgres").or_else(|| ids_of("nobody")).expect("a user to run as"))
}

/// The newest Postgres that the distribution installed, else whatever the PATH has.
pub(crate) fn bin_dir() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").exists())
        .max_by_key(|bin| bin.parent().and_then(Path::file_name)?.to_str()?.parse::<u32>().ok())
        .unwrap_or_else(|| PathBuf::from("/usr/local/bin"))
}

fn tool(bin: &Path, name: &str) -> PathBuf {
    let there = bin.join(name);
    if there.exists() { there } else { PathBuf::from(name) }
}

/// Below the ports that the system hands out, and those of other tests, so that it is still free
/// when the server comes back.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 8_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(61);
    let mut ports = (0..COUNT).filter_map(|_| {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        u16::try_from(FIRST + offset).ok()
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("a free port")
}
