//! What all scenarios of a round share: a directory, a Postgres, and processes that end with it.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{Result, local::wait_until, postgres::Server};

/// How long a process may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// See the module's text.
pub(crate) struct Lab {
    home: PathBuf,
    database: String,
    _server: Server,
}

impl Lab {
    pub(crate) fn open() -> Result<Self> {
        let server = Server::start();
        let database = server.database();
        let home = std::env::temp_dir().join(format!("fusebox-cascade-{}", std::process::id()));
        fs::create_dir_all(&home)?;
        Ok(Self { home, database, _server: server })
    }

    /// The URL of the database that all sidecars share.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// A path in this round's directory that nobody else uses.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        static MADE: AtomicU32 = AtomicU32::new(0);
        self.home.join(format!("{name}-{}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes a file.
    pub(crate) fn written(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.path(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Where processes run.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.home));
    }
}

/// A process that does not outlive its owner.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it and waits until it listens.
    pub(crate) fn listening(mut command: Command, on: SocketAddr) -> Result<Self> {
        let what = format!("{command:?} listens on {on}");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Self(command.spawn()?);
        let gone = wait_until(&what, START_LIMIT, || {
            if TcpStream::connect(on).is_ok() {
                return Some(None);
            }
            process.0.try_wait().ok().flatten().map(Some)
        });
        match gone {
            None => Ok(process),
            Some(status) => Err(format!("it ended ({status}), so not: {what}").into()),
        }
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.0.stdin.as_mut().ok_or("its input is not piped")?;
        Ok(writeln!(input, "{line}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A number from the environment, between 1 and an hour's worth.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
pub(crate) fn number(name: &str, default: u32) -> Result<u32> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    match text.parse() {
        Ok(number @ 1..=3_600) => Ok(number),
        _ => Err(format!("{name} must be a number from 1 to 3600, not {text:?}").into()),
    }
}
