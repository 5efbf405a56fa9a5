//! A Postgres whose data stays for the next run.
//!
//! As in the tests a small shell keeps it, and stops it when this program is gone, however it went.
//! Unlike there it is a careful server: every commit is synced to disk.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    Result,
    postgres::{bin_dir, free_port, unprivileged},
};

/// A running server.
pub(crate) struct Server {
    keeper: Child,
    port: u16,
}

/// `$1` is the home, `$2` the port. Ends when its input does, by stopping the server.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cd "$1" || exit 1
umask 077
if [ ! -f data/made ]; then
    rm -rf data
    initdb -D data -U postgres -A trust -E UTF8 --locale=C >log 2>&1 || exit 1
    cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 1GB
maintenance_work_mem = 512MB
max_wal_size = 4GB
wal_level = minimal
max_wal_senders = 0
END
    touch data/made
fi
pg_ctl -D data -l log -o "-p $2" -w -t 300 start >/dev/null 2>&1 && echo done || echo failed
read -r _
pg_ctl -D data -m fast -w -t 300 stop >/dev/null 2>&1
"#;

impl Server {
    /// Starts the server whose data is in `home`, or makes it.
    pub(crate) fn start(home: &Path) -> Result<Self> {
        let port = free_port();
        let mut keeper = Command::new("sh");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin_dir().display());
        keeper.args(["-c", KEEPER, "keeper"]).arg(home).arg(port.to_string()).env("PATH", path);
        if let Some((uid, gid)) = unprivileged() {
            chown(home, Some(uid), Some(gid))?;
            keeper.uid(uid).gid(gid);
        }
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut keeper = keeper.spawn()?;
        let mut answer = String::new();
        if let Some(out) = keeper.stdout.take() {
            BufReader::new(out).read_line(&mut answer)?;
        }
        let server = Self { keeper, port };
        if answer.trim() == "done" {
            return Ok(server);
        }
        let log = fs::read_to_string(home.join("log")).unwrap_or_default();
        Err(format!("Postgres does not start: {log}").into())
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Where the data is kept: below the directory that this program was built into.
pub(crate) fn home() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|path| path.ends_with("target"));
    let home = target.ok_or("this program is not below target/")?.join("history-bench");
    fs::create_dir_all(&home)?;
    Ok(home)
}
