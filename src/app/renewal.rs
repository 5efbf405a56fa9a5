//! Another configuration while calls go on: read, prepared, and only then put into force.
//!
//! Whatever can fail comes first and changes nothing: the file, its certificates, the addresses of
//! new listeners. After that only two things can come between: the end of the process, and a thread
//! without files left, which says so and goes on without the listener. Calls in flight end with the
//! configuration that they began with; what circuits, hosts and counters know is kept where they
//! stay.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use super::{
    current::Current,
    running::{ended, until},
    waiting,
};
use crate::{
    admin::view::LastReload,
    checks::{Checks, HealthBoard},
    clock,
    config::{Config, Listener, Loaded, Origin, Problem},
    history::Lane,
    learning::waits::Waits,
    proxy::{Floor, Shared, socket::Sockets},
    tls::{self, Tls},
};

/// What can be said where there is nothing to read.
const NO_FILE: &str = "there is no file to read again: the configuration is from the command line, \
                       standard input or FUSEBOX_CONFIG";

/// A listener that was taken away has left its address within this, and how often that is looked for.
const LEFT_WITHIN: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(50);

/// What came of reading the configuration again, up to now.
#[derive(Debug, Clone, Default)]
pub(super) struct Reloads {
    /// The last time.
    pub(super) last: Option<LastReload>,
    /// Keys whose new values wait for the next start.
    pub(super) needs_restart: Vec<&'static str>,
    /// How often it could be used, and how often not.
    pub(super) good: u64,
    pub(super) bad: u64,
}

/// What others know of the configuration in force, and are told of the next.
pub(super) struct Known {
    pub(super) current: watch::Sender<Arc<Current>>,
    pub(super) reloads: watch::Sender<Reloads>,
    pub(super) floor: Floor,
    /// What the threads of the data plane share.
    pub(super) shared: Shared,
    pub(super) waits: Arc<Waits>,
}

/// What is running by a configuration, and is to run by another.
pub(super) struct Renewal {
    pub(super) known: Known,
    pub(super) board: HealthBoard,
    /// Where checks record.
    pub(super) lane: Lane,
    pub(super) checking: Part,
    pub(super) certifying: Part,
}

/// A background task that is run anew for another configuration.
pub(super) struct Part {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Part {
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(watch::Receiver<bool>) -> F,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(run(stopped)) }
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        ended(self.task.await);
    }
}

/// Another configuration with all that it needs.
struct Prepared {
    config: Arc<Config>,
    warnings: Vec<Problem>,
    needs_restart: Vec<&'static str>,
    tls: Tls,
    certificates: tls::Watcher,
    /// Of new listeners.
    sockets: Vec<(Listener, Sockets)>,
}

/// Why a configuration cannot be put into force.
struct Fault {
    words: String,
    problems: Vec<Problem>,
}

impl Fault {
    fn of(words: impl std::fmt::Display) -> Self {
        Self { words: words.to_string(), problems: Vec::new() }
    }
}

impl Renewal {
    /// Reads the configuration again and puts it into force if it can be used; tells the log.
    pub(super) async fn reload(&mut self, origin: Option<&Origin>, trigger: &'static str) {
        let prepared = self.prepared(origin).await;
        self.conclude(prepared, trigger).await;
    }

    /// Does the same if the file has changed between its first reading and now; says nothing if not.
    pub(super) async fn catch_up(&mut self, origin: &Origin, trigger: &'static str) {
        let prepared = self.prepared(Some(origin)).await;
        let running = Arc::clone(&self.known.current.borrow().config);
        let is_same = |new: &Prepared| *new.config == *running && new.needs_restart.is_empty();
        if !prepared.as_ref().is_ok_and(is_same) {
            self.conclude(prepared, trigger).await;
        }
    }

    async fn conclude(&mut self, prepared: Result<Prepared, Fault>, trigger: &'static str) {
        let at_us = clock::wall_us();
        let (fault, problems) = match prepared {
            Ok(prepared) => {
                let problems = prepared.warnings.clone();
                self.put_into_force(prepared, trigger).await;
                (None, problems)
            }
            Err(Fault { words, problems }) => {
                tracing::error!(
                    trigger,
                    report = words,
                    "the configuration was changed and cannot be used: the last good one counts"
                );
                (Some(words), problems)
            }
        };
        self.known.reloads.send_modify(|reloads| {
            *(if fault.is_none() { &mut reloads.good } else { &mut reloads.bad }) += 1;
            reloads.last = Some(LastReload { at_us, trigger, fault, problems });
        });
    }

    async fn prepared(&self, origin: Option<&Origin>) -> Result<Prepared, Fault> {
        let Some(origin) = origin.cloned() else { return Err(Fault::of(NO_FILE)) };
        let current = Arc::clone(&self.known.current.borrow());
        // Files may be on volumes that are away.
        let prepared = spawn_blocking(move || prepare(&origin, &current)).await;
        let mut prepared = prepared.unwrap_or_else(|error| Err(Fault::of(error)))?;
        for listener in self.known.floor.missing(&prepared.config) {
            let opened = open(&self.known.floor, &listener).await.map_err(|error| {
                let (name, place) = (&listener.name, &listener.listen);
                Fault::of(format!("listeners.{name}.listen: cannot listen on {place}: {error}"))
            })?;
            prepared.sockets.push((listener, opened));
        }
        Ok(prepared)
    }

    async fn put_into_force(&mut self, prepared: Prepared, trigger: &'static str) {
        let Prepared { config, warnings, needs_restart, tls, certificates, sockets } = prepared;
        let (before, now) = (Arc::clone(&self.known.current.borrow()), clock::now());
        for warning in &warnings {
            tracing::warn!(%warning, "configuration");
        }
        self.known.reloads.send_modify(|reloads| reloads.needs_restart.clone_from(&needs_restart));
        let waiting = needs_restart.join(" ");
        if *before.config == *config && sockets.is_empty() {
            tracing::info!(trigger, waiting, "the configuration was read again: nothing is new");
            return;
        }
        self.known.shared.breakers.renew(config.circuits(), now);
        self.known.shared.upstreams.renew(config.upstreams.values(), now);
        let traffic = Arc::new(before.traffic_of(&config, now));
        let captures = Arc::new(before.captures.renewed(&config));
        self.known.shared = Shared {
            config: Arc::clone(&config),
            tls: tls.clone(),
            traffic: Arc::clone(&traffic),
            captures: Arc::clone(&captures),
            ..self.known.shared.clone()
        };
        self.known.floor.renew(&self.known.shared, sockets).await;
        self.known.shared.durations.forget_unused();
        self.known.waits.renew(waiting::terms_of(&config));
        self.replace_parts(&before, &config, &tls, certificates).await;
        let remarks = tls.remarks().into_iter().map(|remark| remark.to_string());
        let generation = before.generation + 1;
        let current = Current {
            generation,
            since_us: clock::wall_us(),
            warnings: warnings.iter().map(ToString::to_string).chain(remarks).collect(),
            listeners: self.known.floor.places(),
            config,
            tls,
            traffic,
            captures,
        };
        self.known.current.send_replace(Arc::new(current));
        tracing::info!(trigger, generation, waiting, "another configuration is in force");
    }

    /// Checks go on where nothing that they know has changed.
    async fn replace_parts(
        &mut self,
        before: &Current,
        config: &Config,
        tls: &Tls,
        certificates: tls::Watcher,
    ) {
        let is_same = before.config.upstreams == config.upstreams
            && config.upstreams.keys().all(|name| before.tls.is_same_towards(name, tls));
        if !is_same {
            self.board.keep(|name| config.upstreams.contains_key(name));
            match Checks::new(
                config.upstreams.values(),
                tls,
                &self.known.shared.breakers,
                &self.lane,
                &self.board,
            ) {
                Ok(checks) => {
                    let next = Part::start(|stop| checks.run(until(stop)));
                    std::mem::replace(&mut self.checking, next).stop().await;
                }
                // The paths of checks are checked with the configuration.
                Err(error) => tracing::error!(%error, "checks go on as before"),
            }
        }
        let next = Part::start(|stop| certificates.run(until(stop)));
        std::mem::replace(&mut self.certifying, next).stop().await;
    }

    /// Ends what was begun here.
    pub(super) async fn stop(self) {
        self.checking.stop().await;
        self.certifying.stop().await;
    }
}

/// Opens a listener. Its address may be held by one that an earlier change took away and that has not
/// left yet, so one that is taken is tried for a while.
async fn open(floor: &Floor, listener: &Listener) -> io::Result<Sockets> {
    let until = clock::now() + LEFT_WITHIN;
    loop {
        match floor.open(listener) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && clock::now() < until => {
                sleep(AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// Reads all that is to be read, which may fail. It changes nothing.
fn prepare(origin: &Origin, current: &Current) -> Result<Prepared, Fault> {
    let Loaded { config, warnings } = origin.load().map_err(|problems| Fault {
        words: problems.to_string(),
        problems: problems.iter().cloned().collect(),
    })?;
    let (config, needs_restart) = config.at_once(&current.config);
    let (tls, certificates) = current.tls.renewed(&config).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        Fault::of(lines.join("\n"))
    })?;
    let config = Arc::new(config);
    let sockets = Vec::new();
    Ok(Prepared { config, warnings, needs_restart, tls, certificates, sockets })
}
