//! An upstream fails for all at once, and is well again.

use std::time::{Duration, Instant};

use fusebox::{clock, domain::breaker::State};

use crate::{
    Result,
    counts::Asked,
    crowd::Crowd,
    lab::{Done, Lab},
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the server's processes may take to tell of what they did.
const TOLD: Duration = Duration::from_millis(2_500);

/// See the module's text.
pub(crate) struct Incident {
    /// From the first circuit that opened: when each refused its calls.
    pub(crate) refused: Times,
    /// When each had heard that the fleet has opened.
    pub(crate) opened: Times,
    /// When each knew that calls pass again, from when the first did.
    pub(crate) passed: Times,
    /// Up to when the fleet was open, and from then until it was closed.
    pub(crate) opening: Cost,
    pub(crate) closing: Cost,
    /// Transitions of the fleet, each with its event.
    pub(crate) epochs: i64,
    pub(crate) events: i64,
    pub(crate) probes: u64,
}

/// What it took of the database.
pub(crate) struct Cost {
    pub(crate) asked: Asked,
    pub(crate) done: Done,
}

/// When something became so for each, from when it did for the first.
pub(crate) struct Times(Vec<Option<Instant>>);

impl Times {
    fn of(count: usize) -> Self {
        Self(vec![None; count])
    }

    /// Notes for whom it is so. Whether it is for all.
    fn note(&mut self, is_so: impl Iterator<Item = bool>) -> bool {
        let now = clock::now();
        for (time, is_so) in self.0.iter_mut().zip(is_so) {
            *time = time.or_else(|| is_so.then_some(now));
        }
        self.0.iter().all(Option::is_some)
    }

    /// After how many seconds it was so for this share of them, in percent, counted from `began`.
    pub(crate) fn seconds(&self, percent: usize, began: Option<Instant>) -> f64 {
        let mut times: Vec<_> = self.0.iter().flatten().collect();
        times.sort_unstable();
        let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
        let time = times.get(at).zip(began);
        time.map_or(f64::NAN, |(at, began)| at.duration_since(began).as_secs_f64())
    }

    /// When it was so for the first.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}

pub(crate) async fn measure(lab: &Lab, crowd: &Crowd) -> Result<Incident> {
    let count = crowd.len();
    let [mut refused, mut opened, mut passed] = [0; 3].map(|_| Times::of(count));
    let epoch = epochs(lab).await?;
    let (asked, done) = (lab.counts.asked(), lab.done().await?);
    crowd.is_well(false);
    let first = u64::try_from(epoch)? + 1;
    let has_opened = |crowd: &Crowd| {
        refused.note(crowd.see().map(|seen| seen.state != State::Closed));
        opened.note(crowd.see().map(|seen| seen.epoch >= first))
    };
    crowd.live_until("all have heard that it is open", LIMIT, has_opened).await?;
    let open = lab.counts.asked();
    crowd.live(TOLD).await;
    crowd.is_well(true);
    let between = lab.done().await?;
    let has_passed = |crowd: &Crowd| {
        let passes = |state| matches!(state, State::Ramping | State::Closed);
        passed.note(crowd.see().map(|seen| passes(seen.state)));
        crowd.are_closed()
    };
    crowd.live_until("all are closed", LIMIT, has_passed).await?;
    crowd.live(TOLD).await;
    let end = lab.done().await?;
    let events = "select count(*) from circuit_breaker_event where epoch > ";
    let probes = lab.counts.asked().since(&asked);
    Ok(Incident {
        refused,
        opened,
        passed,
        opening: Cost { asked: open.since(&asked), done: between.since(&done) },
        closing: Cost { asked: lab.counts.asked().since(&open), done: end.since(&between) },
        epochs: epochs(lab).await? - epoch,
        events: lab.number(&format!("{events}{epoch}")).await?,
        probes: probes.done[3],
    })
}

/// Transitions so far.
async fn epochs(lab: &Lab) -> Result<i64> {
    lab.number("select coalesce(sum(epoch), 0)::bigint from circuit_breaker_state").await
}
