//! The sums of a day, while it is read.
//!
//! Kept are combinations of parameters, of which there may be too many. Tasks of those that are not
//! kept are counted for each of their parameters by itself, so that values are compared by all that
//! had them.

mod chosen;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, iter::once};

use self::chosen::{Chosen, Strata, hash_of};
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

/// Cells of a day of an operation at most, each of one combination of parameters in one stratum:
/// those of the most common combinations.
const MAX_COMBINED: usize = 2_000;

/// Cells of single parameters of tasks whose combination is not kept, at most: those of the most
/// common values. Others are values that are not told apart.
const MAX_SINGLE: usize = 2_000;

/// Cells of a day of all operations at most while it is read, that an instance which adds them up
/// stays small.
const MAX_CELLS: usize = 50_000;

/// Callers that are told apart at most: those with the most tasks.
const MAX_CALLERS: usize = 12;

/// Callers of which it is known how many tasks they have.
const MAX_KNOWN_CALLERS: usize = 100;

/// Any of the callers that are not told apart.
const OTHERS: &str = "*";

/// Like is compared with like: who called, and in which quarter of the day. A mixture of these may
/// look like an effect of a parameter.
type Stratum = (Box<str>, i64);

/// See the module docs.
#[derive(Debug)]
pub(super) struct Sums {
    /// By the hash of their names, of which the smallest stay, whoever comes first.
    operations: BTreeMap<(u64, OperationName), Operation>,
    below: u64,
    cells: usize,
}

#[derive(Debug, Default)]
struct Operation {
    tasks: u64,
    callers: BTreeMap<Box<str>, u64>,
    combined: Chosen,
    /// What is not kept combined: in all, each value of each parameter, and those values that are
    /// not told apart.
    rest: Strata,
    single: Chosen,
    others: BTreeMap<Setting, Strata>,
}

impl Default for Sums {
    fn default() -> Self {
        Self { operations: BTreeMap::new(), below: u64::MAX, cells: 0 }
    }
}

impl Sums {
    /// Adds a task.
    pub(super) fn take(&mut self, lesson: &Lesson) {
        let hash = hash_of(&lesson.operation);
        if hash >= self.below {
            return;
        }
        let operation = self.operations.entry((hash, lesson.operation.clone())).or_default();
        let before = operation.cells();
        operation.take(lesson);
        self.cells += operation.cells() - before;
        if self.operations.len() > MAX_OPERATIONS
            && let Some(((hash, _), operation)) = self.operations.pop_last()
        {
            self.below = hash;
            self.cells -= operation.cells();
        }
        while self.cells > MAX_CELLS && self.make_room() {}
    }

    /// How many were added.
    pub(super) fn tasks(&self) -> u64 {
        self.operations.values().map(|operation| operation.tasks).sum()
    }

    /// What each operation came to.
    pub(super) fn into_cells(
        self,
        day: Day,
    ) -> impl Iterator<Item = (OperationName, Vec<DayCell>)> {
        let operations = self.operations.into_iter();
        operations.map(move |((_, name), operation)| (name, operation.into_cells(day)))
    }

    /// The operation with most cells gives some up; false where there is nothing to give up.
    fn make_room(&mut self) -> bool {
        let can_give = self.operations.values_mut().filter(|it| it.giveable() > 0);
        let Some(largest) = can_give.max_by_key(|it| it.giveable()) else { return false };
        let before = largest.cells();
        largest.give_up();
        self.cells = self.cells + largest.cells() - before;
        true
    }
}

impl Operation {
    fn take(&mut self, lesson: &Lesson) {
        let stratum = self.stratum(lesson);
        let setting = parameters::setting(&lesson.parameters);
        let task = Observation {
            succeeded: lesson.succeeded,
            duration: lesson.duration,
            impact: lesson.impact,
            cost: lesson.cost,
        };
        self.tasks += u64::from(lesson.weight);
        match self.combined.cell(&stratum, &setting) {
            Some(cell) => cell.record_weighed(&task, lesson.weight),
            None => {
                let mut cell = Cell::default();
                cell.record_weighed(&task, lesson.weight);
                self.take_apart(&setting, &stratum, &cell);
            }
        }
    }

    fn stratum(&mut self, lesson: &Lesson) -> Stratum {
        let quarter = lesson.started_at_us.div_euclid(QUARTER_US).rem_euclid(4);
        let is_known = self.callers.contains_key(&lesson.service);
        if !is_known && self.callers.len() >= MAX_KNOWN_CALLERS {
            return (OTHERS.into(), quarter);
        }
        *self.callers.entry(lesson.service.clone()).or_default() += u64::from(lesson.weight);
        (lesson.service.clone(), quarter)
    }

    fn cells(&self) -> usize {
        let others: usize = self.others.values().map(BTreeMap::len).sum();
        self.giveable() + self.rest.len() + others
    }

    const fn giveable(&self) -> usize {
        self.combined.cells() + self.single.cells()
    }

    /// Keeps a combination less, or a single value.
    fn give_up(&mut self) {
        if let Some((setting, strata)) = self.combined.give_up() {
            self.take_all_apart(&setting, &strata);
        } else if let Some((setting, strata)) = self.single.give_up() {
            self.lump(&setting, strata);
        }
    }

    fn take_all_apart(&mut self, setting: &Setting, strata: &Strata) {
        for (stratum, cell) in strata {
            self.take_apart(setting, stratum, cell);
        }
    }

    /// Counts tasks for each of their parameters by itself.
    fn take_apart(&mut self, setting: &Setting, stratum: &Stratum, cell: &Cell) {
        self.rest.entry(stratum.clone()).or_default().merge(cell);
        // One that is all there is would take as much room by itself.
        let has_others = setting.len() > 1;
        for one in setting.singles() {
            let kept = if has_others { self.single.cell(stratum, &one) } else { None };
            match kept {
                Some(kept) => kept.merge(cell),
                None => self.lump(&one, once((stratum.clone(), *cell)).collect()),
            }
        }
    }

    /// Counts a value as one that is not told apart.
    fn lump(&mut self, single: &Setting, strata: Strata) {
        let other = Setting::new(single.iter().map(|(name, _)| (name, Bin::Other)));
        let others = self.others.entry(other).or_default();
        for (stratum, cell) in strata {
            others.entry(stratum).or_default().merge(&cell);
        }
    }

    fn into_cells(mut self, day: Day) -> Vec<DayCell> {
        self.tell_callers_apart();
        for (setting, strata) in self.combined.give_up_rare(MAX_COMBINED) {
            self.take_all_apart(&setting, &strata);
        }
        for (setting, strata) in self.single.give_up_rare(MAX_SINGLE) {
            self.lump(&setting, strata);
        }
        let of = |is_part, (setting, strata): (Setting, Strata)| {
            strata.into_iter().map(move |(stratum, cell)| DayCell {
                day,
                stratum: shown(&stratum),
                setting: setting.clone(),
                is_part,
                cell,
            })
        };
        let combined = self.combined.into_settings().flat_map(|it| of(false, it));
        let parts = once((Setting::default(), self.rest)).chain(self.single.into_settings());
        combined.chain(parts.chain(self.others).flat_map(|it| of(true, it))).collect()
    }

    /// Those with the most tasks.
    fn tell_callers_apart(&mut self) {
        let mut callers: Vec<_> = std::mem::take(&mut self.callers).into_iter().collect();
        if callers.len() <= MAX_CALLERS {
            return;
        }
        callers.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        callers.truncate(MAX_CALLERS);
        let name = |(caller, quarter): Stratum| {
            let is_told_apart = callers.iter().any(|(name, _)| *name == caller);
            (if is_told_apart { caller } else { OTHERS.into() }, quarter)
        };
        self.combined.rename(name);
        self.single.rename(name);
        for strata in self.others.values_mut().chain(once(&mut self.rest)) {
            for (stratum, cell) in std::mem::take(strata) {
                strata.entry(name(stratum)).or_default().merge(&cell);
            }
        }
    }
}

/// A stratum as it is stored.
fn shown((caller, quarter): &Stratum) -> Box<str> {
    format!("{caller} {:02}-{:02}", 6 * quarter, 6 * quarter + 6).into()
}

/// The microseconds of a quarter of a day.
const QUARTER_US: i64 = 6 * 3_600_000_000;
