//! Two instances that share a circuit, one upstream, and somebody who calls through both.

use std::time::Duration;

use serde_json::Value;

use super::caller::Caller;
use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status},
    local::wait_until,
};

/// See the module docs.
pub(super) struct Pair {
    pub(super) upstream: ScriptedUpstream,
    pub(super) each: [Fusebox; 2],
    callers: [Caller; 2],
}

/// What one of them does otherwise than the other.
type Change<'a> = &'a dyn Fn(Setup) -> Setup;

impl Pair {
    /// With these keys of the breaker. Both are the fleet when this returns, and are told of changes.
    pub(super) fn start(database: &Database<'_>, breaker: &str) -> Self {
        Self::with(database, breaker, &|setup| setup)
    }

    /// The same; the second is changed in some way.
    pub(super) fn with(database: &Database<'_>, breaker: &str, change: Change<'_>) -> Self {
        let upstream = ScriptedUpstream::start();
        let setup = || {
            let breaker = format!("breaker: {{ {breaker} }}");
            let setup = Setup::payments(&upstream.url(), &[&breaker]).database(&database.url);
            setup.with("logs: { calls: none }")
        };
        // The first makes the tables.
        let each = [setup().start(), change(setup()).start()];
        for fusebox in &each {
            wait_until("both are there, and told of changes", PATIENCE, || {
                let store = store(fusebox);
                (store["instances"] == 2 && store["syncMode"] == "listen").then_some(())
            });
        }
        let callers = each.each_ref().map(Caller::of);
        Self { upstream, each, callers }
    }

    /// The upstream answers with errors, or well.
    pub(super) fn upstream_is_well(&self, well: bool) {
        self.upstream.answer(status(if well { 200 } else { 500 }));
    }

    /// Waits until both read so.
    pub(super) fn wait_for(&self, state: &str, limit: Duration) {
        for fusebox in &self.each {
            fusebox.wait_for_state("payments", state, limit);
        }
    }

    /// How many calls were refused, here and there.
    pub(super) fn refused(&self) -> [usize; 2] {
        self.callers.each_ref().map(Caller::refused)
    }

    /// How many calls passed, here and there.
    pub(super) fn passed(&self) -> [usize; 2] {
        self.callers.each_ref().map(Caller::passed)
    }

    /// Waits until so many more calls have passed through each, and none was refused.
    pub(super) fn passes(&self, count: usize) {
        let (refused, before) = (self.refused(), self.passed());
        wait_until("calls pass", PATIENCE, || {
            let passed = self.passed();
            (0..2).all(|at| passed[at] >= before[at] + count).then_some(())
        });
        assert_eq!(self.refused(), refused, "nobody is refused");
    }

    /// Waits until both have the store and are told of changes.
    pub(super) fn wait_for_store(&self) {
        for fusebox in &self.each {
            wait_for_store(fusebox, |store| store["reachable"] == true && is_told(store));
        }
    }

    /// Waits until both say that the store is away, and why.
    pub(super) fn wait_for_fault(&self, why: &str) {
        for fusebox in &self.each {
            wait_for_store(fusebox, |store| {
                let fault = store["fault"].as_str().unwrap_or_default();
                store["reachable"] == false && fault.contains(why)
            });
        }
    }
}

/// The store as one of them sees it.
pub(super) fn store(fusebox: &Fusebox) -> Value {
    fusebox.ask("/api/v1/status")["store"].take()
}

/// Waits until one of them sees it so.
pub(super) fn wait_for_store(fusebox: &Fusebox, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    wait_until("the store is seen so", PATIENCE, || {
        last = store(fusebox);
        is_so(&last).then_some(())
    });
    last
}

pub(super) fn is_told(store: &Value) -> bool {
    store["syncMode"] == "listen" && store["syncReason"].is_null()
}
