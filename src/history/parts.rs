//! A lot on its way to the store, cut in halves where the store will not take it.
//!
//! A list of ranges of rows that are still to be written, first one on top. A refused range is
//! replaced by its halves, so that one bad row among a thousand is found in about twenty writes and
//! costs the others nothing. A row that is refused alone is written off in two steps: its sum, and
//! if that is refused too, nothing but the cursor behind it.

use std::ops::Range;

/// See the module docs.
#[derive(Debug)]
pub(super) struct Parts {
    todo: Vec<Part>,
}

/// Some rows, and what of them is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    pub(super) what: What,
}

/// What is written of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The rows with their sums.
    Rows,
    /// The sums alone: the one row is bad.
    Sums,
    /// Only that it was passed.
    Nothing,
}

impl Parts {
    /// All rows of a lot in one.
    pub(super) fn new(rows: usize) -> Self {
        Self { todo: vec![Part { rows: 0..rows, what: What::Rows }] }
    }

    /// What to write next; none when everything is done with.
    pub(super) fn next(&self) -> Option<Part> {
        self.todo.last().cloned()
    }

    /// It is written.
    pub(super) fn written(&mut self) {
        self.todo.pop();
    }

    /// It was refused: it is tried in parts. A row that was refused alone comes back, once.
    pub(super) fn refused(&mut self) -> Option<usize> {
        let Part { rows, what } = self.todo.pop()?;
        if rows.len() > 1 {
            let middle = rows.start + rows.len() / 2;
            let halves = [middle..rows.end, rows.start..middle];
            self.todo.extend(halves.map(|rows| Part { rows, what: What::Rows }));
            return None;
        }
        match what {
            What::Rows => {
                let row = rows.start;
                let is_row = !rows.is_empty();
                self.todo
                    .push(Part { rows, what: if is_row { What::Sums } else { What::Nothing } });
                is_row.then_some(row)
            }
            What::Sums => {
                self.todo.push(Part { rows, what: What::Nothing });
                None
            }
            // There is nothing in it to refuse: the caller sees to it that this ends.
            What::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, What};
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn every_good_row_is_written_once_and_every_bad_one_is_found(bad in proptest::collection::vec(any::<bool>(), 1..64), sums_are_bad in any::<bool>()) {
            let mut parts = Parts::new(bad.len());
            let (mut written, mut found, mut passed, mut writes) = (Vec::new(), Vec::new(), Vec::new(), 0);
            while let Some(part) = parts.next() {
                writes += 1;
                let is_bad = match part.what {
                    What::Rows => part.rows.clone().any(|row| bad[row]),
                    What::Sums => sums_are_bad,
                    What::Nothing => false,
                };
                if is_bad {
                    found.extend(parts.refused());
                } else {
                    match part.what {
                        What::Rows => written.extend(part.rows.clone()),
                        What::Sums | What::Nothing => passed.extend(part.rows.clone()),
                    }
                    parts.written();
                }
            }
            let of = |wanted: bool| (0..bad.len()).filter(|&row| bad[row] == wanted).collect::<Vec<_>>();
            assert_eq!(written, of(false));
            assert_eq!(found, of(true));
            assert_eq!(passed, of(true));
            assert!(writes <= 1 + 2 * 8 * found.len(), "{writes} writes to find {}", found.len());
        }
    }
}
