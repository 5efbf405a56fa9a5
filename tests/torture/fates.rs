//! What happens, and when: a script drawn from a seed.

use std::fmt;

use fastrand::Rng;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Fusebox is killed and started again.
    FuseboxIsKilled,
    /// Postgres is killed: nothing is finished, nothing is told.
    PostgresIsKilled,
    /// Postgres is stopped at once; connections hear of it.
    PostgresStops,
    PostgresReturns,
    UpstreamFails,
    UpstreamRecovers,
}

/// Events, each so many calls after the one before.
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) events: Vec<(u64, Event)>,
}

impl Script {
    /// Draws one for so many calls. Pauses are up to `pause` calls.
    pub(crate) fn draw(seed: u64, calls: u64, pause: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (mut is_away, mut is_failing) = (false, false);
        let (mut events, mut passed) = (Vec::new(), 0);
        while passed < calls {
            let after = rng.u64(pause / 8..pause);
            let event = match rng.u32(0..10) {
                0..4 => Event::FuseboxIsKilled,
                4..8 if is_away => Event::PostgresReturns,
                4..6 => Event::PostgresIsKilled,
                6..8 => Event::PostgresStops,
                _ if is_failing => Event::UpstreamRecovers,
                _ => Event::UpstreamFails,
            };
            match event {
                Event::PostgresIsKilled | Event::PostgresStops => is_away = true,
                Event::PostgresReturns => is_away = false,
                Event::UpstreamFails => is_failing = true,
                Event::UpstreamRecovers => is_failing = false,
                Event::FuseboxIsKilled => {}
            }
            events.push((after, event));
            passed += after;
        }
        Self { seed, events }
    }

    /// This one.
    pub(crate) fn of(events: &[(u64, Event)]) -> Self {
        Self { seed: 0, events: events.to_vec() }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FUSEBOX_TORTURE_SEED={}", self.seed)?;
        self.events.iter().try_for_each(|(after, event)| write!(f, "\n  +{after} calls: {event:?}"))
    }
}
