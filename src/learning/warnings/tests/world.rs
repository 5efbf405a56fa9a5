//! A store in memory, with a clock of its own and an operation that fails as told.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    domain::{
        learn::{
            rollup::{Rollup, RollupKey},
            warn::score::Fate,
        },
        outcome::{Outcome, Reason},
        report::{LateScore, Scored},
        task::TaskId,
        units::Percent,
    },
    learning::warnings::{Board, Watch, Watching},
    store::{
        Batch, Error, HistoryStore, Merit, Notice, Prediction, RollupQuery, RowSums, RowSumsQuery,
        StoredTask, TaskQuery, WarningStore, Which,
    },
};

/// Calls of a minute.
const CALLS: u64 = 100;

#[derive(Clone)]
pub(super) struct World(Arc<Mutex<State>>);

/// The world as one instance reaches it.
struct Handle {
    world: World,
    name: &'static str,
}

struct State {
    now_us: i64,
    /// From this minute on so many of a hundred calls fail.
    failing: BTreeMap<i64, u64>,
    predictions: Vec<Prediction>,
    scores: BTreeMap<&'static str, Merit>,
    scores_are_frozen: bool,
    openings: Vec<(String, i64)>,
    lease: Option<(&'static str, i64)>,
    /// How long each question to the history takes.
    pause_us: i64,
    is_away: bool,
}

impl World {
    pub(super) fn at(minute: i64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now_us: minute * 60_000_000 + 7_000_000,
            failing: BTreeMap::new(),
            predictions: Vec::new(),
            scores: BTreeMap::new(),
            scores_are_frozen: false,
            openings: Vec::new(),
            lease: None,
            pause_us: 0,
            is_away: false,
        })))
    }

    pub(super) fn instance(&self, name: &'static str) -> Watching {
        let store = Arc::new(Handle { world: self.clone(), name });
        Watching::new(Watch {
            history: store.clone(),
            store: store.clone(),
            upstreams: Vec::new(),
            objective: Percent::from_basis_points(9_900).unwrap(),
            board: Arc::new(Board::new(store)),
        })
    }

    pub(super) fn now_us(&self) -> i64 {
        self.state().now_us
    }

    pub(super) fn next_minute(&self) {
        self.state().now_us += 60_000_000;
    }

    /// So many of a hundred calls fail from now on.
    pub(super) fn fail(&self, failures: u64) {
        let mut state = self.state();
        let minute = state.now_us / 60_000_000;
        state.failing.insert(minute, failures);
    }

    /// A circuit opens.
    pub(super) fn open(&self, circuit: &str) {
        let mut state = self.state();
        let now_us = state.now_us;
        state.openings.push((circuit.to_owned(), now_us));
    }

    pub(super) fn freeze_scores(&self) {
        self.state().scores_are_frozen = true;
    }

    pub(super) fn go_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// Each question to the history takes so long from now on.
    pub(super) fn be_slow(&self, pause_us: i64) {
        self.state().pause_us = pause_us;
    }

    /// Whether somebody has the lease now.
    pub(super) fn is_watched(&self) -> bool {
        let state = self.state();
        state.lease.is_some_and(|(_, until_us)| until_us >= state.now_us)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.is_away { Err(Error::Unavailable("it is away".into())) } else { Ok(state) }
    }
}

impl State {
    /// Failures in a minute: one in a thousand calls, unless told otherwise.
    fn failures(&self, minute: i64) -> u64 {
        let told = self.failing.range(..=minute).next_back().map(|(_, failures)| *failures);
        told.unwrap_or_else(|| u64::from(minute % 10 == 0))
    }

    fn rollups(
        &self,
        query: &RollupQuery,
        stands_at: impl Fn(i64) -> i64,
    ) -> Vec<(RollupKey, Rollup)> {
        // Nobody has handed in the last minutes yet.
        let until = query.to_minute.min(self.now_us / 60_000_000 - 1);
        let mut all: BTreeMap<(i64, bool), Rollup> = BTreeMap::new();
        for minute in query.from_minute..until {
            let failed = self.failures(minute);
            for (has_failed, count) in [(true, failed), (false, CALLS - failed)] {
                let mut sum = Rollup { count, ..Rollup::default() };
                sum.durations.record_many(100_000, count);
                all.entry((stands_at(minute), has_failed)).or_default().merge(&sum);
            }
        }
        let key = |((minute, has_failed), rollup)| {
            let outcome = if has_failed { Outcome::Failure } else { Outcome::Success };
            let key = RollupKey {
                minute,
                service: "orders".into(),
                upstream: "pay".into(),
                domain: "billing".into(),
                action: "charge".into(),
                outcome,
                reason: has_failed.then_some(Reason::Http503),
            };
            (key, rollup)
        };
        all.into_iter().map(key).collect()
    }
}

#[async_trait]
impl HistoryStore for Handle {
    async fn write(&self, _: &Batch<'_>) -> Result<(), Error> {
        unreachable!("who watches writes no rows")
    }

    async fn cursors(&self, _: &str) -> Result<BTreeMap<u32, u64>, Error> {
        unreachable!("who watches writes no rows")
    }

    async fn tasks(&self, _: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        unreachable!("who watches reads sums")
    }

    async fn rollups(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        assert!(query.to_minute - query.from_minute <= 10, "little at a time");
        let mut state = self.world.reach()?;
        state.now_us += state.pause_us;
        Ok(state.rollups(query, |minute| minute))
    }

    async fn totals(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let mut state = self.world.reach()?;
        state.now_us += state.pause_us;
        Ok(state.rollups(query, |_| query.from_minute))
    }

    async fn sum_rows(&self, _: &RowSumsQuery) -> Result<RowSums, Error> {
        unreachable!("who watches reads sums")
    }

    async fn known(&self, _: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        unreachable!("who watches reads sums")
    }

    async fn score(&self, _: &LateScore) -> Result<Scored, Error> {
        unreachable!("who watches changes no rows")
    }

    async fn maintain(&self, _: Duration) -> Result<(), Error> {
        unreachable!("who watches keeps nothing up")
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl WarningStore for Handle {
    async fn claim_watch(&self, lease: Duration) -> Result<bool, Error> {
        let mut state = self.world.reach()?;
        let now_us = state.now_us;
        if state.lease.is_some_and(|(name, until_us)| name != self.name && until_us >= now_us) {
            return Ok(false);
        }
        state.lease = Some((self.name, now_us + micros(lease)));
        Ok(true)
    }

    async fn warn(&self, notices: &[Notice], lasts: Duration) -> Result<(), Error> {
        let mut state = self.world.reach()?;
        let (made_at_us, active_until_us) = (state.now_us, state.now_us + micros(lasts));
        for notice in notices {
            let same = |it: &&mut Prediction| {
                let of = |notice: &Notice| (notice.signal, notice.subject.clone());
                of(&it.notice) == of(notice) && it.active_until_us > made_at_us
            };
            if let Some(known) = state.predictions.iter_mut().find(same) {
                known.active_until_us = active_until_us;
                continue;
            }
            let id = i64::try_from(state.predictions.len()).unwrap();
            let (is_active, notice, fate) = (true, notice.clone(), Fate::Pending);
            let made = Prediction { id, made_at_us, active_until_us, is_active, notice, fate };
            state.predictions.push(made);
        }
        Ok(())
    }

    async fn predictions(&self, which: Which, limit: u32) -> Result<Vec<Prediction>, Error> {
        drop(self.world.reach()?);
        self.world.predictions(which, limit).await
    }

    async fn resolve(&self, id: i64, fate: Fate) -> Result<(), Error> {
        let mut state = self.world.reach()?;
        let found = state.predictions.iter_mut().find(|it| it.id == id).unwrap();
        assert_eq!(found.fate, Fate::Pending, "nothing twice");
        found.fate = fate;
        Ok(())
    }

    async fn keep_score(&self, scored: &Merit) -> Result<(), Error> {
        self.world.keep_score(scored).await
    }

    async fn scores(&self) -> Result<Vec<Merit>, Error> {
        drop(self.world.reach()?);
        self.world.scores().await
    }

    async fn openings(&self, since_us: i64, _: u32) -> Result<Vec<(String, i64)>, Error> {
        let openings = self.world.reach()?.openings.clone();
        Ok(openings.into_iter().filter(|(_, at_us)| *at_us >= since_us).collect())
    }

    async fn forget_predictions(&self, before_us: i64) -> Result<(), Error> {
        self.world.reach()?.predictions.retain(|it| it.made_at_us >= before_us);
        Ok(())
    }
}

/// What a test asks for, past any outage.
impl World {
    pub(super) async fn predictions(
        &self,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Prediction>, Error> {
        let state = self.state();
        let asked = |it: &Prediction| match which {
            Which::Active => it.is_active,
            Which::Shown => it.is_active && !it.notice.is_muted,
            Which::Pending => it.fate == Fate::Pending,
            Which::Since(since_us) => it.made_at_us >= since_us,
        };
        let seen = state
            .predictions
            .iter()
            .rev()
            .map(|it| Prediction { is_active: it.active_until_us > state.now_us, ..it.clone() });
        Ok(seen.filter(asked).take(limit as usize).collect())
    }

    pub(super) async fn keep_score(&self, scored: &Merit) -> Result<(), Error> {
        let mut state = self.state();
        if !state.scores_are_frozen {
            state.scores.insert(scored.0.as_str(), *scored);
        }
        Ok(())
    }

    pub(super) async fn scores(&self) -> Result<Vec<Merit>, Error> {
        Ok(self.state().scores.values().copied().collect())
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap()
}
