//! The sums of a day, while it is read.

use std::collections::BTreeMap;

use super::parameters;
use crate::{
    domain::learn::{
        cell::{Cell, Observation},
        evidence::Day,
        setting::{Bin, Setting},
    },
    store::{DayCell, Lesson, OperationName},
};

/// Operations of a day at most; tasks of others are not learned from.
const MAX_OPERATIONS: usize = 1_000;

/// Combinations of parameters in a day of an operation at most; later ones are counted as one, with
/// values that are not told apart.
const MAX_SETTINGS: usize = 2_000;

/// Combinations in a day of all operations at most, that an instance which adds them up stays small.
const MAX_CELLS: usize = 50_000;

/// Callers that are told apart at most.
const MAX_CALLERS: usize = 12;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Sums {
    operations: BTreeMap<OperationName, Operation>,
    tasks: u64,
    cells: usize,
}

#[derive(Debug, Default)]
struct Operation {
    callers: Vec<Box<str>>,
    cells: BTreeMap<(Box<str>, Setting), Cell>,
}

impl Sums {
    /// Adds a task.
    pub(super) fn take(&mut self, lesson: &Lesson) {
        let is_full = self.operations.len() >= MAX_OPERATIONS;
        if is_full && !self.operations.contains_key(&lesson.operation) {
            return;
        }
        self.tasks += u64::from(lesson.weight);
        let operation = self.operations.entry(lesson.operation.clone()).or_default();
        let most = if self.cells < MAX_CELLS { MAX_SETTINGS } else { 0 };
        let before = operation.cells.len();
        operation.take(lesson, most);
        self.cells += operation.cells.len() - before;
    }

    /// How many were added.
    pub(super) const fn tasks(&self) -> u64 {
        self.tasks
    }

    /// What each operation came to.
    pub(super) fn into_cells(
        self,
        day: Day,
    ) -> impl Iterator<Item = (OperationName, Vec<DayCell>)> {
        let cells = move |((stratum, setting), cell)| DayCell { day, stratum, setting, cell };
        self.operations
            .into_iter()
            .map(move |(name, operation)| (name, operation.cells.into_iter().map(cells).collect()))
    }
}

impl Operation {
    /// Adds a task, as one of so many combinations at most.
    fn take(&mut self, lesson: &Lesson, most: usize) {
        let stratum = self.stratum(lesson);
        let mut key = (stratum, parameters::setting(&lesson.parameters));
        if self.cells.len() >= most && !self.cells.contains_key(&key) {
            key.1 = Setting::new(key.1.iter().map(|(name, _)| (name, Bin::Other)));
        }
        let task = Observation {
            succeeded: lesson.succeeded,
            duration: lesson.duration,
            impact: lesson.impact,
            cost: lesson.cost,
        };
        self.cells.entry(key).or_default().record_weighed(&task, lesson.weight);
    }

    /// Like is compared with like: who called, and in which quarter of the day. A mixture of these
    /// may look like an effect of a parameter.
    fn stratum(&mut self, lesson: &Lesson) -> Box<str> {
        let quarter = lesson.started_at_us.div_euclid(QUARTER_US).rem_euclid(4);
        let (from, to) = (6 * quarter, 6 * quarter + 6);
        let is_known = self.callers.contains(&lesson.service);
        if !is_known && self.callers.len() < MAX_CALLERS {
            self.callers.push(lesson.service.clone());
        }
        let caller = if self.callers.contains(&lesson.service) { &*lesson.service } else { "*" };
        format!("{caller} {from:02}-{to:02}").into()
    }
}

/// The microseconds of a quarter of a day.
const QUARTER_US: i64 = 6 * 3_600_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{MAX_CELLS, MAX_SETTINGS, Sums};
    use crate::{
        domain::{learn::setting::Bin, task::TaskId},
        store::{DayCell, Lesson, OperationName},
    };

    fn lesson(hour: i64, service: &str, bpm: i64) -> Lesson {
        Lesson {
            started_at_us: hour * 3_600_000_000,
            weight: 1,
            id: TaskId::from_u128(1),
            operation: OperationName { domain: "music".into(), action: "beat".into() },
            service: service.into(),
            succeeded: true,
            duration: Duration::from_secs(1),
            parameters: json!({ "bpm": bpm }),
            impact: None,
            cost: None,
        }
    }

    fn cells(lessons: impl IntoIterator<Item = Lesson>) -> Vec<DayCell> {
        let mut sums = Sums::default();
        lessons.into_iter().for_each(|lesson| sums.take(&lesson));
        sums.into_cells(0).flat_map(|(_, cells)| cells).collect()
    }

    #[test]
    fn like_is_added_up_with_like() {
        let cells = cells([
            lesson(0, "orders", 120),
            lesson(5, "orders", 120),
            lesson(6, "orders", 120),
            lesson(5, "web", 120),
            lesson(5, "web", 90),
        ]);
        let shown: Vec<_> = cells
            .iter()
            .map(|of| (&*of.stratum, of.setting.bin("bpm").unwrap().to_string(), of.cell.tasks))
            .collect();
        assert_eq!(
            shown,
            [
                ("orders 00-06", "120".to_owned(), 2),
                ("orders 06-12", "120".to_owned(), 1),
                ("web 00-06", "90".to_owned(), 1),
                ("web 00-06", "120".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn there_are_never_too_many_combinations_and_no_task_is_lost() {
        let tempi = i64::try_from(MAX_SETTINGS).unwrap() + 500;
        // Small numbers, each of which is counted by itself.
        let lessons = (0..tempi).map(|at| {
            let mut lesson = lesson(0, "orders", at % 900);
            lesson.parameters = json!({ "bpm": at % 900, "part": at / 900 });
            lesson
        });
        let cells = cells(lessons);
        assert_eq!(cells.len(), MAX_SETTINGS + 1);
        assert_eq!(cells.iter().map(|of| of.cell.tasks).sum::<u64>(), tempi.unsigned_abs());
        let rest = cells.iter().find(|of| of.setting.bin("bpm") == Some(&Bin::Other)).unwrap();
        assert_eq!(rest.cell.tasks, 500);
    }

    #[test]
    fn all_operations_together_have_a_bound_as_well() {
        let mut sums = Sums::default();
        let (operations, tempi) = (60, 900);
        for action in 0..operations {
            for bpm in 0..tempi {
                let mut lesson = lesson(0, "orders", bpm);
                lesson.operation.action = format!("beat-{action}").into();
                sums.take(&lesson);
            }
        }
        let (mut cells, mut tasks) = (0, 0);
        for (_, of) in sums.into_cells(0) {
            cells += of.len();
            tasks += of.iter().map(|of| of.cell.tasks).sum::<u64>();
        }
        assert_eq!(tasks, 60 * 900);
        assert!((MAX_CELLS..MAX_CELLS + 60).contains(&cells), "{cells}");
    }

    #[test]
    fn callers_beyond_those_that_are_told_apart_are_one() {
        let callers = (0..100).map(|at| lesson(0, &format!("caller-{at}"), 120));
        let cells = cells(callers);
        assert_eq!(cells.len(), super::MAX_CALLERS + 1);
        assert!(cells.iter().any(|of| &*of.stratum == "* 00-06" && of.cell.tasks == 88));
    }
}
