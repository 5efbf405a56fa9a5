//! Early warnings: looked for once a minute, told on every instance, held against what happened.
//!
//! What the whole fleet sees is watched by one instance, which holds a lease in the store
//! (`fleet`); what only an instance knows of itself it watches itself (`local`). Both say what
//! they see in the store, again and again for as long as it lasts, and every instance shows what is
//! being said there ([`Board`]).

mod board;
mod fates;
mod fleet;
mod local;

use std::{convert::Infallible, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::time::sleep;
use tracing::{debug, error};

pub use board::{Board, Moment};
pub use local::Upstream;

use self::{fleet::Fleet, local::Local};
use crate::{
    clock,
    domain::{learn::warn::claim::Claim, units::Percent, wait::spread},
    store::{Error, HistoryStore, Notice, Subject, WarningStore, causes},
};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// How far apart instances that started together drift: 10 %.
const JITTER: Option<Percent> = Percent::from_basis_points(1_000);

/// For so long whoever watches for all is believed to be at it: one round may fail.
const LEASE: Duration = Duration::from_secs(150);

/// For so long a warning lasts that is not repeated: until another has taken over.
const LASTS: Duration = Duration::from_secs(300);

/// What is looked at, and where it is told.
pub struct Watch {
    /// What happened.
    pub history: Arc<dyn HistoryStore>,
    /// What was warned of.
    pub store: Arc<dyn WarningStore>,
    /// The upstreams of this instance.
    pub upstreams: Vec<Upstream>,
    /// The share of calls that is to succeed over 30 days.
    pub objective: Percent,
    /// Where it is shown.
    pub board: Arc<Board>,
}

/// A watch under way.
struct Watching {
    watch: Watch,
    local: Local,
    /// While this instance watches for all.
    fleet: Option<Fleet>,
}

impl Watch {
    /// Watches until it is dropped.
    pub async fn forever(self) -> Infallible {
        let mut watching = Watching::new(self);
        let mut is_told = false;
        loop {
            match watching.round(clock::wall_us()).await {
                Ok(()) => is_told = false,
                // An outage is the writer's to tell.
                Err(Error::Unavailable(cause)) => debug!(error = cause, "nothing was watched"),
                Err(cause) if !is_told => {
                    is_told = true;
                    error!(error = causes(&cause), "early warnings cannot be worked out");
                }
                Err(_) => {}
            }
            let pause = spread(EVERY, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..));
            // What an instance knows of itself reaches back half a minute.
            sleep(pause / 2).await;
            watching.local.sample(clock::now());
            sleep(pause / 2).await;
        }
    }
}

impl Watching {
    fn new(watch: Watch) -> Self {
        let local = Local::new(watch.upstreams.clone());
        Self { watch, local, fleet: None }
    }

    /// Looks, says what there is to be said, and shows what is being said.
    async fn round(&mut self, now_us: i64) -> Result<(), Error> {
        let said = self.say(now_us).await;
        // What others say is shown also where nothing can be found out here.
        self.watch.board.refresh(now_us).await?;
        said
    }

    async fn say(&mut self, now_us: i64) -> Result<(), Error> {
        self.local.sample(clock::now());
        let mut claims = self.local.claims();
        if let Err(error) = self.watch_fleet(now_us, &mut claims).await {
            // What was half read is read anew.
            self.fleet = None;
            if claims.is_empty() {
                return Err(error);
            }
            debug!(error = causes(&error), "only this instance was watched");
        }
        if claims.is_empty() {
            return Ok(());
        }
        let notices: Vec<Notice> =
            claims.iter().map(|(subject, claim)| self.notice(subject, claim)).collect();
        self.watch.store.warn(&notices, LASTS).await
    }

    /// Watches for all, if that is this instance's to do.
    async fn watch_fleet(
        &mut self,
        now_us: i64,
        claims: &mut Vec<(Subject, Claim)>,
    ) -> Result<(), Error> {
        let Watch { history, store, upstreams, objective, .. } = &self.watch;
        if !store.claim_watch(LEASE).await? {
            self.fleet = None;
            return Ok(());
        }
        let mut fleet = match self.fleet.take() {
            Some(fleet) if !fleet.is_behind(now_us) => fleet,
            _ => {
                let terms = (objective.as_ratio(), now_us);
                let loaded = Fleet::load(&**history, &**store, upstreams, terms).await?;
                let Some(loaded) = loaded else { return Ok(()) };
                loaded
            }
        };
        fleet.look(&**history, now_us).await?;
        // Hours of minutes take a while as well, and who speaks for all is one.
        if !store.claim_watch(LEASE).await? {
            return Ok(());
        }
        fates::settle(&**store, &fleet, now_us).await?;
        claims.extend(fleet.claims().map(|(subject, claim)| (subject.clone(), *claim)));
        self.fleet = Some(fleet);
        Ok(())
    }

    fn notice(&self, subject: &Subject, claim: &Claim) -> Notice {
        let signal = claim.signal();
        let score = self.watch.board.score(signal);
        let numbers = claim.numbers().into_iter();
        let detail: Map<_, _> =
            numbers.map(|(name, number)| (name.to_owned(), Value::from(number))).collect();
        Notice {
            signal,
            subject: subject.clone(),
            claim: claim.to_string(),
            detail: Value::Object(detail),
            bar: claim.bar(),
            horizon: claim.horizon(),
            probability: score.expectation(),
            is_muted: score.is_muted(),
        }
    }
}

#[cfg(test)]
mod tests;
