//! A made-up instance with four upstreams, one in each state, and two stores that remember what
//! they were asked.

mod history;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use fusebox::{
    admin::{
        Control, Intake,
        view::{
            BreakerView, ConfigurationView, HistoryView, LastReload, LastResult, ServiceView,
            StatusView, TrafficView, View,
        },
    },
    breakers::Breakers,
    clock,
    config::{Config, Listen},
    domain::{
        breaker::{Cause, Mode, Policy, Scope, Snapshot, State, Transition},
        explain::FleetFacts,
        fleet::hearing::{Ballot, Faction, Hearing},
        learn::recent::{Counts, Recent},
        outcome::Outcome,
        report::LateScore,
        task::{CallRecord, TaskId},
        units::Percent,
    },
    store::{
        BreakerEvent, Decree, Error, Heard, Hints, Presence, Roll, RollupQuery, Said, StateStore,
        StoredBreaker, TaskQuery,
    },
    telemetry::exposition::Format,
};
use serde_json::json;

use crate::{configuration::configuration, store::store};

/// See the module docs.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) not_ready: Option<&'static str>,
    pub(crate) store_is_away: bool,
    pub(crate) token: Option<&'static str>,
    pub(crate) degraded: Option<&'static str>,
    /// Why the last configuration could not be used.
    pub(crate) refused: Option<&'static str>,
    /// What was asked of the process as a whole.
    pub(crate) asked: Mutex<Vec<&'static str>>,
    /// What other instances have to do with `search`.
    pub(crate) fleet: FleetFacts,
    pub(crate) hearing: Hearing,
    pub(crate) circuits: Circuits,
    pub(crate) task_queries: Mutex<Vec<TaskQuery>>,
    pub(crate) rollup_queries: Mutex<Vec<RollupQuery>>,
    pub(crate) waiting: u64,
    /// By how many bytes a scrape is longer than it need be.
    pub(crate) padding: usize,
    pub(crate) scores: Mutex<Vec<LateScore>>,
    pub(crate) reported: Mutex<Vec<CallRecord>>,
}

/// The time of the only stored transition and of the newest row: noon of 22 November 2026.
pub(crate) const NOON_US: i64 = 1_795_348_800_000_000;

/// The rows, newest first: ten, a second apart.
pub(crate) fn row_id(at: i64) -> TaskId {
    TaskId::mint(NOON_US - at * 1_000_000, 0x1234)
}

pub(crate) fn transition(from: State, to: State, cause: Cause) -> Transition {
    let opens = to == State::Open;
    Transition {
        from,
        to,
        cause,
        failure_count: 5,
        window_calls: 41,
        window_failures: 5,
        open_for: if opens { Duration::from_secs(60) } else { Duration::ZERO },
        step: u32::from(opens),
        by_connection: false,
        generation: 3,
        mode: Mode::Auto,
    }
}

struct Upstream {
    name: &'static str,
    state: State,
    since_s: u64,
    failures: u32,
    cause: Option<Cause>,
    epoch: u64,
    rate_bp: u16,
    per_second: u64,
    failing: bool,
}

const UPSTREAMS: [Upstream; 5] = [
    Upstream {
        name: "inventory",
        state: State::Closed,
        since_s: 90_061,
        failures: 0,
        cause: None,
        epoch: 0,
        rate_bp: 0,
        per_second: 120,
        failing: false,
    },
    Upstream {
        name: "music",
        state: State::Ramping,
        since_s: 4,
        failures: 0,
        cause: Some(Cause::ProbesSucceeded),
        epoch: 9,
        rate_bp: 120,
        per_second: 9,
        failing: false,
    },
    Upstream {
        name: "payments",
        state: State::Open,
        since_s: 19,
        failures: 5,
        cause: Some(Cause::ConsecutiveFailures),
        epoch: 3,
        rate_bp: 1_219,
        per_second: 14,
        failing: true,
    },
    Upstream {
        name: "recommendations-of-the-long-name-service",
        state: State::HalfOpen,
        since_s: 2,
        failures: 7,
        cause: Some(Cause::OpenTimeOver),
        epoch: 12,
        rate_bp: 8_000,
        per_second: 1,
        failing: true,
    },
    Upstream {
        name: "search",
        state: State::Closed,
        since_s: 3_720,
        failures: 2,
        cause: Some(Cause::RampOver),
        epoch: 4,
        rate_bp: 90,
        per_second: 42,
        failing: true,
    },
];

impl Upstream {
    fn counts(&self) -> Counts {
        let mut recent = Recent::default();
        for second in 0..30 {
            for call in 0..self.per_second {
                let refused = self.state == State::Open;
                let failed = self.failing && call % 7 == 0;
                let outcome = match (refused, failed) {
                    (true, _) => Outcome::Refused,
                    (false, true) => Outcome::Failure,
                    (false, false) => Outcome::Success,
                };
                recent.record(second, outcome, 3_000 + call * call * 731, 1);
            }
        }
        recent.counts(29)
    }
}

impl Sample {
    fn configuration(&self) -> ConfigurationView {
        ConfigurationView {
            generation: 3,
            source: "/etc/fusebox/fusebox.yaml".to_owned(),
            since_us: NOON_US,
            needs_restart: vec!["workers"],
            last: Some(LastReload {
                at_us: NOON_US,
                trigger: "file",
                fault: self.refused.map(str::to_owned),
                problems: Vec::new(),
            }),
        }
    }
}

#[async_trait]
impl Control for Sample {
    async fn reload(&self) -> ConfigurationView {
        self.asked.lock().expect("no panic").push("reload");
        self.configuration()
    }

    fn drain(&self) {
        self.asked.lock().expect("no panic").push("drain");
    }
}

impl View for Sample {
    fn breakers(&self) -> Vec<BreakerView> {
        let view = |upstream: &Upstream| BreakerView {
            name: Arc::from(upstream.name),
            key: format!("key-of-{}", upstream.name),
            scope: Scope::Fleet,
            policy: Policy::default(),
            fleet: Some(self.fleet.clone()).filter(|_| upstream.name == "search"),
            task_ids: vec![row_id(1)],
            snapshot: Snapshot {
                state: upstream.state,
                mode: self.steered(upstream.name).mode,
                order: self.steered(upstream.name).order,
                would_refuse: 0,
                failure_count: upstream.failures,
                retry_after: match upstream.state {
                    State::Open => Duration::from_millis(41_300),
                    _ => Duration::ZERO,
                },
                since: Duration::from_secs(upstream.since_s),
                cause: upstream.cause,
                opened_by: upstream.cause,
                is_opened_here: upstream.cause.is_some(),
                reset: None,
                failure_rate: Percent::from_basis_points(upstream.rate_bp),
                window_calls: 41,
                window_failures: 5,
                epoch: upstream.epoch,
                step: 1,
                generation: 3,
            },
            reporters: 3,
        };
        UPSTREAMS.iter().map(view).collect()
    }

    fn services(&self) -> Vec<ServiceView> {
        let view = |upstream: &Upstream| ServiceView {
            name: Arc::from(upstream.name),
            state: upstream.state,
            last: Some(LastResult {
                at_us: NOON_US,
                latency: Duration::from_micros(12_500),
                failed: upstream.failing.then(|| "http_503".to_owned()),
            }),
            warning: None,
        };
        UPSTREAMS.iter().map(view).collect()
    }

    fn traffic(&self) -> Vec<TrafficView> {
        let view = |upstream: &Upstream| TrafficView {
            name: Arc::from(upstream.name),
            in_flight: upstream.per_second / 10,
            counts: upstream.counts(),
        };
        UPSTREAMS.iter().map(view).collect()
    }

    fn status(&self) -> StatusView {
        let fault = self.store_is_away.then(|| "connection refused".to_owned());
        StatusView {
            version: "0.1.0",
            uptime: Duration::from_millis(3_723_400),
            instance: "0192f0c1-aaaa-7bbb-8ccc-0123456789ab".to_owned(),
            display_name: "ip-10-0-3-7".to_owned(),
            listeners: vec![("egress".to_owned(), Listen::Tcp(([127, 0, 0, 1], 8080).into()))],
            workers: 2,
            draining: false,
            in_flight: 17,
            store: store(fault),
            history: HistoryView {
                waiting: 41 + self.waiting,
                written: 120_345,
                ..HistoryView::default()
            },
            configuration: self.configuration(),
            degraded: self.degraded.map(str::to_owned),
            warnings: vec!["upstreams.music: `music-2` does not resolve".to_owned()],
        }
    }

    fn ready(&self) -> Result<(), String> {
        self.not_ready.map_or(Ok(()), |why| Err(why.to_owned()))
    }

    fn metrics(&self, _: Format) -> String {
        let info = "# TYPE fusebox_build info\nfusebox_build_info{version=\"0.1.0\"} 1\n# EOF\n";
        info.to_owned() + &" ".repeat(self.padding)
    }

    fn config(&self) -> Arc<Config> {
        Arc::new(configuration(self.token))
    }
}

/// The circuits that are steered; what they say of themselves otherwise, the sample makes up.
pub(crate) struct Circuits(pub(crate) Arc<Breakers>);

impl Default for Circuits {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Circuits {
    pub(crate) fn new(enabled: bool) -> Self {
        let of = |one: &Upstream| {
            (Arc::from(one.name), format!("key-of-{}", one.name), Policy::default())
        };
        Self(Breakers::new(UPSTREAMS.iter().map(of), enabled))
    }
}

impl Sample {
    fn steered(&self, name: &str) -> Snapshot {
        self.circuits.0.of(name).expect("a circuit of each").snapshot(clock::now())
    }

    pub(crate) fn answer<T>(&self, answer: T) -> Result<T, Error> {
        if self.store_is_away {
            return Err(Error::Unavailable("connection refused".into()));
        }
        Ok(answer)
    }
}

#[async_trait]
impl StateStore for Sample {
    async fn breakers(&self, _: Duration) -> Result<Vec<StoredBreaker>, Error> {
        unreachable!("the admin port reads breakers from the process")
    }

    async fn decree(&self, _: &Decree) -> Result<(), Error> {
        unreachable!("orders go through the breakers")
    }

    async fn say(&self, _: &Said) -> Result<Heard, Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error> {
        self.answer(vec![BreakerEvent {
            at_us: NOON_US,
            epoch: 3,
            from: State::Closed,
            to: State::Open,
            cause: Cause::ConsecutiveFailures,
            instance: "ip-10-0-3-7".to_owned(),
            detail: json!({ "key": key, "limit": limit }),
        }])
    }

    async fn last_events(&self, limit: u32) -> Result<Vec<(String, BreakerEvent)>, Error> {
        let events = self.events("key-of-payments", limit).await?;
        Ok(events.into_iter().map(|event| ("key-of-payments".to_owned(), event)).collect())
    }

    async fn hearing(&self, _: &str) -> Result<Hearing, Error> {
        self.answer(self.hearing.clone())
    }

    async fn ballots(&self, _: &str) -> Result<Vec<Ballot>, Error> {
        unreachable!("the admin port asks for all that is known")
    }

    async fn factions(&self, _: &[String]) -> Result<Vec<Faction>, Error> {
        unreachable!("the admin port asks for all that is known")
    }

    async fn heartbeat(&self, _: &Presence) -> Result<Roll, Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        unreachable!("the admin port hears of changes from the process")
    }
}

impl Intake for Sample {
    fn take(&self, rows: &[CallRecord]) {
        self.reported.lock().expect("unpoisoned").extend_from_slice(rows);
    }
}

/// When the sample's clocks started, for those who need a present.
pub(crate) fn now_us() -> i64 {
    clock::wall_us()
}
