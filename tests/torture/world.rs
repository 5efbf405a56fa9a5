//! A Fusebox between callers and an upstream, and its Postgres behind a link that forgets.

use std::{path::Path, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    callers::{Callers, Habits},
    fates::{Event, Script},
    forgetful::ForgetfulLink,
    harness::{Fusebox, Setup},
    local::wait_until,
    postgres::Server,
    upstream::Upstream,
    verdict::Records,
};

/// How long anything may take on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// See the module docs.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) server: Server,
    database: String,
    pub(crate) upstream: Upstream,
    pub(crate) fusebox: Fusebox,
    pub(crate) link: ForgetfulLink,
    is_postgres_away: bool,
    pub(crate) kills: u64,
}

/// Breakers that open and close many times in a storm.
const NERVOUS: &str =
    "breaker: { consecutive_failures: 5, open_for: 400ms, open_for_max: 400ms, ramp: 0s }";

impl World {
    /// With these further lines at the top of the configuration.
    pub(crate) fn new(lines: &[&str]) -> Self {
        Self::with(lines, None)
    }

    /// The same with this data directory.
    pub(crate) fn with_data_dir(lines: &[&str], path: &Path) -> Self {
        Self::with(lines, Some(path))
    }

    fn with(lines: &[&str], data_dir: Option<&Path>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = Server::start();
        let url = server.database();
        let database = url.rsplit('/').next().and_then(|name| name.split('?').next());
        let database = database.expect("the URL names it").to_owned();
        let upstream = runtime.block_on(Upstream::start());
        let link = runtime.block_on(ForgetfulLink::to(server.port()));
        let port = |port: u16| format!("127.0.0.1:{port}/");
        let through = url.replace(&port(server.port()), &port(link.address.port()));
        let mut setup = Setup::payments(&upstream.url(), &[NERVOUS]).database(&through);
        for line in ["workers: 2", "logs: { calls: none }"].iter().chain(lines) {
            setup = setup.with(line);
        }
        if let Some(path) = data_dir {
            setup = setup.data_dir(path);
        }
        let fusebox = setup.start();
        Self {
            runtime,
            server,
            database,
            upstream,
            fusebox,
            link,
            is_postgres_away: false,
            kills: 0,
        }
    }

    pub(crate) fn callers(&self, habits: Habits) -> Callers {
        let _inside = self.runtime.enter();
        Callers::start(self.fusebox.proxy, habits)
    }

    /// Plays a script, and makes everything well again at its end.
    pub(crate) fn play(&mut self, script: &Script, callers: &Callers) {
        for &(after, event) in &script.events {
            self.wait_for_calls(callers, after);
            self.happen(event);
        }
        self.wait_for_calls(callers, 1);
        self.happen(Event::UpstreamRecovers);
        self.happen(Event::PostgresReturns);
    }

    pub(crate) fn wait_for_calls(&self, callers: &Callers, more: u64) {
        let enough = callers.made() + more;
        wait_until("more calls", PATIENCE, || (callers.made() >= enough).then_some(()));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::FuseboxIsKilled => self.kill(),
            Event::PostgresIsKilled => self.server.kill9(),
            Event::PostgresStops => self.server.stop(),
            Event::PostgresReturns if self.is_postgres_away => self.server.resume(),
            Event::PostgresReturns => {}
            Event::UpstreamFails => self.upstream.fails(true),
            Event::UpstreamRecovers => self.upstream.fails(false),
        }
        match event {
            Event::PostgresIsKilled | Event::PostgresStops => self.is_postgres_away = true,
            Event::PostgresReturns => self.is_postgres_away = false,
            _ => {}
        }
    }

    /// What a query prints, a row a line, its cells with a space between.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.server.psql(&self.database, &["-F", " ", "-c", sql])
    }

    /// Kills Fusebox and starts it again.
    pub(crate) fn kill(&mut self) {
        self.fusebox.kill9();
        self.kills += 1;
        self.fusebox.restart();
    }

    /// A number of history, as the admin port tells it.
    pub(crate) fn told(&self, what: &str) -> u64 {
        self.fusebox.ask("/api/v1/status")["history"][what].as_u64().expect("a number")
    }

    /// Waits until what was recorded so far is in the store.
    pub(crate) fn wait_until_stored(&self) {
        let all = self.told("written") + self.told("waiting");
        wait_until("rows are stored", PATIENCE, || (self.told("written") >= all).then_some(()));
    }

    /// Lets everything end well, and returns what everybody wrote down.
    pub(crate) fn end(&mut self, callers: Callers, connections: usize) -> Records {
        let calls = self.runtime.block_on(callers.finish());
        wait_until("no row waits", PATIENCE, || (self.told("waiting") == 0).then_some(()));
        let dropped = self.told("dropped");
        // A stop also writes the rows that would still have grown.
        let status = self.fusebox.terminate();
        assert!(status.success(), "{status}");
        let seen = self.upstream.seen();
        let records = Records::read(|sql| self.query(sql), calls, seen);
        match self.kills {
            0 => records.told_lost(dropped),
            kills => records.in_flight(kills * connections as u64),
        }
    }
}
