//! Calls added up by whatever was asked: by operation, by service, by version, by the hour.
//!
//! A [`Grouping`] says what makes calls belong together; [`Groups`] adds them up. Rollups and rows
//! go the same way, so that an answer means the same wherever it comes from.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::{
    operation::Tally,
    rollup::{Rollup, RollupKey},
};

/// What calls may be told apart by, besides time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The task's domain.
    Domain,
    /// The task's action.
    Action,
    /// The service beside the proxy.
    Service,
    /// Where it went.
    Upstream,
    /// The service's version. Rollups do not have it.
    Version,
    /// The process that carried it. Rollups do not have it.
    Instance,
}

impl Dimension {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] =
        [Self::Domain, Self::Action, Self::Service, Self::Upstream, Self::Version, Self::Instance];

    /// The name in questions and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Action => "action",
            Self::Service => "service",
            Self::Upstream => "upstream",
            Self::Version => "version",
            Self::Instance => "instance",
        }
    }

    /// Whether rollups tell it.
    pub const fn is_in_rollups(self) -> bool {
        !matches!(self, Self::Version | Self::Instance)
    }

    fn of(self, calls: &Calls<'_>) -> Box<str> {
        match self {
            Self::Domain => calls.key.domain.clone(),
            Self::Action => calls.key.action.clone(),
            Self::Service => Box::from(&*calls.key.service),
            Self::Upstream => calls.key.upstream.clone(),
            Self::Version => Box::from(calls.version),
            Self::Instance => Box::from(calls.instance),
        }
    }
}

/// Whose calls they are.
#[derive(Debug, Clone, Copy)]
pub struct Calls<'a> {
    /// What a rollup tells of them.
    pub key: &'a RollupKey,
    /// The service's version; empty where it is not known.
    pub version: &'a str,
    /// The process that carried them; empty where it is not known.
    pub instance: &'a str,
}

impl<'a> From<&'a RollupKey> for Calls<'a> {
    fn from(key: &'a RollupKey) -> Self {
        Self { key, version: "", instance: "" }
    }
}

/// What makes calls belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// These are the same.
    pub by: Vec<Dimension>,
    /// They began within the same stretch of so many minutes, counted from the Unix epoch.
    pub bucket: Option<NonZeroU32>,
}

impl Grouping {
    /// Whether rollups are enough to answer.
    pub fn is_in_rollups(&self) -> bool {
        self.by.iter().all(|dimension| dimension.is_in_rollups())
    }

    /// The beginning of the stretch that a minute belongs to.
    pub fn bucket_of(&self, minute: i64) -> Option<i64> {
        let length = i64::from(self.bucket?.get());
        Some(minute - minute.rem_euclid(length))
    }

    fn key(&self, calls: &Calls<'_>) -> GroupKey {
        GroupKey {
            bucket: self.bucket_of(calls.key.minute),
            names: self.by.iter().map(|dimension| dimension.of(calls)).collect(),
        }
    }
}

/// What the calls of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The minute in which its stretch of time begins, where that was asked for.
    pub bucket: Option<i64>,
    /// The values of [`Grouping::by`], in that order.
    pub names: Vec<Box<str>>,
}

/// Calls added up by group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    grouping: Grouping,
    tallies: BTreeMap<GroupKey, Tally>,
}

impl Groups {
    /// Nothing yet.
    pub const fn by(grouping: Grouping) -> Self {
        Self { grouping, tallies: BTreeMap::new() }
    }

    /// Adds some calls.
    pub fn add<'a>(&mut self, calls: impl Into<Calls<'a>>, rollup: &Rollup) {
        let calls = calls.into();
        let tally = self.tallies.entry(self.grouping.key(&calls)).or_default();
        tally.add(calls.key.outcome, calls.key.reason, rollup);
    }

    /// The calls of a group.
    pub fn of(&self, key: &GroupKey) -> Option<&Tally> {
        self.tallies.get(key)
    }

    /// What they are grouped by.
    pub const fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    /// The groups, at most so many of them, and how many were left out. Those with the fewest calls
    /// are, a group's stretches of time together.
    pub fn busiest(&self, most: usize) -> (Vec<(&GroupKey, &Tally)>, usize) {
        let mut by_names: BTreeMap<&[Box<str>], (u64, usize)> = BTreeMap::new();
        for (key, tally) in &self.tallies {
            let sum = by_names.entry(&key.names).or_default();
            *sum = (sum.0 + tally.calls(), sum.1 + 1);
        }
        let mut names: Vec<_> = by_names.iter().map(|(names, sum)| (*sum, *names)).collect();
        names.sort_by_key(|((calls, _), names)| (u64::MAX - calls, *names));
        let mut room = most;
        let kept: BTreeMap<&[Box<str>], usize> = names
            .iter()
            .take_while(|((_, stretches), _)| {
                let left = room.checked_sub(*stretches);
                room = left.unwrap_or(0);
                left.is_some()
            })
            .enumerate()
            .map(|(rank, (_, names))| (*names, rank))
            .collect();
        let mut shown: Vec<_> =
            self.tallies.iter().filter(|(key, _)| kept.contains_key(&key.names[..])).collect();
        // By time, and at the same time the busiest first.
        shown.sort_by_key(|(key, _)| (key.bucket, kept.get(&key.names[..]).copied()));
        (shown, by_names.len() - kept.len())
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use proptest::prelude::{any, proptest};

    use super::{Calls, Dimension, Grouping, Groups};
    use crate::domain::{
        learn::rollup::{Rollup, RollupKey},
        outcome::Outcome,
    };

    fn key(service: &str, minute: i64) -> RollupKey {
        RollupKey {
            minute,
            service: Arc::from(service),
            upstream: "pay".into(),
            domain: "billing".into(),
            action: "charge".into(),
            outcome: Outcome::Success,
            reason: None,
        }
    }

    fn calls(count: u64) -> Rollup {
        Rollup { count, stored: count, ..Rollup::default() }
    }

    fn shown(groups: &Groups, most: usize) -> (Vec<String>, usize) {
        let (shown, left_out) = groups.busiest(most);
        let line = shown.into_iter().map(|(key, tally)| {
            let at = key.bucket.map_or_else(String::new, |at| format!("{at} "));
            format!("{at}{} {}", key.names.join("/"), tally.calls())
        });
        (line.collect(), left_out)
    }

    #[test]
    fn calls_are_added_up_by_name_and_time() {
        let by = vec![Dimension::Service, Dimension::Version];
        let mut groups = Groups::by(Grouping { by, bucket: NonZeroU32::new(60) });
        for (service, version, minute, count) in [
            ("a", "1", 59, 1),
            ("a", "1", 60, 2),
            ("a", "1", 119, 3),
            ("b", "1", 60, 9),
            ("a", "2", 61, 4),
        ] {
            let key = key(service, minute);
            groups.add(Calls { version, ..Calls::from(&key) }, &calls(count));
        }
        let all = ["0 a/1 1", "60 b/1 9", "60 a/1 5", "60 a/2 4"];
        assert_eq!(shown(&groups, 10), (all.map(str::to_owned).to_vec(), 0));
        assert_eq!(shown(&groups, 3), (all[..3].iter().map(|&line| line.to_owned()).collect(), 1));
        assert_eq!(shown(&groups, 0).1, 3);
    }

    #[test]
    fn only_rows_know_versions_and_instances() {
        for dimension in Dimension::ALL {
            let grouping = Grouping { by: vec![dimension], bucket: None };
            let is_coarse = matches!(dimension, Dimension::Version | Dimension::Instance);
            assert_eq!(grouping.is_in_rollups(), !is_coarse, "{}", dimension.as_str());
        }
    }

    proptest! {
        #[test]
        fn every_call_is_in_one_group(parts: Vec<(bool, u8, u16)>, width in any::<NonZeroU32>()) {
            let by = vec![Dimension::Service];
            let mut groups = Groups::by(Grouping { by, bucket: Some(width) });
            for &(is_a, count, minute) in &parts {
                groups.add(&key(if is_a { "a" } else { "b" }, minute.into()), &calls(count.into()));
            }
            let (all, left_out) = groups.busiest(usize::MAX);
            let sum: u64 = all.iter().map(|(_, tally)| tally.calls()).sum();
            assert_eq!((sum, left_out), (parts.iter().map(|part| u64::from(part.1)).sum(), 0));
        }
    }
}
