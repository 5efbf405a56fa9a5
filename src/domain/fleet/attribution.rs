//! Where it fails, when it fails for a few: one instance, one host, one zone.
//!
//! A pure function of what each instance says and where it runs. It never blames an upstream: where
//! most say "bad", that is what the quorum is for. And it never guesses: a place is named only when
//! all who fail are there, most of those there fail, and nobody elsewhere does.

use std::fmt;

use super::{
    hearing::{Ballot, Node},
    word::Vote,
};

/// What the votes say about those who see it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It says "bad" of several upstreams that others reach.
    Instance {
        /// Which.
        node: Node,
        /// Of how many of its breakers.
        bad: u32,
        /// How many it has.
        of: u32,
    },
    /// Nobody else fails.
    Alone {
        /// Who.
        node: Node,
        /// How many others it works for.
        others: u32,
    },
    /// All who fail are in one place, and most there fail.
    Place {
        /// What kind of place.
        kind: Kind,
        /// Its name.
        name: String,
        /// How many fail.
        bad: u32,
        /// How many it works for in the same place.
        good_there: u32,
        /// How many it works for elsewhere.
        good_elsewhere: u32,
    },
}

/// What instances may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host.
    Host,
    /// The zone.
    Zone,
}

impl Kind {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Zone => "zone",
        }
    }

    fn of(self, node: &Node) -> Option<&str> {
        match self {
            Self::Host => node.host.as_deref(),
            Self::Zone => node.zone.as_deref(),
        }
    }
}

/// As many breakers say something about an instance, one about an upstream or the way to it.
const SEVERAL: u32 = 2;

/// Whether it is an instance that fails, and not what it calls: several of its breakers, more than
/// half of those that it has, while others reach the same upstreams.
pub const fn is_instance(bad: u32, of: u32) -> bool {
    bad >= SEVERAL && bad.saturating_mul(2) > of
}

/// What those who see it fail have in common. Nothing where they are not fewer than those who see it
/// work.
pub fn attribute(ballots: &[Ballot]) -> Vec<Finding> {
    let who = |vote: Vote| -> Vec<&Ballot> {
        ballots.iter().filter(|ballot| ballot.vote == Some(vote)).collect()
    };
    let (bad, good) = (who(Vote::Bad), who(Vote::Good));
    if bad.is_empty() || bad.len() >= good.len() {
        return Vec::new();
    }
    let sick = bad.iter().filter(|ballot| is_instance(ballot.alone, ballot.of));
    let mut findings: Vec<_> = sick
        .map(|ballot| Finding::Instance {
            node: ballot.node.clone(),
            bad: ballot.alone,
            of: ballot.of,
        })
        .collect();
    // Where every one of them is sick by itself, nothing more is to be explained.
    if findings.len() < bad.len() {
        findings.extend(match &bad[..] {
            [only] => Some(Finding::Alone { node: only.node.clone(), others: count(&good) }),
            _ => place(Kind::Host, &bad, &good).or_else(|| place(Kind::Zone, &bad, &good)),
        });
    }
    findings
}

fn place(kind: Kind, bad: &[&Ballot], good: &[&Ballot]) -> Option<Finding> {
    let name = kind.of(&bad.first()?.node)?;
    let is_there = |ballot: &&&Ballot| kind.of(&ballot.node) == Some(name);
    let good_there: Vec<_> = good.iter().filter(is_there).copied().collect();
    let all_there = bad.iter().filter(is_there).count() == bad.len();
    let good_elsewhere = count(good) - count(&good_there);
    if !all_there || good_there.len() >= bad.len() || good_elsewhere == 0 {
        return None;
    }
    Some(Finding::Place {
        kind,
        name: name.to_owned(),
        bad: count(bad),
        good_there: count(&good_there),
        good_elsewhere,
    })
}

fn count(ballots: &[&Ballot]) -> u32 {
    u32::try_from(ballots.len()).unwrap_or(u32::MAX)
}

impl fmt::Display for Finding {
    /// A sentence without its stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance { node, bad, of } => write!(
                f,
                "instance {node} sees {bad} of its {of} upstreams fail that work for others: it is \
                 this instance, not the upstreams"
            ),
            Self::Alone { node, others: 1 } => {
                write!(f, "only {node} sees it fail, it works for the other one that called it")
            }
            Self::Alone { node, others } => {
                write!(
                    f,
                    "only {node} sees it fail, it works for the {others} others that called it"
                )
            }
            Self::Place { kind, name, bad, good_there, good_elsewhere } => {
                let all = if *bad == 2 { "both".to_owned() } else { format!("all {bad}") };
                let preposition = if *kind == Kind::Host { "on" } else { "in" };
                write!(f, "{all} that fail are {preposition} {name}")?;
                if *good_there > 0 {
                    write!(f, ", where it works for {good_there}")?;
                }
                write!(f, ", none of the {good_elsewhere} elsewhere")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ballot, Node, Vote, attribute, is_instance};

    /// Votes as words such as `3 bad eu-1 host-a`: how many, what, in which zone, on which host; `-`
    /// is none. One that ends in `4/5` says so of four of its five breakers.
    fn ballots(script: &[&str]) -> Vec<Ballot> {
        let mut all = Vec::new();
        for line in script {
            let words: Vec<&str> = line.split(' ').collect();
            let some = |at: usize| {
                words.get(at).filter(|word| **word != "-").map(|word| (*word).to_owned())
            };
            let vote = [Vote::Bad, Vote::Good, Vote::Abstain]
                .into_iter()
                .find(|vote| vote.as_str() == words[1]);
            let many = words.get(4).and_then(|word| word.split_once('/'));
            let (alone, of) =
                many.map_or((1, 5), |(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
            for _ in 0..words[0].parse::<u32>().unwrap() {
                let name = format!("orders-{}", all.len() + 1);
                let node = Node { name, zone: some(2), host: some(3) };
                let ago = Duration::from_secs(1);
                all.push(Ballot { node, vote, ago, calls: 9, failures: 5, alone, of });
            }
        }
        all
    }

    #[track_caller]
    fn check(script: &[&str], expect: &[&str]) {
        let told: Vec<_> = attribute(&ballots(script)).iter().map(ToString::to_string).collect();
        assert_eq!(told, expect, "{script:?}");
    }

    #[test]
    fn a_zone_is_named_when_all_who_fail_are_in_it_and_nobody_elsewhere_fails() {
        check(
            &["3 bad eu-west-1b", "9 good eu-west-1a", "8 good eu-west-1c"],
            &["all 3 that fail are in eu-west-1b, none of the 17 elsewhere"],
        );
        check(
            &["2 bad b", "1 good b", "5 good a", "4 abstain b"],
            &["both that fail are in b, where it works for 1, none of the 5 elsewhere"],
        );
    }

    #[test]
    fn a_zone_is_not_named_when_it_may_be_chance() {
        check(&["3 bad b", "3 good b", "9 good a"], &[]);
        check(&["2 bad b", "1 bad a", "9 good c"], &[]);
        check(&["3 bad b", "9 good b"], &[]);
        check(&["3 bad -", "9 good a"], &[]);
    }

    #[test]
    fn a_host_says_more_than_its_zone() {
        check(
            &["3 bad b ip-10-0-3-7", "4 good b ip-10-0-3-8", "9 good a ip-10-0-1-1"],
            &["all 3 that fail are on ip-10-0-3-7, none of the 13 elsewhere"],
        );
    }

    #[test]
    fn one_that_fails_alone_is_named() {
        check(
            &["1 bad b", "9 good a"],
            &["only orders-1 (b) sees it fail, it works for the 9 others that called it"],
        );
    }

    #[test]
    fn one_that_fails_with_several_upstreams_is_what_fails() {
        check(
            &["1 bad b - 3/4", "9 good a"],
            &["instance orders-1 (b) sees 3 of its 4 upstreams fail that work for others: it is \
               this instance, not the upstreams"],
        );
        let sick_and_zone = ["1 bad b - 3/4", "2 bad b", "9 good a"];
        let told = attribute(&ballots(&sick_and_zone));
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(
            [(1, 1), (2, 4), (2, 3), (3, 4)].map(|(a, b)| is_instance(a, b)),
            [false, false, true, true]
        );
    }

    #[test]
    fn where_most_fail_it_is_the_upstream() {
        check(&["11 bad b", "9 good a"], &[]);
        check(&["1 bad b", "1 good a"], &[]);
        check(&["3 bad b", "8 abstain a"], &[]);
        check(&["9 good a"], &[]);
    }

    #[test]
    fn the_word_of_a_newer_version_counts_for_nobody() {
        check(
            &["5 doubtful a", "1 bad b", "2 good a"],
            &["only orders-6 (b) sees it fail, it works for the 2 others that called it"],
        );
    }
}
