//! What all scenarios of a round share: a directory, a Postgres, and processes that end with it.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
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
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.home));
    }
}

/// A process that ends when its standard input does, and so with this program, however it went.
pub(crate) struct Process(Child);

/// Runs `$@` until its own input ends.
const KEEPER: &str = r#"
trap '' INT TERM HUP
"$@" &
read -r _
kill -KILL $!
"#;

impl Process {
    /// Starts a program that does not heed its input, and waits until it listens.
    pub(crate) fn kept(program: &Command, on: SocketAddr) -> Result<Self> {
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(program.get_program()).args(program.get_args());
        // Its settings are those that it is given, whatever this shell exports.
        keeper.env_clear();
        Self::listening(keeper, on)
    }

    /// Starts a program that does, and waits until it listens.
    pub(crate) fn listening(mut command: Command, on: SocketAddr) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let what = format!("{command:?} listens on {on}");
        let process = Self(command.spawn()?);
        wait_until(&what, START_LIMIT, || TcpStream::connect(on).ok());
        Ok(process)
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.0.stdin.as_mut().ok_or("its input is not piped")?;
        Ok(writeln!(input, "{line}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Fails only when it is gone already.
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
