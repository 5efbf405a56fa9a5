//! Settings of which no more are kept than there is room for.
//!
//! Which ones those are must not depend on who came first, or what is compared would depend on the
//! hour. While there are too many, those with the smallest hashes stay, each with everything that it
//! came to; of what has stayed in the end, the most common.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::Stratum;
use crate::domain::learn::{cell::Cell, setting::Setting};

/// What some tasks came to, by stratum.
pub(super) type Strata = BTreeMap<Stratum, Cell>;

/// See the module docs.
#[derive(Debug)]
pub(super) struct Chosen {
    kept: BTreeMap<(u64, Setting), Strata>,
    cells: usize,
    /// What hashes to this or more has no place.
    below: u64,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), cells: 0, below: u64::MAX }
    }
}

impl Chosen {
    /// Cells that are kept.
    pub(super) const fn cells(&self) -> usize {
        self.cells
    }

    /// The cell of a setting, if that has a place.
    pub(super) fn cell(&mut self, stratum: &Stratum, setting: &Setting) -> Option<&mut Cell> {
        let hash = hash_of(setting);
        if hash >= self.below {
            return None;
        }
        let strata = self.kept.entry((hash, setting.clone())).or_default();
        let before = strata.len();
        strata.entry(stratum.clone()).or_default();
        self.cells += strata.len() - before;
        strata.get_mut(stratum)
    }

    /// Gives up the setting with the largest hash, for good.
    pub(super) fn give_up(&mut self) -> Option<(Setting, Strata)> {
        let ((hash, setting), strata) = self.kept.pop_last()?;
        self.below = hash;
        self.cells -= strata.len();
        Some((setting, strata))
    }

    /// Gives up the rarest settings, until there are no more cells than this.
    pub(super) fn give_up_rare(&mut self, most: usize) -> Vec<(Setting, Strata)> {
        if self.cells <= most {
            return Vec::new();
        }
        let tasks = |strata: &Strata| strata.values().map(|cell| cell.tasks).sum::<u64>();
        let mut all: Vec<_> = std::mem::take(&mut self.kept).into_iter().collect();
        all.sort_by_cached_key(|((hash, _), strata)| (std::cmp::Reverse(tasks(strata)), *hash));
        self.cells = 0;
        let mut given_up = Vec::new();
        for (key, strata) in all {
            // Whoever comes behind one that was given up is as rare.
            if given_up.is_empty() && self.cells + strata.len() <= most {
                self.cells += strata.len();
                self.kept.insert(key, strata);
            } else {
                given_up.push((key.1, strata));
            }
        }
        given_up
    }

    /// Tells strata apart by other names.
    pub(super) fn rename(&mut self, name: impl Fn(Stratum) -> Stratum) {
        self.cells = 0;
        for strata in self.kept.values_mut() {
            for (stratum, cell) in std::mem::take(strata) {
                strata.entry(name(stratum)).or_default().merge(&cell);
            }
            self.cells += strata.len();
        }
    }

    pub(super) fn into_settings(self) -> impl Iterator<Item = (Setting, Strata)> {
        self.kept.into_iter().map(|((_, setting), strata)| (setting, strata))
    }
}

/// The same in every process, and on every day.
pub(super) fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
