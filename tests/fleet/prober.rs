//! What becomes of one who tries the upstream for all: nothing that happens to it or to its call
//! keeps the circuit half-open.

use std::{sync::RwLockReadGuard, time::Duration};

use super::{caller::Caller, machine, votes::wait_for_hearts};
use crate::{
    harness::{
        Answer, Database, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw, stall,
        status,
    },
    local::wait_until,
};

/// Two leases of a prober.
const TWO_LEASES: Duration = Duration::from_secs(20);

/// Two instances whose fleet tries an upstream that is back, with a call that comes to nothing.
struct Trial {
    // Callers go first: those who call nobody are not listened to.
    callers: [Vec<Caller>; 2],
    fleet: [Fusebox; 2],
    /// Which of them tries.
    prober: usize,
    upstream: ScriptedUpstream,
    database: Database<'static>,
    _turn: RwLockReadGuard<'static, ()>,
}

impl Trial {
    /// The call that tries it gets this answer, and so do the first of the next.
    fn with(answer: Answer) -> Self {
        let turn = machine::shared();
        let (upstream, database) = (ScriptedUpstream::start(), Database::new());
        let fleet = [(), ()].map(|()| {
            let breaker = "breaker: { open_for: 1s, open_for_max: 1s, ramp: 0s }";
            Setup::payments(&upstream.url(), &[breaker]).database(&database.url).start()
        });
        wait_for_hearts(&database, fleet.len());
        let callers =
            fleet.each_ref().map(|fusebox| vec![Caller::of(fusebox), Caller::of(fusebox)]);
        // So many that each knows how long answers take.
        wait_until("calls pass", PATIENCE, || (upstream.hits() > 60).then_some(()));
        upstream.answer(status(500));
        for fusebox in &fleet {
            fusebox.wait_for_state("payments", "OPEN", PATIENCE);
        }
        upstream.answer(answer);
        let before = upstream.hits();
        wait_until("a probe is under way", PATIENCE, || (upstream.hits() > before).then_some(()));
        let path = upstream.last().line.split(' ').nth(1).map(|path| path[1..].to_owned());
        let is_prober = |pid: u32| path.as_deref() == Some(&pid.to_string());
        let prober = fleet.iter().position(|it| is_prober(it.pid())).expect("one of them");
        Self { callers, fleet, prober, upstream, database, _turn: turn }
    }

    /// All others are answered, and the circuit closes for the one who did not try.
    fn is_left_in_time(&self, fate: &str) {
        self.upstream.answer(status(200));
        let began = fusebox::clock::now();
        self.fleet[1 - self.prober].wait_for_state("payments", "CLOSED", TWO_LEASES);
        let took = fusebox::clock::now().duration_since(began);
        eprintln!("closed {took:?} after {fate}");
        assert_eq!(self.database.query("select state from circuit_breaker_state"), "closed");
    }
}

#[test]
fn a_killed_prober_is_followed_by_another() {
    let mut trial = Trial::with(stall());
    trial.fleet[trial.prober].kill9();
    trial.is_left_in_time("the prober was killed");
}

#[test]
fn a_probe_whose_caller_goes_away_is_followed_by_another() {
    let trial = Trial::with(stall());
    trial.callers[trial.prober].iter().for_each(Caller::goes_away);
    trial.is_left_in_time("the caller went away");
}

#[test]
fn a_probe_that_is_never_answered_is_followed_by_another() {
    let trial = Trial::with(stall());
    trial.is_left_in_time("the call was sent that is never answered");
}

#[test]
fn a_probe_whose_answer_never_ends_is_followed_by_another() {
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    let trial = Trial::with(vec![Step::ReadBody, head, Step::WaitFor(Gate::new())]);
    trial.is_left_in_time("the answer began that never ends");
}
