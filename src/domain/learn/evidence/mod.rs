//! Evidence: what was observed of one operation, by day, stratum and setting.
//!
//! A store keeps one [`Cell`] for each of them and hands them over in any order. Only what
//! describes the present belongs here: whoever collects it leaves out incidents, and everything
//! before the last change that made the past incomparable (a new version, another upstream, a
//! change of the rules).

mod grouping;
mod table;

use std::{collections::BTreeMap, ops::RangeInclusive};

pub(in crate::domain::learn) use table::Plan;
pub use table::{Row, Table};

use super::{
    cell::{Cell, Observation},
    setting::Setting,
};

/// Days since the Unix epoch.
pub type Day = i32;

/// Cells by day, stratum and setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The names of the strata; cells hold places in this list.
    strata: Vec<Box<str>>,
    settings: BTreeMap<Setting, Vec<Entry>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    day: Day,
    stratum: usize,
    cell: Cell,
}

impl Evidence {
    /// Adds the tasks of one day and stratum that had this setting. Every task is to be added under
    /// all of [`Setting::counted`], also under the empty one.
    pub fn add(&mut self, day: Day, stratum: &str, setting: &Setting, cell: &Cell) {
        let stratum = self.stratum(stratum);
        if !self.settings.contains_key(setting) {
            self.settings.insert(setting.clone(), Vec::new());
        }
        let Some(entries) = self.settings.get_mut(setting) else { return };
        let same = |entry: &&mut Entry| entry.day == day && entry.stratum == stratum;
        match entries.iter_mut().rev().find(same) {
            Some(entry) => entry.cell.merge(cell),
            None => entries.push(Entry { day, stratum, cell: *cell }),
        }
    }

    /// Adds one task with all its parameters.
    pub fn observe(&mut self, day: Day, stratum: &str, parameters: &Setting, task: &Observation) {
        let mut cell = Cell::default();
        cell.record(task);
        for setting in parameters.counted() {
            self.add(day, stratum, &setting, &cell);
        }
    }

    /// The tasks of these days whose parameters, all of them, are within this setting.
    pub fn seen(&self, setting: &Setting, days: &RangeInclusive<Day>) -> Cell {
        let whole = self.settings.keys().map(Setting::len).max().unwrap_or_default();
        let mut sum = Cell::default();
        for (joint, entries) in &self.settings {
            if joint.len() == whole && setting.holds(joint) {
                within(entries, days).for_each(|entry| sum.merge(&entry.cell));
            }
        }
        sum
    }

    fn stratum(&mut self, name: &str) -> usize {
        let known = self.strata.iter().position(|own| **own == *name);
        known.unwrap_or_else(|| {
            self.strata.push(name.into());
            self.strata.len() - 1
        })
    }
}

/// The entries of these days.
fn within<'a>(
    entries: &'a [Entry],
    days: &'a RangeInclusive<Day>,
) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(|entry| days.contains(&entry.day))
}
