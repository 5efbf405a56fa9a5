//! The calls of a scenario, and what they come to.

use std::time::Duration;

use crate::timeline::{Phase, Timeline};

/// A call that ends sooner than this did not wait for C.
pub(crate) const FAST: Duration = Duration::from_millis(500);

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What B does without C.
    Unrelated,
    /// What A does without B.
    Own,
    /// What needs C, through one of B's instances.
    Needing(usize),
}

/// A call that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// When it began, from the beginning of the round.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    pub(crate) is_good: bool,
}

/// All calls of a scenario, of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Call>);

impl Samples {
    pub(crate) fn add(&mut self, call: Call) {
        self.0.push(call);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All calls of a phase.
    pub(crate) fn in_phase(&self, phase: Phase, timeline: Timeline) -> Vec<Call> {
        let is_it = |call: &&Call| timeline.phase(call.at) == phase;
        self.0.iter().filter(is_it).copied().collect()
    }

    /// The calls of a kind in a phase.
    pub(crate) fn of(&self, kind: Kind, phase: Phase, timeline: Timeline) -> Vec<Call> {
        let mut calls = self.in_phase(phase, timeline);
        calls.retain(|call| call.kind == kind);
        calls
    }

    /// How many calls that need no C were lost since it began to hang.
    pub(crate) fn lost(&self, timeline: Timeline) -> usize {
        let is_lost = |call: &&Call| {
            matches!(call.kind, Kind::Unrelated | Kind::Own)
                && call.at >= timeline.hangs_at()
                && !call.is_good
        };
        self.0.iter().filter(is_lost).count()
    }

    /// When calls that need C began to fail fast, from when it hung; none if they never did.
    pub(crate) fn fails_fast_after(&self, kind: Kind, timeline: Timeline) -> Option<Duration> {
        let calls = self.of(kind, Phase::Hang, timeline);
        let fast = calls.iter().filter(|call| !call.is_good && call.took < FAST);
        fast.map(|call| call.at - timeline.hangs_at()).min()
    }

    /// Calls that waited for C in vain while it hung.
    pub(crate) fn waited_in_vain(&self, kind: Kind, timeline: Timeline) -> usize {
        let calls = self.of(kind, Phase::Hang, timeline);
        calls.iter().filter(|call| !call.is_good && call.took >= FAST).count()
    }

    /// When the last call of a kind failed, from when C was back: zero if none did, and none if
    /// calls failed until the end.
    pub(crate) fn recovers_after(&self, kind: Kind, timeline: Timeline) -> Option<Duration> {
        let calls = self.of(kind, Phase::Back, timeline);
        let last_good = calls.iter().filter(|call| call.is_good).map(|call| call.at).max()?;
        let last_failed = calls.iter().filter(|call| !call.is_good).map(|call| call.at).max();
        match last_failed {
            Some(failed) if failed > last_good => None,
            Some(failed) => Some(failed - timeline.back_at()),
            None => Some(Duration::ZERO),
        }
    }
}

/// The share of good calls, in percent; NaN of none.
#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
pub(crate) fn good_percent(calls: &[Call]) -> f64 {
    let good = calls.iter().filter(|call| call.is_good).count();
    100.0 * good as f64 / calls.len() as f64
}

/// What a share of the calls did not exceed, in milliseconds; NaN of none. A call that failed took
/// as long as its caller waited.
pub(crate) fn took_ms(calls: &[Call], percent: usize) -> f64 {
    let mut took: Vec<Duration> = calls.iter().map(|call| call.took).collect();
    took.sort_unstable();
    let at = (took.len() * percent).div_ceil(100).saturating_sub(1);
    took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
}
