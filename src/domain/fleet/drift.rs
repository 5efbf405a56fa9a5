//! Who follows other rules for a breaker than most of those who share it.
//!
//! Instances that were configured differently decide differently about the same upstream, which is
//! hard to see from outside. Those who do not say what they follow are in no faction: what is unknown
//! is no drift.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    time::Duration,
};

use super::hearing::Faction;
use crate::domain::units::show_span;

/// The most names that are shown.
pub const NAMES: usize = 5;

/// Some have other rules than the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The rules of most of them.
    pub usual: String,
    /// How many say what they follow.
    pub of: u32,
    /// How many follow something else.
    pub count: u32,
    /// The names of these, some of them.
    pub names: Vec<String>,
    /// For how long both have been there.
    pub since: Duration,
    /// What is followed, in the order of fingerprints: by it one drift is told from another.
    pub rules: Vec<String>,
}

/// Makes one faction of those that follow the same rules for the same breaker.
pub fn united(factions: impl IntoIterator<Item = Faction>) -> Vec<Faction> {
    let mut united: BTreeMap<(String, String), Faction> = BTreeMap::new();
    for faction in factions {
        match united.entry((faction.key.clone(), faction.rules.clone())) {
            Entry::Vacant(place) => drop(place.insert(faction)),
            Entry::Occupied(mut place) => {
                let one = place.get_mut();
                one.count += faction.count;
                one.since = one.since.max(faction.since);
                one.names.extend(faction.names);
            }
        }
    }
    united.into_values().collect()
}

/// Finds it among those who share one breaker.
pub fn drift(factions: &[Faction]) -> Option<Drift> {
    let mut known: Vec<&Faction> = factions.iter().collect();
    // The most are the rule; of as many, those who have been there longest.
    known.sort_by_key(|faction| {
        (u32::MAX - faction.count, Duration::MAX - faction.since, &faction.rules)
    });
    let (most, others) = known.split_first()?;
    let oldest = others.iter().map(|faction| faction.since).max()?;
    let count = others.iter().map(|faction| faction.count).sum();
    let mut names: Vec<_> = others.iter().flat_map(|faction| faction.names.clone()).collect();
    names.sort();
    names.truncate(NAMES);
    let mut rules: Vec<_> = known.iter().map(|faction| faction.rules.clone()).collect();
    rules.sort();
    Some(Drift {
        usual: most.rules.clone(),
        of: count + most.count,
        count,
        names,
        since: oldest.min(most.since),
        rules,
    })
}

impl Drift {
    /// What it is after some time.
    pub fn aged(&self, by: Duration) -> Self {
        Self { since: self.since + by, ..self.clone() }
    }
}

impl fmt::Display for Drift {
    /// A sentence without its stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, count, names, since, .. } = self;
        let shown = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let more = match count.saturating_sub(shown) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (names, verb) = (names.join(", "), if *count == 1 { "has" } else { "have" });
        write!(
            f,
            "{count} of {of} instances ({names}{more}) {verb} other rules than the rest, for {}",
            show_span(*since)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Faction, drift, united};

    /// Factions as words such as `aa 18 orders-1 3600`: their rules, how many, the first of their
    /// names, since how many seconds.
    fn factions(script: &[&str]) -> Vec<Faction> {
        let faction = |line: &&str| {
            let [rules, count, name, since] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("four words: {line}")
            };
            let count = count.parse().unwrap();
            let (prefix, first) = name.split_once('-').unwrap();
            let first: u32 = first.parse().unwrap();
            Faction {
                key: "payments".to_owned(),
                rules: rules.to_owned(),
                count,
                names: (first..first + count.min(5)).map(|n| format!("{prefix}-{n}")).collect(),
                since: Duration::from_secs(since.parse().unwrap()),
            }
        };
        script.iter().map(faction).collect()
    }

    #[track_caller]
    fn check(script: &[&str], expect: Option<&str>) {
        let told = drift(&factions(script)).map(|drift| drift.to_string());
        assert_eq!(told.as_deref(), expect, "{script:?}");
    }

    #[test]
    fn those_who_differ_from_most_are_named() {
        check(
            &["aa 18 orders-10 7200", "bb 2 orders-3 300"],
            Some("2 of 20 instances (orders-3, orders-4) have other rules than the rest, for 5m"),
        );
        check(
            &["bb 1 orders-3 90", "aa 2 orders-1 60"],
            Some("1 of 3 instances (orders-3) has other rules than the rest, for 1m"),
        );
    }

    #[test]
    fn of_as_many_the_newer_ones_differ() {
        check(
            &["aa 1 orders-1 60", "bb 1 orders-2 600"],
            Some("1 of 2 instances (orders-1) has other rules than the rest, for 1m"),
        );
    }

    #[test]
    fn many_names_are_counted() {
        let told = drift(&factions(&["aa 9 orders-1 60", "bb 8 pay-1 50"])).unwrap().to_string();
        assert!(told.contains("(pay-1, pay-2, pay-3, pay-4, pay-5 and 3 more)"), "{told}");
    }

    #[test]
    fn where_all_are_alike_there_is_none() {
        check(&["aa 3 orders-1 60"], None);
        check(&[], None);
    }

    #[test]
    fn factions_with_the_same_rules_are_one() {
        let all = factions(&["aa 3 orders-1 60", "bb 1 orders-9 60", "aa 2 pay-1 90"]);
        let united = united(all);
        let told: Vec<_> = united.iter().map(|of| (&*of.rules, of.count, of.names.len())).collect();
        assert_eq!(told, [("aa", 5, 5), ("bb", 1, 1)]);
        assert_eq!(united[0].since, Duration::from_secs(90));
    }
}
