//! What a replay tells: trips, what they would have cost and spared, and how far that can be relied
//! on.

use std::{collections::BTreeMap, sync::Arc};

use super::{call::Call, circuit::Circuit};
use crate::domain::{
    breaker::{Cause, Mode, Transition},
    outcome::{Outcome, Verdict},
    task::TaskId,
};

/// Trips that are listed; beyond, they are counted.
const MAX_TRIPS: usize = 10_000;

/// A stretch of time, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from_us: i64,
    /// Its end, which is no longer in it.
    pub to_us: i64,
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which calls were replayed: those that began in it.
    pub span: Span,
    /// Rows that were read.
    pub rows: u64,
    /// By upstream, or by circuit where a route has its own; also those that were not called.
    pub upstreams: BTreeMap<Arc<str>, Summary>,
    /// The trips, in their order.
    pub trips: Vec<Trip>,
    /// Trips beyond those that are listed.
    pub trips_left_out: u64,
    /// What the rows do not say.
    pub doubts: Doubts,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// How the rules want it to be steered.
    pub mode: Mode,
    /// Circuits that led to it.
    pub circuits: u64,
    /// Calls for it.
    pub calls: u64,
    /// What the rules would have refused of what went through.
    pub refused: Refused,
    /// Calls that its real circuit refused.
    pub really_refused: u64,
    /// Those of them that the rules would have refused, too.
    pub refused_by_both: u64,
    /// Up to when all is exact; to the end, if there is none.
    pub divergence: Option<Divergence>,
}

/// Refused calls, by what they really came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// They failed: they would have been saved the trouble.
    pub saved: u64,
    /// They succeeded: they would have been refused wrongly.
    pub wrongly: u64,
    /// They came to nothing that says something about the upstream.
    pub undecided: u64,
}

/// The circuit opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// When.
    pub at_us: i64,
    /// The upstream.
    pub upstream: Arc<str>,
    /// Whose circuit; empty for one of all instances.
    pub instance: Arc<str>,
    /// The rule that was broken.
    pub cause: Cause,
    /// Failures in a row.
    pub failure_count: u32,
    /// Calls in the window.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// The call that decided it.
    pub task_id: TaskId,
    /// Tries to close it that failed.
    pub probes_failed: u32,
    /// When it began to carry calls again; none when it did not until the end.
    pub carried_again_us: Option<i64>,
    /// What it would have refused of what went through.
    pub refused: Refused,
    /// Calls that the real circuit refused, too.
    pub refused_by_both: u64,
}

/// Where a replay stops being exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// From when on.
    pub at_us: i64,
    /// What was different.
    pub why: Why,
    /// The call.
    pub task_id: TaskId,
    /// Whose call.
    pub instance: Arc<str>,
}

/// What a proposal does otherwise than was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It refuses a call that went through, so the upstream would have carried less.
    RefusedWhatPassed,
    /// It lets a call through that was refused, and nobody knows how that would have ended.
    PassedWhatWasRefused,
}

/// What the rows do not say, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Doubts {
    /// Rows that stand for several calls, which are taken to have come at once.
    pub folded_rows: u64,
    /// The calls of these rows.
    pub folded_calls: u64,
    /// Calls that ended in an overload, whose Retry-After is not stored.
    pub overloaded: u64,
    /// Calls of several attempts: the waits between them are not stored.
    pub retried: u64,
    /// Attempts that waited for so long that they were looked at: the rows tell when an attempt began,
    /// not when all of its request had been sent, nor whether it asked for a stream of events.
    pub waited: u64,
    /// Calls that Fusebox did not see the end of.
    pub interrupted: u64,
    /// Calls for upstreams that the proposal does not have.
    pub elsewhere: u64,
}

impl Report {
    /// Whether a trip came before its upstream's replay stopped being exact.
    pub fn is_exact(&self, trip: &Trip) -> bool {
        let divergence = self.upstreams.get(&trip.upstream).and_then(|it| it.divergence.as_ref());
        divergence.is_none_or(|divergence| trip.at_us <= divergence.at_us)
    }
}

impl Summary {
    pub(super) fn diverge(&mut self, why: Why, at_us: i64, id: TaskId, instance: &Arc<str>) {
        self.divergence.get_or_insert_with(|| Divergence {
            at_us,
            why,
            task_id: id,
            instance: Arc::clone(instance),
        });
    }
}

impl Refused {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.saved + self.wrongly + self.undecided
    }

    pub(super) const fn add(&mut self, truth: Verdict, calls: u64) {
        match truth {
            Verdict::Failure | Verdict::Overload => self.saved += calls,
            Verdict::Success => self.wrongly += calls,
            Verdict::Neutral => self.undecided += calls,
        }
    }
}

impl Why {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedWhatPassed => "refused_what_passed",
            Self::PassedWhatWasRefused => "passed_what_was_refused",
        }
    }
}

impl Doubts {
    pub(super) fn saw(&mut self, call: &Call) {
        if call.weight > 1 {
            self.folded_rows += 1;
            self.folded_calls += u64::from(call.weight);
        }
        let is_overload = |verdict| verdict == Verdict::Overload;
        self.overloaded += u64::from(call.reason.is_some_and(|why| is_overload(why.verdict())));
        self.retried += u64::from(call.log.len() > 1);
        self.interrupted += u64::from(call.outcome == Outcome::Interrupted);
    }
}

/// The trips so far.
#[derive(Debug, Default)]
pub(super) struct Trips {
    listed: Vec<Trip>,
    left_out: u64,
}

/// Where circuits write down what happens to them at a moment, by a call.
#[derive(Debug)]
pub(super) struct Log<'a> {
    trips: &'a mut Trips,
    at_us: i64,
    id: TaskId,
}

impl Trips {
    pub(super) const fn at(&mut self, at_us: i64, id: TaskId) -> Log<'_> {
        Log { trips: self, at_us, id }
    }

    /// The trip that a circuit is in.
    pub(super) fn of(&mut self, circuit: &Circuit) -> Option<&mut Trip> {
        self.listed.get_mut(circuit.trip?)
    }

    /// Those that are listed, and how many are not.
    pub(super) fn into_parts(self) -> (Vec<Trip>, u64) {
        (self.listed, self.left_out)
    }
}

impl Log<'_> {
    /// A circuit opened; which trip that is, if it is listed.
    pub(super) fn opened(&mut self, circuit: &Circuit, moved: &Transition) -> Option<usize> {
        if self.trips.listed.len() == MAX_TRIPS {
            self.trips.left_out += 1;
            return None;
        }
        self.trips.listed.push(Trip {
            at_us: self.at_us,
            upstream: Arc::clone(&circuit.upstream),
            instance: Arc::clone(&circuit.instance),
            cause: moved.cause,
            failure_count: moved.failure_count,
            window_calls: moved.window_calls,
            window_failures: moved.window_failures,
            task_id: self.id,
            probes_failed: 0,
            carried_again_us: None,
            refused: Refused::default(),
            refused_by_both: 0,
        });
        Some(self.trips.listed.len() - 1)
    }

    /// A try to close the circuit failed.
    pub(super) fn probe_failed(&mut self, trip: Option<usize>) {
        if let Some(trip) = trip.and_then(|at| self.trips.listed.get_mut(at)) {
            trip.probes_failed += 1;
        }
    }

    /// The circuit begins to carry calls again.
    pub(super) fn carries(&mut self, trip: Option<usize>) {
        if let Some(trip) = trip.and_then(|at| self.trips.listed.get_mut(at)) {
            trip.carried_again_us.get_or_insert(self.at_us);
        }
    }
}
