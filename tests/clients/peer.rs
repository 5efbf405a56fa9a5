//! A program that somebody else wrote, run as a process that does not outlive its test.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::JoinHandle,
    time::Duration,
};

use crate::local::{free_address, wait_until};

/// How long a program may take, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a program left behind that ran to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    /// What it printed; panics when it failed.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout).into_owned();
        assert_eq!(self.code, Some(0), "{text}\n{}", self.stderr);
        text
    }
}

/// Runs a program to its end; `input` is what it reads.
pub(crate) fn run(command: Command, input: Vec<u8>) -> Finished {
    run_within(PATIENCE, command, input)
}

/// The same with a time limit of its own.
pub(crate) fn run_within(limit: Duration, mut command: Command, input: Vec<u8>) -> Finished {
    let what = format!("{command:?} ends");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Peer(started(&mut command));
    let mut stdin = process.0.stdin.take().expect("it is piped");
    // It may end before it has read everything.
    let writing = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
    let stdout = read_all(process.0.stdout.take().expect("it is piped"));
    let stderr = read_all(process.0.stderr.take().expect("it is piped"));
    let status = wait_until(&what, limit, || process.0.try_wait().expect("it is our child"));
    writing.join().expect("it does not panic");
    let [stdout, stderr] = [stdout, stderr].map(|stream| stream.join().expect("it is readable"));
    Finished { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

/// A server, killed when it goes out of scope.
pub(crate) struct Peer(pub(crate) Child);

impl Peer {
    /// Starts it and waits until it listens.
    pub(crate) fn listening(mut command: Command, on: SocketAddr) -> Self {
        let what = format!("{command:?} listens on {on}");
        let mut peer = Self(started(command.stdin(Stdio::null())));
        wait_until(&what, PATIENCE, || {
            let ended = peer.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended ({ended:?}), so not: {what}");
            TcpStream::connect(on).ok()
        });
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts it, or says how it is installed.
pub(crate) fn started(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        panic!("{command:?} does not start ({error}); tests/run installs what is missing")
    })
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it is readable");
        bytes
    })
}

/// An nginx with these lines in its `http` block, in which `{listen}` stands for its address and
/// `{home}` for its directory.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    pub(crate) home: Home,
    _process: Peer,
}

impl Nginx {
    pub(crate) fn start(http: &str) -> Self {
        let (address, home) = (free_address(), Home::new("nginx"));
        let path = home.path().display().to_string();
        let http = http.replace("{listen}", &address.to_string()).replace("{home}", &path);
        let config = format!(
            "daemon off;
master_process off;
pid {path}/pid;
error_log {path}/errors;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {path}/bodies;
  proxy_temp_path {path}/answers;
  fastcgi_temp_path {path}/fastcgi;
  uwsgi_temp_path {path}/uwsgi;
  scgi_temp_path {path}/scgi;
  {http}
}}
"
        );
        fs::write(home.path().join("nginx.conf"), config).expect("the configuration is written");
        let mut command = Command::new("nginx");
        // Debian keeps it where only root looks.
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("-c").arg(home.path().join("nginx.conf")).stderr(Stdio::null());
        let process = Peer::listening(command, address);
        Self { address, home, _process: process }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A directory of one's own, removed in the end.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(whose: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("fusebox-{whose}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory of its own");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a file in it.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("the file is written");
        path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A script of `tests/clients/scripts`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/scripts").join(name)
}
