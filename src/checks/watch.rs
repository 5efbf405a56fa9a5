//! The check of one upstream: its loop, and what its results mean to circuit, board, log and
//! history.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::{
    Method,
    uri::{InvalidUri, PathAndQuery},
};
use tokio::time::{sleep, sleep_until};
use tracing::{info, warn};

use super::{
    HealthBoard, LastCheck,
    probe::{self, Answer, Trouble},
    rows::Rows,
};
use crate::{
    breakers::Circuit,
    clock,
    config::{HealthCheck, Upstream},
    domain::{
        breaker::State,
        correlation::{CorrelationId, TraceContext},
        outcome::{Outcome, Reason, Verdict},
        task::{Attempt, CallRecord, CallSite, TaskId},
        units::Percent,
        wait::{part, spread},
    },
    history::Lane,
    tls::{EndpointTls, Tls},
};

/// How far apart checks that began together drift: 10 %.
const JITTER: Option<Percent> = Percent::from_basis_points(1_000);

/// The check of one upstream.
#[derive(Debug)]
pub(super) struct Watch {
    upstream: Arc<Upstream>,
    check: HealthCheck,
    path: PathAndQuery,
    /// TLS towards each endpoint, none where it takes plain text.
    tls: Vec<Option<EndpointTls>>,
    circuit: Arc<Circuit>,
    site: Arc<CallSite>,
    board: HealthBoard,
    lane: Lane,
    rows: Rows,
    is_failing: bool,
}

/// When a check began, and under which ids.
struct Round {
    began: Instant,
    started_at_us: i64,
    correlation_id: CorrelationId,
    trace: TraceContext,
    breaker_state: State,
}

impl Watch {
    pub(super) fn new(
        upstream: &Arc<Upstream>,
        check: &HealthCheck,
        tls: &Tls,
        circuit: &Arc<Circuit>,
        board: &HealthBoard,
        lane: &Lane,
    ) -> Result<Self, InvalidUri> {
        let path: PathAndQuery = check.path.parse()?;
        let site = CallSite {
            listener: "-".into(),
            route: "-".into(),
            upstream: (&*upstream.name).into(),
            domain: "system-health".into(),
            action: "monitor-services".into(),
            path: path.path().into(),
        };
        let towards = |endpoint| tls.of_endpoint(&upstream.name, endpoint);
        Ok(Self {
            tls: upstream.endpoints.iter().map(towards).collect(),
            upstream: Arc::clone(upstream),
            check: check.clone(),
            path,
            circuit: Arc::clone(circuit),
            site: Arc::new(site),
            board: board.clone(),
            lane: lane.clone(),
            rows: Rows::default(),
            is_failing: false,
        })
    }

    /// Checks, from soon after now on, at a jittered period from start to start.
    pub(super) async fn forever(&mut self) -> Infallible {
        sleep(part(self.check.every / 10, fastrand::u64(..))).await;
        loop {
            let began = clock::now();
            let period =
                spread(self.check.every, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..));
            self.ask().await;
            let rest = (began + period).saturating_duration_since(clock::now());
            let next_us = i64::try_from(rest.as_micros()).unwrap_or(i64::MAX);
            let folded = self.rows.close_before(clock::wall_us().saturating_add(next_us));
            folded.into_iter().for_each(|row| self.lane.record(&row, None));
            sleep_until((clock::now() + rest).into()).await;
        }
    }

    /// Records what was still being added up.
    pub(super) fn finish(mut self) {
        self.rows.close().into_iter().for_each(|row| self.lane.record(&row, None));
    }

    /// Asks every endpoint and tells everybody what came of it.
    async fn ask(&mut self) {
        let began = clock::now();
        let round = Round {
            began,
            started_at_us: clock::wall_us(),
            correlation_id: CorrelationId::mint(fastrand::u64(..)),
            trace: TraceContext::next_hop(None, None, (fastrand::u128(..), fastrand::u64(..))),
            breaker_state: self.circuit.snapshot(began).state,
        };
        let questions = self.upstream.endpoints.iter().zip(&self.tls).map(|(endpoint, tls)| {
            let ids = (&round.correlation_id, &round.trace);
            let request = probe::request(&self.path, &endpoint.host, ids.0, ids.1);
            probe::ask(endpoint, tls.as_ref(), request, self.check.timeout)
        });
        let answers = join_all(questions).await;
        let well = answers.iter().find(|answer| answer.is_ok());
        let Some(telling) = well.or_else(|| answers.first()) else { return };
        // A check that this machine could not make says nothing.
        if telling.reason().map(Reason::verdict) != Some(Verdict::Neutral) {
            self.circuit.check(telling.is_ok(), clock::now());
        }
        let message = message(&answers);
        self.tell_log(telling.is_ok(), &round, &message);
        let row = self.row(&round, telling, &answers);
        self.rows.take(row).into_iter().for_each(|row| self.lane.record(&row, None));
        let last = LastCheck {
            is_ok: telling.is_ok(),
            healthy: answers.iter().filter(|answer| answer.is_ok()).count(),
            endpoints: answers.len(),
            message,
            latency: telling.latency,
            at_us: round.started_at_us,
        };
        self.board.put(&self.upstream.name, last);
    }

    /// One line when checks begin to fail, one when they are well again.
    fn tell_log(&mut self, is_ok: bool, round: &Round, message: &str) {
        let (upstream, correlation_id) = (&*self.upstream.name, round.correlation_id.as_str());
        match (self.is_failing, is_ok) {
            (false, false) => {
                warn!(upstream, correlation_id, result = message, "the health check fails");
            }
            (true, true) => {
                info!(upstream, correlation_id, result = message, "the health check is well again");
            }
            (false, true) | (true, false) => {}
        }
        self.is_failing = !is_ok;
    }

    fn row(&self, round: &Round, telling: &Answer, answers: &[Answer]) -> CallRecord {
        let took = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let attempt = |answer: &Answer| Attempt {
            instead: None,
            endpoint: Arc::clone(&answer.endpoint),
            verdict: answer.reason().map_or(Verdict::Success, Reason::verdict),
            reason: answer.reason(),
            duration_us: took(answer.latency),
        };
        CallRecord {
            id: TaskId::mint(round.started_at_us, fastrand::u128(..)),
            started_at_us: round.started_at_us,
            correlation_id: round.correlation_id.clone(),
            trace_id: round.trace.trace_id,
            parent_id: None,
            site: Arc::clone(&self.site),
            endpoint: Some(Arc::clone(&telling.endpoint)),
            method: Method::GET,
            status: telling.status.map(|status| status.as_u16()),
            grpc_status: None,
            outcome: telling.reason().map_or(Outcome::Success, Reason::outcome),
            reason: telling.reason(),
            attempts: answers.iter().map(attempt).collect(),
            breaker_state: round.breaker_state,
            duration_us: took(clock::now().saturating_duration_since(round.began)),
            upstream_us: Some(took(telling.latency)),
            first_byte_us: telling.status.map(|_| took(telling.latency)),
            deadline_ms: u64::try_from(self.check.timeout.as_millis()).ok(),
            request_bytes: 0,
            response_bytes: 0,
            captured: None,
            weight: 1,
        }
    }
}

/// What came, for people.
fn message(answers: &[Answer]) -> String {
    let failed = answers.iter().find(|answer| !answer.is_ok());
    match (answers, failed) {
        ([only], _) => describe(only),
        (all, None) => format!("{} of {} endpoints are well", all.len(), all.len()),
        (all, Some(failed)) => {
            let well = all.iter().filter(|answer| answer.is_ok()).count();
            let (all, what) = (all.len(), describe(failed));
            format!("{well} of {all} endpoints are well; {}: {what}", failed.endpoint)
        }
    }
}

fn describe(answer: &Answer) -> String {
    match (answer.status, &answer.trouble) {
        (Some(status), _) => status.to_string(),
        (None, Some(Trouble { words: Some(words), .. })) => words.clone(),
        (None, Some(Trouble { reason, .. })) => reason.as_str().replace('_', " "),
        (None, None) => String::new(),
    }
}
