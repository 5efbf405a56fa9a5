//! What to recommend, worked out when somebody asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use super::today;
use crate::{
    clock,
    domain::learn::{
        contrast::Goal,
        evidence::{Day, Evidence},
        recommend::{Policy, Report, recommend},
    },
    store::{Counted, DayCell, Error, LearningStore, OperationName, WhyQuery},
};

/// For so long an answer is given again: the days that it stands on are over.
const FRESH: Duration = Duration::from_secs(60);

/// For so long after it was last asked for an answer is kept, to be given again as long as no day was
/// added up since.
const ASKED: Duration = Duration::from_secs(3_600);

/// Answers that are kept at most; one may list hundreds of findings.
const KEPT: usize = 100;

/// What is asked: of which operation, and what is to be improved.
type Question = (OperationName, Goal);

/// See the module docs.
pub struct Advisor {
    store: Arc<dyn LearningStore>,
    kept: Mutex<HashMap<Question, Kept>>,
}

/// An answer that may be given again.
struct Kept {
    /// When it was last known to be true.
    at: Instant,
    stands_on: Ground,
    report: Arc<Report>,
}

/// What an answer stands on: the last day of it, and when a day was last added up.
type Ground = (Day, i64);

impl Advisor {
    /// One that reads what was kept here.
    pub fn new(store: Arc<dyn LearningStore>) -> Self {
        Self { store, kept: Mutex::default() }
    }

    /// What can be said about the parameters of an operation that are to improve this, up to the
    /// last day that is over.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn report(
        &self,
        operation: &OperationName,
        goal: Goal,
    ) -> Result<Arc<Report>, Error> {
        let asked = (operation.clone(), goal);
        if let Some(report) = self.known(&asked) {
            return Ok(report);
        }
        let policy = Policy { goal, ..Policy::default() };
        let last = today() - 1;
        let ground = (last, self.store.learned_at().await?);
        if let Some(report) = self.still(&asked, ground) {
            return Ok(report);
        }
        let from = last - Day::from(policy.window) - Day::from(policy.days);
        let cells = self.store.cells(operation, from).await?;
        // Tens of thousands of cells take a while, and the thread has others to serve.
        let report = spawn_blocking(move || report(&cells, last, &policy)).await;
        let report = Arc::new(report.map_err(|error| Error::Unavailable(error.into()))?);
        self.keep(asked, ground, &report);
        Ok(report)
    }

    /// The operations that have parameters, and how many tasks of theirs count.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn operations(&self) -> Result<Vec<(OperationName, u64)>, Error> {
        self.store.operations(today() - Day::from(Policy::default().window)).await
    }

    /// What sets the failures of an operation apart.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn why(&self, query: &WhyQuery) -> Result<Counted, Error> {
        self.store.why(query).await
    }

    fn known(&self, asked: &Question) -> Option<Arc<Report>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { at, report, .. } = kept.get(asked)?;
        (clock::now().saturating_duration_since(*at) < FRESH).then(|| Arc::clone(report))
    }

    /// The answer, if it stands on what there still is.
    fn still(&self, asked: &Question, ground: Ground) -> Option<Arc<Report>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get_mut(asked).filter(|known| known.stands_on == ground)?;
        known.at = clock::now();
        Some(Arc::clone(&known.report))
    }

    fn keep(&self, asked: Question, stands_on: Ground, report: &Arc<Report>) {
        let at = clock::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| at.saturating_duration_since(known.at) < ASKED);
        if kept.len() < KEPT || kept.contains_key(&asked) {
            kept.insert(asked, Kept { at, stands_on, report: Arc::clone(report) });
        }
    }
}

/// What these cells say.
fn report(cells: &[DayCell], last: Day, policy: &Policy) -> Report {
    let mut evidence = Evidence::default();
    for of in cells {
        let settings = if of.is_part { vec![of.setting.clone()] } else { of.setting.counted() };
        for setting in settings {
            evidence.add(of.day, &of.stratum, &setting, &of.cell);
        }
    }
    let in_all = cells.iter().filter(|of| of.is_part && of.setting.is_empty());
    let uncombined = in_all.map(|of| of.cell.tasks).sum();
    Report { uncombined, ..recommend(&evidence, last, policy) }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicI64, AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use async_trait::async_trait;
    use tokio::time::advance;

    use super::{
        Advisor, Counted, Day, DayCell, Error, Goal, LearningStore, OperationName, Policy,
        WhyQuery, report,
    };
    use crate::{
        domain::learn::{
            cell::{Cell, Observation},
            setting::{Bin, Setting},
        },
        store::{Lesson, LessonQuery},
    };

    /// A store of nothing, which counts how often it is asked for it.
    #[derive(Default)]
    struct Nothing {
        learned_at: AtomicI64,
        reads: AtomicUsize,
    }

    #[async_trait]
    impl LearningStore for Nothing {
        async fn lessons(&self, _: &LessonQuery) -> Result<Vec<Lesson>, Error> {
            unreachable!("nothing is added up")
        }

        async fn claim_day(&self, _: Day) -> Result<bool, Error> {
            unreachable!("nothing is added up")
        }

        async fn keep_day(&self, _: Day) -> Result<(), Error> {
            unreachable!("nothing is added up")
        }

        async fn learn(&self, _: &OperationName, _: Day, _: &[DayCell]) -> Result<(), Error> {
            unreachable!("nothing is added up")
        }

        async fn day_is_learned(&self, _: Day, _: u64) -> Result<(), Error> {
            unreachable!("nothing is added up")
        }

        async fn learned_at(&self) -> Result<i64, Error> {
            Ok(self.learned_at.load(Ordering::Relaxed))
        }

        async fn cells(&self, _: &OperationName, _: Day) -> Result<Vec<DayCell>, Error> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            Ok(Vec::new())
        }

        async fn operations(&self, _: Day) -> Result<Vec<(OperationName, u64)>, Error> {
            unreachable!("one is asked for by its name")
        }

        async fn why(&self, _: &WhyQuery) -> Result<Counted, Error> {
            unreachable!("no call is looked at")
        }

        async fn forget_days(&self, _: Day) -> Result<(), Error> {
            unreachable!("nothing is added up")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn days_are_read_again_only_when_one_was_added_up() {
        let store = Arc::new(Nothing::default());
        let advisor = Advisor::new(Arc::clone(&store) as Arc<dyn LearningStore>);
        let beats = OperationName { domain: "music".into(), action: "beat".into() };
        let reads = || store.reads.load(Ordering::Relaxed);
        for _ in 0..10 {
            advisor.report(&beats, Goal::Success).await.unwrap();
            advance(Duration::from_secs(600)).await;
        }
        // The day may have ended meanwhile by the wall's clock, which does not stand still.
        assert!(reads() <= 2, "{}", reads());
        let before = reads();
        store.learned_at.store(1, Ordering::Relaxed);
        advisor.report(&beats, Goal::Success).await.unwrap();
        assert_eq!(reads(), before + 1);
    }

    #[test]
    fn tasks_of_rare_combinations_count_once_and_for_each_parameter() {
        let mut cell = Cell::default();
        for at in 0..100 {
            let (succeeded, duration) = (at % 2 > 0, Duration::from_secs(1));
            cell.record(&Observation { succeeded, duration, impact: None, cost: None });
        }
        let of = |setting, is_part| DayCell {
            day: 1,
            stratum: "orders 06-12".into(),
            setting,
            is_part,
            cell,
        };
        let genre = |word| ("genre", Bin::text(word));
        let cells = [
            of(Setting::new([genre("jazz"), ("bpm", Bin::integer(120))]), false),
            of(Setting::default(), true),
            of(Setting::new([genre("polka")]), true),
            of(Setting::new([("bpm", Bin::integer(90))]), true),
        ];
        let report = report(&cells, 1, &Policy::default());
        assert_eq!((report.total.tasks, report.uncombined), (200, 100));
        let of = |word| report.findings.iter().find(|it| it.setting == Setting::new([genre(word)]));
        assert!(["jazz", "polka"].iter().all(|word| of(word).unwrap().cell.tasks == 100));
    }
}
