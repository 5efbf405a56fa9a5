//! The table that recommendations are read from: settings down, strata across.
//!
//! Which rows there are is decided once, for the newest days. Looks at earlier days use the same
//! rows, so that a setting can be followed over days though groups move.

use std::{cmp::Reverse, collections::BTreeMap, ops::RangeInclusive};

use super::{Day, Entry, Evidence, grouping::Grouping, within};
use crate::domain::learn::{cell::Cell, setting::Setting};

/// Combinations that are looked at: the most common ones.
const MAX_COMBINATIONS: usize = 200;

/// Cells of settings by stratum.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Days from the first with a task to the last that was asked for.
    pub days: Day,
    /// All tasks, by stratum.
    pub total: Vec<Cell>,
    /// The settings with enough tasks.
    pub rows: Vec<Row>,
}

/// The tasks with one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The setting.
    pub setting: Setting,
    /// Its tasks, by stratum.
    pub strata: Vec<Cell>,
}

/// Which rows there are, and which entries belong to each.
#[derive(Debug)]
pub(in crate::domain::learn) struct Plan<'a> {
    strata: usize,
    everything: &'a [Entry],
    rows: Vec<(Setting, Vec<&'a [Entry]>)>,
}

impl<'a> Plan<'a> {
    /// The rows with at least `support` tasks in them, and as many outside, in these days.
    pub(in crate::domain::learn) fn of(
        evidence: &'a Evidence,
        days: &RangeInclusive<Day>,
        support: u64,
    ) -> Self {
        let tasks = |entries: &[Entry]| within(entries, days).map(|entry| entry.cell.tasks).sum();
        let singles = evidence.settings.iter().filter(|(setting, _)| setting.len() == 1);
        let singles = singles.map(|(setting, entries)| (setting, tasks(entries)));
        let grouping = Grouping::of(singles.filter(|(_, tasks): &(_, u64)| *tasks > 0), support);

        let mut rows: BTreeMap<Setting, (u64, Vec<&[Entry]>)> = BTreeMap::new();
        for (setting, entries) in evidence.settings.iter().filter(|(own, _)| !own.is_empty()) {
            let count: u64 = tasks(entries);
            for looked_at in grouping.looked_at(setting) {
                let row = rows.entry(looked_at).or_default();
                row.0 += count;
                row.1.push(entries);
            }
        }
        let everything = evidence.settings.get(&Setting::default()).map_or(&[][..], |all| all);
        let all: u64 = tasks(everything);
        rows.retain(|_, (count, _)| *count >= support && *count + support <= all);
        let least = least_common(&rows);
        rows.retain(|setting, (count, _)| setting.len() == 1 || *count >= least);
        let rows = rows.into_iter().map(|(setting, (_, entries))| (setting, entries)).collect();
        Self { strata: evidence.strata.len(), everything, rows }
    }

    /// The table of these days.
    pub(in crate::domain::learn) fn table(&self, days: &RangeInclusive<Day>) -> Table {
        let rows = self.rows.iter().map(|(setting, parts)| Row {
            setting: setting.clone(),
            strata: self.sum(parts, days),
        });
        let first = within(self.everything, days).map(|entry| entry.day).min();
        Table {
            days: first.map_or(0, |first| days.end() - first + 1),
            total: self.sum(&[self.everything], days),
            rows: rows.collect(),
        }
    }

    fn sum(&self, parts: &[&[Entry]], days: &RangeInclusive<Day>) -> Vec<Cell> {
        let mut strata = vec![Cell::default(); self.strata];
        for entry in parts.iter().flat_map(|entries| within(entries, days)) {
            strata[entry.stratum].merge(&entry.cell);
        }
        strata
    }
}

/// How many tasks a combination must have to be among the most common.
fn least_common(rows: &BTreeMap<Setting, (u64, Vec<&[Entry]>)>) -> u64 {
    let combinations = rows.iter().filter(|(setting, _)| setting.len() > 1);
    let mut counts: Vec<u64> = combinations.map(|(_, (count, _))| *count).collect();
    counts.sort_by_key(|&count| Reverse(count));
    counts.get(MAX_COMBINATIONS).map_or(0, |next| next + 1)
}
