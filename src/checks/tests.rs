//! Checks against scripted upstreams on loopback, in real time with short periods.

mod tls;

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use http::HeaderValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::{Checks, HealthBoard, LastCheck};
use crate::{
    breakers::{Breakers, Change, Circuit},
    clock, config,
    config::{Endpoint, HealthCheck, Upstream},
    domain::{
        breaker::{Cause, Policy, State},
        learn::rollup::{Rollup, RollupKey},
        outcome::{Outcome, Reason},
        report::{LateScore, Scored},
        task::{CallRecord, TaskId},
    },
    history::{Recorder, journal::Journal},
    store::{
        Batch, Error, HistoryStore, RollupQuery, RowSums, RowSumsQuery, StoredTask, TaskQuery,
    },
    tls::Tls,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An upstream that sends the same bytes to everybody, and notes what it was asked.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Service {
    async fn start(reply: &'static str) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), reply)
    }

    fn start_on(listener: TcpListener, reply: &'static str) -> Self {
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            // Connections are kept, so that an empty reply is a wait and not a close.
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut head, mut buffer) = (String::new(), [0; 1024]);
                while !head.ends_with("\r\n\r\n") {
                    let read = stream.read(&mut buffer).await.unwrap();
                    head.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                }
                notes.lock().unwrap().push(head);
                stream.write_all(reply.as_bytes()).await.unwrap();
                if reply.is_empty() {
                    kept.push(stream);
                }
            }
        });
        Self { address, asked, task }
    }

    /// Stops it. The port is kept and refuses everybody until it listens again.
    async fn stop(self) -> TcpSocket {
        self.task.abort();
        assert!(self.task.await.is_err_and(|end| end.is_cancelled()));
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        socket
    }
}

/// Running checks of one upstream.
struct Rig {
    circuit: Arc<Circuit>,
    changes: tokio::sync::broadcast::Receiver<Change>,
    board: HealthBoard,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Vec<CallRecord>>,
}

impl Rig {
    fn start(endpoints: &[SocketAddr]) -> Self {
        Self::start_with(upstream(endpoints), &Tls::default())
    }

    fn start_with(upstream: Upstream, tls: &Tls) -> Self {
        let upstream = Arc::new(upstream);
        let circuits = [(Arc::clone(&upstream.name), String::new(), upstream.breaker.clone())];
        let breakers = Breakers::new(circuits.into_iter(), true);
        let limits = config::History {
            retention: Duration::from_secs(3_600),
            spool_max_bytes: 16 << 20,
            refused_per_second: 100,
            sample_successes: NonZeroU32::MIN,
        };
        let journal = Journal::in_memory(1);
        let (recorder, writer) = Recorder::new(1, journal, &limits, None);
        let board = HealthBoard::default();
        let lane = recorder.lane(0);
        let checks = Checks::new([&upstream], tls, &breakers, &lane, &board).unwrap();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(async move {
            checks.run(async { drop::<Result<(), _>>(stopped.await) }).await;
            let mut rows = Vec::new();
            let at_once = std::future::ready(clock::now());
            writer.run(Arc::new(Nowhere), at_once, |row| rows.push(row.clone())).await;
            rows
        });
        let circuit = breakers.of("payments").unwrap();
        Self { circuit, changes: breakers.changes(), board, stop, run }
    }

    async fn until_state(&self, state: State) {
        until(|| self.circuit.snapshot(clock::now()).state == state).await;
    }

    /// The first result that satisfies the condition.
    async fn until_check(&self, is_it: impl Fn(&LastCheck) -> bool) -> LastCheck {
        until(|| self.board.of("payments").is_some_and(|last| is_it(&last))).await;
        self.board.of("payments").unwrap()
    }

    /// Stops the checks; returns the rows that they left.
    async fn finish(self) -> Vec<CallRecord> {
        self.stop.send(()).unwrap();
        self.run.await.unwrap()
    }
}

fn upstream(endpoints: &[SocketAddr]) -> Upstream {
    let endpoint = |address: &SocketAddr| Endpoint {
        uri: format!("http://{address}").parse().unwrap(),
        location: config::Location::Address(*address),
        authority: address.to_string().into(),
        host: HeaderValue::from_str(&address.to_string()).unwrap(),
    };
    let second = Duration::from_secs(1);
    Upstream {
        name: "payments".into(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        protocol: config::Protocol::Auto,
        health_check: Some(HealthCheck {
            path: "/health?deep=1".to_owned(),
            every: Duration::from_millis(20),
            timeout: second,
        }),
        timeouts: config::Timeouts {
            connect: second,
            first_byte: second,
            total: second,
            body_idle: second,
            attempt: None,
            tunnel_idle: second,
            learned: config::LearnedTimeout::default(),
        },
        pool: config::Pool { idle: 0, idle_timeout: second, max_age: None },
        credentials: None,
        tls: config::UpstreamTls::default(),
        limits: Default::default(),
        dns_refresh: second,
        retry: Default::default(),
        ejection: Default::default(),
        breaker: Policy { ramp: Duration::ZERO, ..Policy::default() },
        breaker_key: String::new(),
    }
}

/// Waits for a condition that others bring about; ten seconds are forever here.
async fn until(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.expect("the condition within ten seconds");
}

/// The outcome and reason of the first row of an upstream that replies so.
async fn first_row(reply: &'static str) -> (Outcome, Option<Reason>) {
    let service = Service::start(reply).await;
    let rig = Rig::start(&[service.address]);
    rig.until_check(|_| true).await;
    let rows = rig.finish().await;
    (rows[0].outcome, rows[0].reason)
}

#[tokio::test]
async fn a_check_is_a_plain_get_that_says_who_asks() {
    let service = Service::start(OK).await;
    let rig = Rig::start(&[service.address]);
    let last = rig.until_check(|_| true).await;
    assert_eq!((last.is_ok, last.message.as_str()), (true, "200 OK"));
    let head = service.asked.lock().unwrap()[0].clone();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("GET /health?deep=1 HTTP/1.1"));
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let value = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    assert_eq!(value("host"), Some(&*service.address.to_string()));
    assert_eq!(value("user-agent"), Some(concat!("fusebox/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(value("connection"), Some("close"));
    let rows = rig.finish().await;
    assert_eq!(value("x-correlation-id"), Some(rows[0].correlation_id.as_str()));
    assert!(rows[0].correlation_id.as_str().starts_with("req-"));
    assert!(
        value("traceparent").is_some_and(|trace| trace.contains(&rows[0].trace_id.to_string()))
    );
}

#[tokio::test]
async fn a_stopped_upstream_opens_the_circuit_and_a_restarted_one_closes_it() {
    let service = Service::start(OK).await;
    let mut rig = Rig::start(&[service.address]);
    rig.until_check(|last| last.is_ok).await;
    let socket = service.stop().await;
    rig.until_state(State::Open).await;
    let snapshot = rig.circuit.snapshot(clock::now());
    assert_eq!(snapshot.failure_count, 5);
    let last = rig.until_check(|last| !last.is_ok).await;
    assert_eq!(last.message, "connect refused");
    let _service = Service::start_on(socket.listen(64).unwrap(), OK);
    rig.until_state(State::Closed).await;
    let mut seen = Vec::new();
    while let Ok(change) = rig.changes.try_recv() {
        seen.push((change.transition.to, change.transition.cause));
    }
    assert_eq!(
        seen,
        [
            (State::Open, Cause::ConsecutiveFailures),
            (State::HalfOpen, Cause::CheckSucceeded),
            (State::Closed, Cause::ProbesSucceeded),
        ]
    );
}

#[tokio::test]
async fn one_endpoint_that_answers_is_enough() {
    let (well, gone) = (Service::start(OK).await, Service::start(OK).await);
    let (well_at, gone_at) = (well.address, gone.address);
    let _gone = gone.stop().await;
    let rig = Rig::start(&[gone_at, well_at]);
    let last = rig.until_check(|_| true).await;
    assert_eq!((last.is_ok, last.healthy, last.endpoints), (true, 1, 2));
    assert_eq!(last.message, format!("1 of 2 endpoints are well; {gone_at}: connect refused"));
    let rows = rig.finish().await;
    assert_eq!(rows[0].endpoint.as_deref(), Some(&*well_at.to_string()));
    let reasons: Vec<_> = rows[0].attempts.iter().map(|attempt| attempt.reason).collect();
    assert_eq!(reasons, [Some(Reason::ConnectRefused), None]);
}

#[tokio::test]
async fn only_success_and_redirection_are_well() {
    let failed = |reason: Reason| (reason.outcome(), Some(reason));
    for (reply, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", (Outcome::Success, None)),
        (
            "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            (Outcome::Success, None),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut", (Outcome::Success, None)),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", failed(Reason::HttpOther)),
        ("HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\n\r\n", failed(Reason::Http429)),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", failed(Reason::Http503)),
        ("SSH-2.0-OpenSSH_9.2\r\n", failed(Reason::ProtocolError)),
        ("HTTP/1.1 200", failed(Reason::ResetBeforeHeaders)),
        ("", failed(Reason::TimeoutFirstByte)),
    ] {
        assert_eq!(first_row(reply).await, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn checks_are_tasks_of_their_own_domain_and_none_is_lost_in_folding() {
    let service = Service::start(OK).await;
    let rig = Rig::start(&[service.address]);
    until(|| service.asked.lock().unwrap().len() > 5).await;
    let asked = Arc::clone(&service.asked);
    let rows = rig.finish().await;
    let site = &rows[0].site;
    assert_eq!((&*site.domain, &*site.action), ("system-health", "monitor-services"));
    assert_eq!((&*site.upstream, &*site.route, &*site.path), ("payments", "-", "/health"));
    let calls: usize = rows.iter().map(|row| row.weight as usize).sum();
    // The last check may have been cut off by the stop.
    assert!((asked.lock().unwrap().len() - calls) <= 1);
    assert!(rows.len() <= 3, "{} rows", rows.len());
}

/// A store that is away, so that the writer hands over what it has.
struct Nowhere;

#[async_trait]
impl HistoryStore for Nowhere {
    async fn write(&self, _: &Batch<'_>) -> Result<(), Error> {
        self.ping().await
    }

    async fn cursors(&self, _: &str) -> Result<BTreeMap<u32, u64>, Error> {
        self.ping().await.map(|()| BTreeMap::new())
    }

    async fn tasks(&self, _: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        self.ping().await.map(|()| Vec::new())
    }

    async fn rollups(&self, _: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        self.ping().await.map(|()| Vec::new())
    }

    async fn known(&self, _: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        self.ping().await.map(|()| HashSet::new())
    }

    async fn score(&self, _: &LateScore) -> Result<Scored, Error> {
        self.ping().await.map(|()| Scored::Unknown)
    }

    async fn sum_rows(&self, _: &RowSumsQuery) -> Result<RowSums, Error> {
        self.ping().await.map(|()| RowSums::default())
    }

    async fn maintain(&self, _: Duration) -> Result<(), Error> {
        self.ping().await
    }

    async fn ping(&self) -> Result<(), Error> {
        Err(Error::Unavailable("nowhere".into()))
    }
}
