//! Grouping: which fine bins of a parameter's numbers are looked at together.
//!
//! Few different numbers are looked at one by one. Of many, neighbours are merged into at most
//! [`MAX_GROUPS`] groups of about as many tasks each; up to [`MAX_EXACT`] different ones are looked
//! at one by one besides.

use std::collections::BTreeMap;

use crate::domain::learn::setting::{Bin, Number, Setting};

/// Groups that the numbers of a parameter are merged into.
const MAX_GROUPS: usize = 8;

/// Different numbers of a parameter that are looked at one by one.
const MAX_EXACT: usize = 32;

/// The groups of every parameter that has numbers.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    by_name: BTreeMap<Box<str>, Groups>,
}

#[derive(Debug)]
struct Groups {
    groups: Vec<Bin>,
    one_by_one: bool,
}

impl Grouping {
    /// Groups of at least `support` tasks, from how many tasks had each single parameter.
    pub(super) fn of<'a>(singles: impl Iterator<Item = (&'a Setting, u64)>, support: u64) -> Self {
        let mut numbers: BTreeMap<&str, BTreeMap<(Number, Number), u64>> = BTreeMap::new();
        for (setting, tasks) in singles {
            for (name, bin) in setting.iter() {
                if let Bin::Numbers(low, high) = bin {
                    *numbers.entry(name).or_default().entry((*low, *high)).or_default() += tasks;
                }
            }
        }
        let groups = |counts: BTreeMap<_, _>| Groups {
            one_by_one: counts.len() <= MAX_EXACT,
            groups: merge(&counts, support),
        };
        Self {
            by_name: numbers.into_iter().map(|(name, all)| (name.into(), groups(all))).collect(),
        }
    }

    /// The settings that tasks with this one are looked at under.
    pub(super) fn looked_at(&self, setting: &Setting) -> Vec<Setting> {
        let grouped = Setting::new(setting.iter().map(|(name, bin)| (name, self.group(name, bin))));
        let mut looked_at = vec![grouped];
        if setting.len() == 1
            && looked_at[0] != *setting
            && setting.iter().all(|(name, _)| self.by_name.get(name).is_some_and(|g| g.one_by_one))
        {
            looked_at.push(setting.clone());
        }
        looked_at
    }

    fn group(&self, name: &str, bin: &Bin) -> Bin {
        let groups = self.by_name.get(name).map_or(&[][..], |groups| &groups.groups);
        groups.iter().find(|group| group.holds(bin)).unwrap_or(bin).clone()
    }
}

/// Neighbours merged until each group has its part of the tasks.
fn merge(counts: &BTreeMap<(Number, Number), u64>, support: u64) -> Vec<Bin> {
    if counts.len() <= MAX_GROUPS {
        return counts.keys().map(|&(low, high)| Bin::Numbers(low, high)).collect();
    }
    let total: u64 = counts.values().sum();
    let part = (total / MAX_GROUPS as u64).max(support).max(1);
    let mut groups: Vec<(Number, Number, u64)> = Vec::new();
    for (&(low, high), &tasks) in counts {
        match groups.last_mut() {
            Some(open) if open.2 < part => (open.1, open.2) = (high, open.2 + tasks),
            _ => groups.push((low, high, tasks)),
        }
    }
    if groups.len() > 1 && groups.last().is_some_and(|last| last.2 < part / 2) {
        let rest = groups.pop();
        if let (Some(last), Some((_, high, tasks))) = (groups.last_mut(), rest) {
            (last.1, last.2) = (high, last.2 + tasks);
        }
    }
    groups.into_iter().map(|(low, high, _)| Bin::Numbers(low, high)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Grouping, MAX_GROUPS};
    use crate::domain::learn::setting::{Bin, Setting};

    fn one(bin: Bin) -> Setting {
        Setting::new([("bpm", bin)])
    }

    fn grouping(values: impl Iterator<Item = (i64, u64)>) -> Grouping {
        let settings: Vec<_> = values.map(|(x, tasks)| (one(Bin::integer(x)), tasks)).collect();
        Grouping::of(settings.iter().map(|(setting, tasks)| (setting, *tasks)), 30)
    }

    fn shown(grouping: &Grouping, x: i64) -> Vec<String> {
        let looked_at = grouping.looked_at(&one(Bin::integer(x)));
        looked_at.iter().flat_map(Setting::iter).map(|(_, bin)| bin.to_string()).collect()
    }

    #[test]
    fn few_numbers_are_looked_at_one_by_one() {
        assert_eq!(shown(&grouping([(90, 5), (120, 50)].into_iter()), 120), ["120"]);
    }

    #[test]
    fn some_are_looked_at_in_groups_and_one_by_one() {
        let grouping = grouping((1..=16).map(|x| (x, 100)));
        assert_eq!(shown(&grouping, 3), ["3..4", "3"]);
    }

    #[test]
    fn many_are_looked_at_in_groups_only_and_never_in_too_many() {
        let grouping = grouping((1..=100).map(|x| (x, 10)));
        assert_eq!(shown(&grouping, 1), ["1..13"]);
        let groups: std::collections::BTreeSet<_> =
            (1..=100).map(|x| shown(&grouping, x)).collect();
        assert!(groups.len() <= MAX_GROUPS, "{groups:?}");
    }

    #[test]
    fn a_group_has_enough_tasks_or_there_is_only_one() {
        assert_eq!(shown(&grouping((1..=40).map(|x| (x, 1))), 7), ["1..40"]);
    }

    #[test]
    fn words_are_left_as_they_are() {
        let jazz = one(Bin::text("jazz"));
        assert_eq!(grouping((1..=100).map(|x| (x, 10))).looked_at(&jazz), [jazz]);
    }
}
