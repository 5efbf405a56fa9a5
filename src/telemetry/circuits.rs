//! How often circuits moved, from where to where, and why.
//!
//! Told of every transition by who hears of them; read by `/metrics` and by the lines for
//! CloudWatch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::metrics::{Family, Kind, Sample, Source};
use crate::domain::{
    breaker::{Mode, State, Transition},
    emf,
};

/// See the module docs.
#[derive(Debug, Clone, Default)]
pub struct Circuits(Arc<Mutex<Moved>>);

#[derive(Debug, Default)]
struct Moved {
    transitions: BTreeMap<Move, u64>,
    told: emf::Circuits,
}

/// Of which circuit, from where, to where, and why.
type Move = (Arc<str>, &'static str, &'static str, &'static str);

impl Circuits {
    /// One moved. What it would have done in shadow is not felt by callers, so it counts only where
    /// shadows are looked at.
    pub fn moved(&self, name: &Arc<str>, transition: &Transition) {
        let &Transition { from, to, cause, mode, .. } = transition;
        // What was open here and is open by the fleet now has not moved.
        if from == to {
            return;
        }
        let mut moved = self.lock();
        let key = (Arc::clone(name), from.as_str(), to.as_str(), cause.as_str());
        *moved.transitions.entry(key).or_default() += 1;
        if mode != Mode::Shadow {
            moved.told.moved(name, to == State::Open);
        }
    }

    /// There are other circuits: these, of which some are open. What is gone is told no more, so that
    /// names do not add up while the configuration changes.
    pub fn renewed(&self, there: &BTreeSet<Arc<str>>, open: &BTreeSet<Arc<str>>) {
        let mut moved = self.lock();
        moved.transitions.retain(|(name, ..), _| there.contains(name));
        moved.told.renewed(open);
    }

    /// So many moves were missed.
    pub fn missed(&self, moves: u64) {
        self.lock().told.missed(moves);
    }

    /// What there was since this was last asked; `open` are the circuits that are open now.
    pub fn take(&self, open: BTreeSet<Arc<str>>) -> emf::Moves {
        self.lock().told.take(open)
    }

    fn lock(&self) -> MutexGuard<'_, Moved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Circuits {
    fn families(&self) -> Vec<Family> {
        let sample = |(moved, count): (&Move, &u64)| {
            let (name, from, to, cause) = moved;
            let labels = vec![
                ("upstream", name.to_string().into()),
                ("from", (*from).into()),
                ("to", (*to).into()),
                ("cause", (*cause).into()),
            ];
            Sample::new(labels, number(*count))
        };
        vec![Family {
            name: "fusebox_breaker_transitions",
            help: "Moves of the breaker from one state to another, in shadow too",
            kind: Kind::Counter,
            samples: self.lock().transitions.iter().map(sample).collect(),
        }]
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}
