//! The values that are wanted of a document, as a tree: what is on the way to none is skipped.

use super::pointer::{self, Pointer};

/// See the module docs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    root: Node,
    numbers: Vec<usize>,
}

/// A place on the way to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Node {
    /// The numbers of those that end here.
    pub(super) ends: Vec<usize>,
    pub(super) below: Vec<Step>,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) key: Box<str>,
    /// The number of the item, where there is a list.
    pub(super) item: Option<usize>,
    pub(super) node: Node,
}

impl Wanted {
    /// Adds a place; what is found there has this number.
    pub fn add(&mut self, number: usize, pointer: &Pointer) {
        let mut node = &mut self.root;
        for token in pointer.tokens() {
            let at = node.below.iter().position(|step| step.key == *token);
            let at = at.unwrap_or_else(|| {
                let (key, item) = (token.clone(), pointer::item(token));
                node.below.push(Step { key, item, node: Node::default() });
                node.below.len() - 1
            });
            node = &mut node.below[at].node;
        }
        node.ends.push(number);
        self.numbers.push(number);
    }

    /// Whether nothing is wanted.
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The numbers of all that is wanted.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().copied()
    }

    pub(super) const fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// What nothing is wanted of.
    pub(super) const NOTHING: &Self = &Self { ends: Vec::new(), below: Vec::new() };

    /// Whether nothing is wanted of it.
    pub(super) const fn is_nothing(&self) -> bool {
        self.ends.is_empty() && self.below.is_empty()
    }

    /// The step to a key, by its number among the steps.
    pub(super) fn by_key(&self, key: &str) -> Option<usize> {
        self.below.iter().position(|step| *step.key == *key)
    }

    /// The place of an item of a list.
    pub(super) fn by_item(&self, item: usize) -> &Self {
        let step = self.below.iter().find(|step| step.item == Some(item));
        step.map_or(Self::NOTHING, |step| &step.node)
    }
}
