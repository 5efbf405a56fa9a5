//! A Fusebox of one's own: the real binary with its own ports, directory and environment.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use super::{
    client::{Connection, Response, get},
    command,
};
use crate::local::{free_address, signal, wait_until};

/// How long a start, a stop or anything else of the process may take, on a machine that is so busy
/// that Postgres does not answer within the time that Fusebox gives it, and is asked again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a Fusebox is told before it starts.
pub(crate) struct Setup {
    service: String,
    yaml: String,
    database: String,
    drain_quiet: String,
    program: PathBuf,
    /// Its own, where none is named.
    data_dir: Option<PathBuf>,
    env: Vec<(String, String)>,
}

impl Setup {
    /// Listeners and upstreams as YAML. In it `{proxy}` stands for the address of the listener
    /// that the test calls and `{port}` for its port; directories and the store are added.
    pub(crate) fn of(yaml: impl Into<String>) -> Self {
        let service = "orders".to_owned();
        // A stop is quick where nothing is said of it.
        let (yaml, drain_quiet) = (yaml.into(), "0s".to_owned());
        let (database, data_dir, env) = (String::new(), None, Vec::new());
        let program = command::ours();
        Self { service, yaml, database, drain_quiet, program, data_dir, env }
    }

    /// One listener that takes everything to one upstream, `payments`, with these further keys of
    /// the upstream, a line each.
    pub(crate) fn payments(url: &str, keys: &[&str]) -> Self {
        Self::payments_at(&[url], keys)
    }

    /// The same with several endpoints.
    pub(crate) fn payments_at(urls: &[&str], keys: &[&str]) -> Self {
        let mut yaml = format!(
            "listeners:\n  egress: {{ listen: \"{{proxy}}\", upstream: payments }}\n\
             upstreams:\n  payments:\n    endpoints: [\"{}\"]\n",
            urls.join("\", \"")
        );
        for key in keys {
            yaml.push_str(&format!("    {key}\n"));
        }
        Self::of(yaml)
    }

    /// One listener with these limits that takes everything to one upstream, `payments`.
    pub(crate) fn limited(url: &str, limits: &str) -> Self {
        Self::of(format!(
            "listeners:\n  egress: {{ listen: \"{{proxy}}\", upstream: payments, limits: {limits} }}\n\
             upstreams:\n  payments: {{ endpoints: [\"{url}\"] }}\n"
        ))
    }

    /// Beside this service instead of `orders`.
    pub(crate) fn service(mut self, name: &str) -> Self {
        name.clone_into(&mut self.service);
        self
    }

    /// With this Postgres; without, the embedded store.
    pub(crate) fn database(mut self, url: &str) -> Self {
        url.clone_into(&mut self.database);
        self
    }

    /// With this key at the top of the configuration.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.yaml = format!("{line}\n{}", self.yaml);
        self
    }

    /// Waiting for calls of the service until there have been none for so long.
    pub(crate) fn drain_quiet(mut self, duration: &str) -> Self {
        duration.clone_into(&mut self.drain_quiet);
        self
    }

    /// By this binary of a version before, which knows no keys that came later.
    pub(crate) fn by_previous(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self.drain_quiet.clear();
        self
    }

    /// With this data directory, which stays when it is gone.
    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// With this in its environment, which is empty otherwise.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Fusebox {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("fusebox-{}-{number}", std::process::id()));
        fs::create_dir_all(&home).expect("a directory of its own");
        let (proxy, admin) = (free_address(), free_address());
        let data_dir = self.data_dir.unwrap_or_else(|| home.join("data"));
        let quiet = match self.drain_quiet.as_str() {
            "" => String::new(),
            quiet => format!("drain_quiet: {quiet}\n"),
        };
        let yaml = format!(
            "service: {}\nadmin: {{ listen: \"{admin}\" }}\ndata_dir: {}\n\
             database: {{ url: \"{}\" }}\n{quiet}{}",
            self.service,
            data_dir.display(),
            self.database,
            self.yaml
                .replace("{proxy}", &proxy.to_string())
                .replace("{port}", &proxy.port().to_string()),
        );
        fs::write(home.join("config.yaml"), yaml).expect("the configuration is written");
        let mut fusebox = Fusebox {
            proxy,
            admin,
            home,
            data_dir,
            program: self.program,
            env: self.env,
            lines: Arc::default(),
            process: None,
        };
        fusebox.restart();
        fusebox
    }
}

/// A running Fusebox, killed when it goes out of scope.
pub(crate) struct Fusebox {
    /// Where calls go.
    pub(crate) proxy: SocketAddr,
    /// Its admin port.
    pub(crate) admin: SocketAddr,
    home: PathBuf,
    data_dir: PathBuf,
    program: PathBuf,
    env: Vec<(String, String)>,
    /// What it printed on stdout, over all its starts.
    lines: Arc<Mutex<Vec<String>>>,
    process: Option<Child>,
}

impl Fusebox {
    /// Starts it again with the same configuration, ports and directory.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        let mut command = command::bare(&self.program);
        command.arg("run").arg("--config").arg(self.home.join("config.yaml"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let errors = fs::File::create(self.home.join("stderr")).expect("a file for its errors");
        let mut process =
            command.stdout(Stdio::piped()).stderr(errors).spawn().expect("the binary starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        self.process = Some(process);
        wait_until("Fusebox is ready", PATIENCE, || {
            let ended = self.process.as_mut()?.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended ({ended:?}): {}", self.said());
            let is_up = std::net::TcpStream::connect(self.admin).is_ok();
            (is_up && get(self.admin, "/ready", &[]).status == 200).then_some(())
        });
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> String {
        self.home.join("config.yaml").display().to_string()
    }

    /// Writes its configuration anew, as editors do: another file, renamed over it.
    pub(crate) fn edit(&self, change: impl FnOnce(&str) -> String) {
        let (path, new) = (self.config(), self.home.join("new.yaml"));
        let text = fs::read_to_string(&path).map(|text| fs::write(&new, change(&text)));
        text.and_then(|_written| fs::rename(new, path)).expect("the configuration is written");
    }

    /// Where its journal is.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// A connection to the listener.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.proxy)
    }

    /// One call on a connection of its own.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        get(self.proxy, path, headers)
    }

    /// `data` of an answer of the admin port.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let response = get(self.admin, path, &[]);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let mut envelope = response.json();
        assert_eq!(envelope["success"], Value::Bool(true), "{envelope}");
        envelope["data"].take()
    }

    /// One breaker as the admin port shows it.
    pub(crate) fn breaker(&self, name: &str) -> Value {
        self.ask("/api/v1/circuit-breakers")[name].take()
    }

    /// Its state.
    pub(crate) fn state(&self, name: &str) -> String {
        self.breaker(name)["state"].as_str().expect("a state is a text").to_owned()
    }

    /// Waits until a breaker is in a state, and returns all states seen on the way.
    pub(crate) fn wait_for_state(&self, name: &str, state: &str, limit: Duration) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        wait_until(&format!("{name} reads {state}"), limit, || {
            let current = self.state(name);
            if seen.last() != Some(&current) {
                seen.push(current);
            }
            (seen.last().map(String::as_str) == Some(state)).then_some(())
        });
        seen
    }

    /// Waits for the row of a call with this correlation id, and before that for tables.
    pub(crate) fn row(&self, id: &str) -> Value {
        wait_until(&format!("the row of {id}"), PATIENCE, || {
            let page = get(self.admin, &format!("/api/v1/tasks?correlationId={id}"), &[]);
            assert!([200, 503].contains(&page.status), "{}", page.text());
            page.json()["data"]["tasks"].as_array_mut()?.pop()
        })
    }

    /// Everything it printed on stdout so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line of JSON on stdout.
    pub(crate) fn wait_for_line(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, PATIENCE, || {
            let parsed =
                self.lines().into_iter().filter_map(|line| serde_json::from_str(&line).ok());
            parsed.into_iter().find(|line| is_it(line))
        })
    }

    /// Kills it as the system does when memory runs out.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is our child");
            process.wait().expect("it is our child");
        }
    }

    /// Lets it open so many files and no more; those that it has open stay.
    pub(crate) fn limit_files(&self, limit: u32) {
        self.limit(&format!("--nofile={limit}:1024"));
    }

    /// Lets no file that it writes become longer.
    pub(crate) fn limit_file_bytes(&self, limit: u64) {
        self.limit(&format!("--fsize={limit}:"));
    }

    fn limit(&self, limit: &str) {
        let process = self.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, limit]).status();
        assert!(status.expect("prlimit starts").success());
    }

    /// Asks it to stop and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        signal(self.process.as_ref().expect("it runs").id(), "TERM");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        wait_until("Fusebox ends", PATIENCE, || process.try_wait().expect("it is our child"))
    }

    /// Asks it to stop and waits.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait_for_end()
    }

    /// Both of its streams, for messages.
    fn said(&self) -> String {
        let errors = fs::read_to_string(self.home.join("stderr")).unwrap_or_default();
        format!("{errors}\n{}", self.lines().join("\n"))
    }
}

impl Drop for Fusebox {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            // Shown by the test runner with the failure.
            let said = self.said();
            eprintln!("what Fusebox said:\n{said}");
        }
        drop(fs::remove_dir_all(&self.home));
    }
}
