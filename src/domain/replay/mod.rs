//! Replay: what a breaker with other rules would have made of calls that are long over.
//!
//! Stored calls go through the same machine as live ones, [`Breaker`](super::breaker::Breaker), on a
//! time line that is made of their own times. Nothing here reads rows, clocks or dice: calls are fed
//! in the order in which they began, and the [`Report`] tells each trip that the rules would have
//! made, what it would have cost and what it would have spared.
//!
//! A call is three moments to a circuit: it is admitted when an attempt begins, judged at the
//! response head, and its body may die later; a long wait between the first two is looked at. Calls overlap, so these moments wait in an agenda,
//! which holds no more than the calls that are under way at a time: memory does not grow with the
//! rows.
//!
//! # Where it stops being exact
//!
//! A refused call has no outcome. So the replay of an upstream is exact up to its first
//! [`Divergence`]: the first call that the rules refuse although it went through, or let through
//! although it was refused. From there on the upstream would have carried another load, and what
//! later calls would have met is a guess, though the best that there is: each is taken to have gone
//! as it did. What else the rows do not say is counted in [`Doubts`].

mod agenda;
mod call;
mod circuit;
mod report;
mod tries;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    agenda::Agenda,
    circuit::{Admitted, Circuit},
    report::Trips,
    tries::{Carried, carried},
};
use super::{
    breaker::{Mode, Policy, Receipt},
    outcome::{Outcome, Reason, Verdict},
    task::TaskId,
};

pub use call::{Call, Logged};
pub use report::{Divergence, Doubts, Refused, Report, Span, Summary, Trip, Why};

/// The rules that are tried.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// By the name of the circuit, which is its upstream's unless a route has its own. One in shadow
    /// is tried as if it were in force: what it would do is the question. A disabled one never trips.
    pub circuits: BTreeMap<Arc<str>, Policy>,
    /// The circuits that routes have for themselves.
    pub of_routes: Vec<OfRoute>,
}

/// A route whose calls to its upstream have a circuit of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRoute {
    /// The upstream.
    pub upstream: Arc<str>,
    /// The route.
    pub route: Arc<str>,
    /// The circuit.
    pub circuit: Arc<str>,
}

/// Whose calls a circuit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each instance has a circuit per upstream, as it had.
    PerInstance,
    /// All instances have one circuit per upstream, as if the fleet knew everything at once.
    OneForAll,
}

/// A replay under way. See the module's text.
#[derive(Debug)]
pub struct Replay {
    span: Span,
    sharing: Sharing,
    timeline: Timeline,
    upstreams: HashMap<Arc<str>, Upstream>,
    /// The circuits of routes, by upstream and then by route.
    of_routes: HashMap<Arc<str>, HashMap<Arc<str>, Arc<str>>>,
    circuits: Vec<Circuit>,
    agenda: Agenda<Event>,
    /// The latest moment that was reached.
    now_us: i64,
    trips: Trips,
    doubts: Doubts,
    rows: u64,
}

/// One upstream, or one route to it that is apart, and the circuits towards it.
#[derive(Debug)]
struct Upstream {
    policy: Policy,
    /// By instance.
    circuits: HashMap<Arc<str>, usize>,
    summary: Summary,
}

/// Something that happens to a circuit.
#[derive(Debug)]
enum Event {
    /// The next attempt of a call begins.
    Begins(Carried),
    /// It has waited for its response head for so long that a rule may want to know.
    Waits { admitted: Admitted, call: Carried },
    /// Its response head came, or the error in place of it.
    Judged { admitted: Admitted, call: Carried },
    /// The body of a success ended, or died.
    Ends { circuit: usize, receipt: Receipt, dies: bool, id: TaskId },
    /// A health check has its result.
    Checked { circuit: usize, ok: bool, id: TaskId },
}

/// Where the microseconds of rows lie among instants.
#[derive(Debug, Clone, Copy)]
struct Timeline {
    from_us: i64,
    base: Instant,
}

impl Replay {
    /// Begins a replay of the calls that began in `span` under these rules. Every circuit is closed
    /// at its beginning. `base` is any instant: it stands for that moment.
    pub fn new(rules: Rules, sharing: Sharing, span: Span, base: Instant) -> Self {
        let mut of_routes: HashMap<_, HashMap<_, _>> = HashMap::new();
        for OfRoute { upstream, route, circuit } in rules.of_routes {
            of_routes.entry(upstream).or_default().insert(route, circuit);
        }
        let circuits = rules.circuits.into_iter();
        let upstreams = circuits.map(|(name, policy)| (name, Upstream::new(policy)));
        Self {
            span,
            sharing,
            timeline: Timeline { from_us: span.from_us, base },
            upstreams: upstreams.collect(),
            of_routes,
            circuits: Vec::new(),
            agenda: Agenda::default(),
            now_us: span.from_us,
            trips: Trips::default(),
            doubts: Doubts::default(),
            rows: 0,
        }
    }

    /// Takes the next call, in the order in which they began. One that is out of order is taken to
    /// have begun when the one before it did.
    pub fn feed(&mut self, call: &Call) {
        self.rows += 1;
        let began_us = call.started_at_us.max(self.now_us);
        self.pass_until(began_us);
        if call.is_check {
            return self.check(call, began_us);
        }
        let home = self.home(call);
        match self.upstreams.get_mut(&home) {
            Some(upstream) => {
                upstream.summary.calls += u64::from(call.weight);
                self.doubts.saw(call);
            }
            None => self.doubts.elsewhere += u64::from(call.weight),
        }
        if call.was_refused_by_circuit() {
            self.was_refused(call, &home, began_us);
        }
        if call.outcome == Outcome::Refused && call.attempts == 0 {
            return;
        }
        let policy = |name: &str| self.upstreams.get(name).map(|upstream| &upstream.policy);
        let carried = carried(call, &home, began_us, policy);
        self.begin(carried, began_us);
    }

    /// Lets the calls that are still under way end, and tells what came of it.
    pub fn finish(mut self) -> Report {
        self.pass_until(i64::MAX);
        let upstreams = self.upstreams.into_iter().map(|(name, upstream)| {
            let circuits = upstream.circuits.len() as u64;
            (name, Summary { circuits, ..upstream.summary })
        });
        let (trips, trips_left_out) = self.trips.into_parts();
        Report {
            span: self.span,
            rows: self.rows,
            upstreams: upstreams.collect(),
            trips,
            trips_left_out,
            doubts: self.doubts,
        }
    }

    /// Lets happen what happens until then.
    fn pass_until(&mut self, until_us: i64) {
        while let Some((at_us, event)) = self.agenda.next_until(until_us) {
            self.now_us = self.now_us.max(at_us);
            match event {
                Event::Begins(call) => self.begin(call, at_us),
                Event::Waits { admitted, call } => self.wait(admitted, call, at_us),
                Event::Judged { admitted, call } => self.judge(admitted, call, at_us),
                Event::Ends { circuit, receipt, dies, id } => {
                    self.end(circuit, receipt, dies, id, at_us);
                }
                Event::Checked { circuit, ok, id } => {
                    let now = self.timeline.at(at_us);
                    self.circuits[circuit].check(ok, now, &mut self.trips.at(at_us, id));
                }
            }
        }
        self.now_us = self.now_us.max(until_us.min(self.span.to_us));
    }

    /// The next attempt of a call asks its circuit.
    fn begin(&mut self, mut call: Carried, at_us: i64) {
        let Some(tried) = call.tries.last() else { return };
        let name = Arc::clone(&tried.circuit);
        let Some(circuit) = self.circuit(&name, &call.instance) else {
            // An upstream that the proposal does not know has no rules to try.
            call.skip(&name);
            return self.go_on(call, at_us);
        };
        let now = self.timeline.at(at_us);
        let log = &mut self.trips.at(at_us, call.id);
        match self.circuits[circuit].admit(call.is_idempotent, now, log) {
            Some(permit) => {
                let look = self.circuits[circuit].first_look().filter(|_| !call.is_patient);
                self.go_on_waiting(Admitted { circuit, permit, at_us }, call, look);
            }
            None => {
                let truth = call.skip(&name);
                self.refuse(circuit, &name, truth, &call, at_us);
                self.go_on(call, at_us);
            }
        }
    }

    /// The rules refuse a call that went through.
    fn refuse(&mut self, at: usize, name: &str, truth: Verdict, call: &Carried, at_us: i64) {
        let weight = u64::from(call.weight);
        let Some(upstream) = self.upstreams.get_mut(name) else { return };
        upstream.summary.refused.add(truth, weight);
        upstream.summary.diverge(Why::RefusedWhatPassed, at_us, call.id, &call.instance);
        if let Some(trip) = self.trips.of(&self.circuits[at]) {
            trip.refused.add(truth, weight);
        }
    }

    /// An attempt waits until it is judged, with a look at it after so long, if it takes longer.
    fn go_on_waiting(&mut self, admitted: Admitted, call: Carried, look: Option<Duration>) {
        let judged_us = call.tries.last().map_or(admitted.at_us, |tried| tried.judged_us);
        let look_us = look.map(|look| admitted.at_us.saturating_add(micros(look)));
        match look_us.filter(|look_us| *look_us < judged_us) {
            Some(look_us) => self.agenda.put(look_us, Event::Waits { admitted, call }),
            None => {
                let judged_us = judged_us.max(admitted.at_us);
                self.agenda.put(judged_us, Event::Judged { admitted, call });
            }
        }
    }

    /// An attempt still waits.
    fn wait(&mut self, mut admitted: Admitted, call: Carried, at_us: i64) {
        let now = self.timeline.at(at_us);
        let waited = now.saturating_duration_since(self.timeline.at(admitted.at_us));
        if !admitted.permit.has_waited() {
            self.doubts.waited += u64::from(call.weight);
        }
        let log = &mut self.trips.at(at_us, call.id);
        let circuit = &mut self.circuits[admitted.circuit];
        let look = circuit.waits(&mut admitted.permit, waited, now, log);
        self.go_on_waiting(admitted, call, look);
    }

    /// An attempt has its verdict.
    fn judge(&mut self, admitted: Admitted, mut call: Carried, at_us: i64) {
        let Some(tried) = call.tries.pop() else { return };
        let (circuit, now) = (admitted.circuit, self.timeline.at(at_us));
        let log = &mut self.trips.at(at_us, call.id);
        let copies = if call.tries.is_empty() { call.weight } else { 1 };
        let (live, observed) = (&mut self.circuits[circuit], tried.observed());
        let receipt = live.record(admitted.permit, observed, now, log);
        live.repeat(copies.saturating_sub(1), call.is_idempotent, observed, now, log);
        if !receipt.is_final() {
            let event = Event::Ends { circuit, receipt, dies: tried.dies, id: call.id };
            self.agenda.put(tried.ended_us.max(at_us), event);
        }
        self.go_on(call, at_us);
    }

    /// The call's next attempt, if it has one.
    fn go_on(&mut self, call: Carried, at_us: i64) {
        if let Some(next) = call.tries.last() {
            self.agenda.put(next.began_us.max(at_us), Event::Begins(call));
        }
    }

    /// The body of an answer has ended.
    fn end(&mut self, circuit: usize, receipt: Receipt, dies: bool, id: TaskId, at_us: i64) {
        let now = self.timeline.at(at_us);
        self.circuits[circuit].end(receipt, dies, now, &mut self.trips.at(at_us, id));
    }

    /// A call that the circuit really refused: nobody knows what it would have met.
    fn was_refused(&mut self, call: &Call, home: &Arc<str>, at_us: i64) {
        let Some(at) = self.circuit(home, &call.instance) else { return };
        let (weight, now) = (u64::from(call.weight), self.timeline.at(at_us));
        let log = &mut self.trips.at(at_us, call.id);
        let refuses = self.circuits[at].would_refuse(call.is_idempotent, now, log);
        let Some(upstream) = self.upstreams.get_mut(home) else { return };
        upstream.summary.really_refused += weight;
        if refuses {
            upstream.summary.refused_by_both += weight;
            if let Some(trip) = self.trips.of(&self.circuits[at]) {
                trip.refused_by_both += weight;
            }
        } else {
            upstream.summary.diverge(Why::PassedWhatWasRefused, at_us, call.id, &call.instance);
        }
    }

    /// A check, or successes that were folded into one row, which came at an even pace through the
    /// rest of their minute.
    fn check(&mut self, call: &Call, began_us: i64) {
        let verdict = call.reason.map_or(Verdict::Success, Reason::verdict);
        let Some(circuit) = self.circuit(&call.upstream, &call.instance) else { return };
        if verdict == Verdict::Neutral {
            return;
        }
        let (ok, id) = (verdict == Verdict::Success, call.id);
        let first_us = call.ended_us(began_us);
        let count = call.weight.clamp(1, MAX_CHECKS_FOLDED);
        let pace = (MINUTE_US - began_us.rem_euclid(MINUTE_US)) / i64::from(count);
        for nth in 0..i64::from(count) {
            self.agenda
                .put(first_us.saturating_add(nth * pace), Event::Checked { circuit, ok, id });
        }
    }

    /// The name of the circuit that a call meets first.
    fn home(&self, call: &Call) -> Arc<str> {
        let of_routes = self.of_routes.get(&call.upstream);
        let own = of_routes.and_then(|of_routes| of_routes.get(&call.route));
        Arc::clone(own.unwrap_or(&call.upstream))
    }

    /// The circuit of an instance towards an upstream; none when there are no rules for it.
    fn circuit(&mut self, upstream: &str, instance: &Arc<str>) -> Option<usize> {
        let (name, _) = self.upstreams.get_key_value(upstream)?;
        let name = Arc::clone(name);
        let known = self.upstreams.get_mut(upstream)?;
        let instance = match self.sharing {
            Sharing::PerInstance => instance,
            Sharing::OneForAll => &Arc::from(""),
        };
        if let Some(at) = known.circuits.get(instance) {
            return Some(*at);
        }
        let at = self.circuits.len();
        known.circuits.insert(Arc::clone(instance), at);
        let policy = known.policy.clone();
        self.circuits.push(Circuit::new(policy, name, Arc::clone(instance), self.timeline.base));
        Some(at)
    }
}

impl Upstream {
    fn new(configured: Policy) -> Self {
        let mode = match configured.mode {
            Mode::Shadow => Mode::Auto,
            other => other,
        };
        let summary = Summary { mode: configured.mode, ..Summary::default() };
        Self { policy: Policy { mode, ..configured }, circuits: HashMap::new(), summary }
    }
}

impl Timeline {
    /// A moment. What is too far to be represented is the beginning.
    fn at(self, us: i64) -> Instant {
        let passed = u64::try_from(us.saturating_sub(self.from_us)).unwrap_or(0);
        self.base.checked_add(Duration::from_micros(passed)).unwrap_or(self.base)
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

const MINUTE_US: i64 = 60_000_000;

/// Successful checks that one row may stand for: checks are a second apart at least.
const MAX_CHECKS_FOLDED: u32 = 60;
