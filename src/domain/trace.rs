//! The calls of one correlation id as a tree: who called whom, in the order of time.
//!
//! Links come from callers and rows may be missing, so anything may be linked to anything: a call
//! whose caller has no row stands on top and says so, and so does the first of calls that claim to
//! have caused each other. Every call is placed exactly once, whatever the links say.

use std::collections::HashMap;

use super::task::TaskId;

/// How deep calls are nested at most; what is deeper stands beside its caller. Calls that really
/// go that deep are refused as a loop long before.
pub const MAX_DEPTH: usize = 64;

/// What of a call decides its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: TaskId,
    /// The id of the call that caused it.
    pub parent: Option<TaskId>,
    /// When it started, in microseconds since the Unix epoch.
    pub started_us: i64,
}

/// Why a call stands where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known to have caused it.
    Root,
    /// The call above caused it.
    Child,
    /// What caused it has no row here.
    Orphan,
    /// It is its own cause, directly or through others.
    Cycle,
}

impl Standing {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Child => "child",
            Self::Orphan => "orphan",
            Self::Cycle => "cycle",
        }
    }
}

/// A call in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Which of the calls.
    pub at: usize,
    /// How many calls are above it.
    pub depth: usize,
    /// Why it is there.
    pub standing: Standing,
}

/// Places calls: each before those that it caused, and those of one cause by time.
pub fn tree(calls: &[Link]) -> Vec<Placed> {
    let mut by_time: Vec<usize> = (0..calls.len()).collect();
    by_time.sort_by_key(|&at| (calls[at].started_us, calls[at].id, at));
    let mut by_id: HashMap<TaskId, usize> = HashMap::with_capacity(calls.len());
    for &at in &by_time {
        by_id.entry(calls[at].id).or_insert(at);
    }
    let parent = |at: usize| calls[at].parent.and_then(|id| by_id.get(&id).copied());
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); calls.len()];
    for &at in &by_time {
        if let Some(parent) = parent(at) {
            children[parent].push(at);
        }
    }
    let mut planting = Planting { children, is_placed: vec![false; calls.len()], placed: vec![] };
    for &at in &by_time {
        if parent(at).is_none() {
            let is_orphan = calls[at].parent.is_some();
            planting.plant(at, if is_orphan { Standing::Orphan } else { Standing::Root });
        }
    }
    // What is left hangs on nothing but itself.
    for at in by_time {
        planting.plant(at, Standing::Cycle);
    }
    planting.placed
}

struct Planting {
    children: Vec<Vec<usize>>,
    is_placed: Vec<bool>,
    placed: Vec<Placed>,
}

impl Planting {
    /// Places a call that stands on top, and everything below it.
    fn plant(&mut self, at: usize, standing: Standing) {
        let mut waiting = vec![Placed { at, depth: 0, standing }];
        while let Some(next) = waiting.pop() {
            if std::mem::replace(&mut self.is_placed[next.at], true) {
                continue;
            }
            self.placed.push(next);
            let depth = (next.depth + 1).min(MAX_DEPTH);
            let below = |&at| Placed { at, depth, standing: Standing::Child };
            waiting.extend(self.children[next.at].iter().rev().map(below));
        }
    }
}

/// The lines that lead to each call of a tree: nothing for those on top, else `├─ ` or `└─ `
/// behind the lines that go on to later calls.
pub fn guides(tree: &[Placed]) -> Vec<String> {
    // From the end: whether a later call stands at each depth, below the same one.
    let mut goes_on: Vec<bool> = Vec::new();
    let mut guides: Vec<String> = Vec::with_capacity(tree.len());
    for placed in tree.iter().rev() {
        let is_last = goes_on.len() <= placed.depth || !goes_on[placed.depth];
        goes_on.resize(placed.depth + 1, false);
        goes_on[placed.depth] = true;
        let above = goes_on.iter().take(placed.depth).skip(1);
        let mut guide: String = above.map(|&on| if on { "│  " } else { "   " }).collect();
        if placed.depth > 0 {
            guide.push_str(if is_last { "└─ " } else { "├─ " });
        }
        guides.push(guide);
    }
    guides.reverse();
    guides
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::proptest};

    use super::{Link, MAX_DEPTH, Standing, guides, tree};
    use crate::domain::task::TaskId;

    /// Calls written as `id<parent@time`, the last two as needed; ids and parents are letters.
    fn calls(text: &str) -> Vec<Link> {
        let id = |letter: &str| TaskId::from_u128(letter.bytes().map(u128::from).sum());
        let call = |word: &str| {
            let (link, time) = word.split_once('@').unwrap_or((word, "0"));
            let (own, parent) = link.split_once('<').unwrap_or((link, ""));
            let parent = (!parent.is_empty()).then(|| id(parent));
            Link { id: id(own), parent, started_us: time.parse().unwrap() }
        };
        text.split(' ').map(call).collect()
    }

    /// The tree with its lines; `?` marks an orphan, `*` a cycle.
    fn drawn(text: &str) -> Vec<String> {
        let names: Vec<&str> = text.split(' ').map(|word| &word[..1]).collect();
        let placed = tree(&calls(text));
        let line = |(placed, guide): (&super::Placed, String)| {
            let mark = match placed.standing {
                Standing::Orphan => "?",
                Standing::Cycle => "*",
                Standing::Root | Standing::Child => "",
            };
            format!("{guide}{mark}{}", names[placed.at])
        };
        placed.iter().zip(guides(&placed)).map(line).collect()
    }

    #[test]
    fn calls_stand_below_what_caused_them_in_the_order_of_time() {
        assert_eq!(
            drawn("d<b@5 c<a@4 b<a@2 a@1 e<b@3"),
            ["a", "├─ b", "│  ├─ e", "│  └─ d", "└─ c"]
        );
        assert_eq!(drawn("a b<a c<b d<a"), ["a", "├─ b", "│  └─ c", "└─ d"]);
        assert_eq!(drawn("a b<a c<b"), ["a", "└─ b", "   └─ c"]);
    }

    #[test]
    fn several_may_stand_on_top() {
        assert_eq!(drawn("b@2 a@1 c<b@3"), ["a", "b", "└─ c"]);
    }

    #[test]
    fn a_call_whose_cause_is_missing_stands_on_top() {
        assert_eq!(drawn("a@1 b<x@2 c<b@3"), ["a", "?b", "└─ c"]);
    }

    #[test]
    fn a_circle_is_cut_at_its_first_call() {
        assert_eq!(drawn("a<b@1 b<a@2 c<b@3 d@4"), ["d", "*a", "└─ b", "   └─ c"]);
        assert_eq!(drawn("a<a"), ["*a"]);
    }

    #[test]
    fn the_same_id_twice_is_two_calls() {
        assert_eq!(drawn("a@1 b<a@2 b<a@3 c<b@4"), ["a", "├─ b", "│  └─ c", "└─ b"]);
    }

    #[test]
    fn a_very_deep_chain_is_not_nested_for_ever() {
        let link = |at: u128| Link {
            id: TaskId::from_u128(at),
            parent: at.checked_sub(1).map(TaskId::from_u128),
            started_us: 0,
        };
        let placed = tree(&(0..10_000).map(link).collect::<Vec<_>>());
        assert_eq!(placed.len(), 10_000);
        assert_eq!(placed.iter().map(|placed| placed.depth).max(), Some(MAX_DEPTH));
    }

    proptest! {
        #[test]
        fn every_call_is_placed_once_and_never_more_than_one_deeper_than_the_one_before(
            links in vec((0_u8..12, 0_u8..16, 0_i64..5), 0..20)
        ) {
            let link = |&(id, parent, started_us): &(u8, u8, i64)| Link {
                id: TaskId::from_u128(id.into()),
                parent: (parent > 0).then(|| TaskId::from_u128(parent.into())),
                started_us,
            };
            let calls: Vec<Link> = links.iter().map(link).collect();
            let placed = tree(&calls);
            let mut seen: Vec<usize> = placed.iter().map(|placed| placed.at).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..calls.len()).collect::<Vec<_>>());
            let mut above = 0;
            for placed in &placed {
                assert!(placed.depth <= above);
                above = placed.depth + 1;
            }
            assert_eq!(guides(&placed).len(), placed.len());
        }
    }
}
