//! Tells of every move of a circuit, whoever must hear of it: log, timeline, metrics, traces.

use std::{sync::Arc, time::Duration};

use tokio::{sync::broadcast::error::RecvError, time::MissedTickBehavior};

use super::emf;
use crate::{
    admin::timeline::{Moment, Timeline},
    breakers::Breakers,
    clock,
    domain::{
        breaker::{Mode, State},
        task::TaskId,
    },
    telemetry::{
        circuits::Circuits,
        traces::{Moved, Tracer},
    },
};

/// How late a move may be told that time alone makes.
const TICK_EVERY: Duration = Duration::from_millis(500);

/// Tells of moves, and of those that time alone makes.
pub(super) fn tell(breakers: &Arc<Breakers>, tracer: Option<&Tracer>) -> (Arc<Timeline>, Circuits) {
    let (timeline, circuits) = (Arc::new(Timeline::default()), Circuits::default());
    let told = (Arc::clone(&timeline), circuits.clone(), tracer.cloned());
    tokio::spawn(tell_transitions(Arc::clone(breakers), told));
    tokio::spawn(let_time_pass(Arc::clone(breakers)));
    (timeline, circuits)
}

/// Makes the moves that time alone makes, so that they are told although no call comes.
async fn let_time_pass(breakers: Arc<Breakers>) {
    let mut every = tokio::time::interval(TICK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now = clock::now();
        breakers.iter().for_each(|circuit| circuit.tick(now));
    }
}

/// Tells the log, the timeline and the metrics of every transition.
async fn tell_transitions(
    breakers: Arc<Breakers>,
    (timeline, circuits, tracer): (Arc<Timeline>, Circuits, Option<Tracer>),
) {
    let (mut changes, mut renewals) = (breakers.changes(), breakers.renewals());
    loop {
        let heard = tokio::select! {
            heard = changes.recv() => heard,
            Ok(()) = renewals.changed() => {
                let there = breakers.iter().map(|circuit| Arc::clone(circuit.name())).collect();
                circuits.renewed(&there, &emf::open(&breakers));
                timeline.keep(|name| there.contains(name));
                continue;
            }
        };
        let change = match heard {
            Ok(change) => change,
            Err(RecvError::Lagged(missed)) => {
                circuits.missed(missed);
                tracing::warn!(missed, "transitions came too fast to be told");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let (name, transition) = (Arc::clone(change.circuit.name()), change.transition);
        let task_ids = change.task_ids;
        // One that the configuration has taken away may move still, by calls that it has admitted.
        let is_there = breakers.of(&name).is_some_and(|it| Arc::ptr_eq(&it, &change.circuit));
        if is_there {
            circuits.moved(&name, &transition);
        }
        let at_us = clock::wall_us();
        if let Some(tracer) = &tracer {
            let (name, transition) = (Arc::clone(&name), transition.clone());
            tracer.moved(Moved { name, transition, at_us, task_ids: task_ids.clone() });
        }
        let is_shadow = transition.mode == Mode::Shadow;
        let is_cut_off = transition.to == State::Open && transition.from != State::Open;
        if is_cut_off && !is_shadow {
            let failure_count = transition.failure_count;
            tracing::warn!(upstream = &*name, failure_count, "calls are cut off");
        }
        tracing::info!(
            upstream = &*name,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            cause = transition.cause.as_str(),
            failure_count = transition.failure_count,
            open_for_ms = u64::try_from(transition.open_for.as_millis()).unwrap_or(u64::MAX),
            mode = transition.mode.as_str(),
            task_ids = shown(&task_ids),
            "{}",
            if is_shadow { "the circuit would have moved" } else { "the circuit moved" }
        );
        timeline.note(Moment { name, at_us, transition, task_ids });
    }
}

/// Ids for a log line; none where there are none.
fn shown(task_ids: &[TaskId]) -> Option<String> {
    let ids: Vec<_> = task_ids.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::tell;
    use crate::{
        app::emf::open,
        breakers::Breakers,
        clock,
        domain::{breaker::Policy, emf::Moves},
        telemetry::{circuits::Circuits, metrics::Source as _},
    };

    /// Circuits of these names, and where each of them is.
    fn rows<'a>(names: &'a [&'a str]) -> impl Iterator<Item = (Arc<str>, String, Policy)> + 'a {
        names.iter().map(|name| (Arc::from(*name), format!("{name}@1"), Policy::default()))
    }

    fn fail(breakers: &Breakers, name: &str) {
        let circuit = breakers.of(name).expect("it is there");
        (0..5).for_each(|_| circuit.check(false, clock::now()));
    }

    /// The circuits whose moves are told.
    fn told(circuits: &Circuits) -> BTreeSet<String> {
        let samples = circuits.families().into_iter().flat_map(|family| family.samples);
        samples.map(|sample| sample.labels[0].1.to_string()).collect()
    }

    /// Lets the tasks that tell go on until it is so.
    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn what_a_reload_takes_away_is_neither_open_nor_told_any_more() {
        let breakers = Arc::new(Breakers::new(rows(&["payments", "music"]), true));
        let (_timeline, circuits) = tell(&breakers, None);
        let gone = breakers.of("payments").expect("it is there");
        tokio::task::yield_now().await;
        fail(&breakers, "payments");
        until(|| told(&circuits) == set(&["payments"])).await;

        breakers.renew(rows(&["music", "search"]), clock::now());
        until(|| told(&circuits).is_empty()).await;
        // A call that the old one has admitted may end only now.
        gone.check(true, clock::now());
        fail(&breakers, "music");
        until(|| told(&circuits) == set(&["music"])).await;
        let moves = circuits.take(open(&breakers));
        assert_eq!(moves, Moves { most_open: 1, changes: 2 }, "never two at a time");
    }
}
