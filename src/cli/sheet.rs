//! A small table that is printed at once: columns that fit the screen, numbers to the right.

use super::screen::{Screen, fit, harmless, share, takes};

/// See the module docs.
#[derive(Debug)]
pub(super) struct Sheet {
    headings: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Texts, which may be cut.
    Left,
    /// Numbers, which may not.
    Right,
}

impl Sheet {
    /// One without rows.
    pub(super) const fn new(headings: Vec<(&'static str, Side)>) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row, a cell for each heading.
    pub(super) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| harmless(cell)).collect());
    }

    /// Whether it has no rows.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the headings first. What there is no room for is left out from the end.
    pub(super) fn lines(&self, screen: Screen) -> Vec<String> {
        let widths = self.widths(screen);
        let headings = self.headings.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).zip(&self.headings);
            let fitted = cells.map(|((cell, &width), (_, side))| match side {
                Side::Left => fit(cell, width),
                Side::Right => format!("{cell:>width$}"),
            });
            fitted.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        std::iter::once(&headings).chain(&self.rows).map(line).collect()
    }

    fn widths(&self, screen: Screen) -> Vec<usize> {
        let length = |text: &str| text.chars().count();
        let widest = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| length(cell)).max()
        };
        let wanted: Vec<(usize, bool)> = self
            .headings
            .iter()
            .enumerate()
            .map(|(at, (heading, side))| {
                (widest(at).unwrap_or(0).max(length(heading)), *side == Side::Left)
            })
            .collect();
        let total = screen.width.unwrap_or(usize::MAX);
        let shared = (1..=wanted.len()).rev().map(|count| share(&wanted[..count], total, LEAST));
        shared.into_iter().find(|widths| takes(widths) <= total).unwrap_or_default()
    }
}

/// Cells that a column of texts keeps on a narrow screen.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::{Sheet, Side};
    use crate::cli::screen::Screen;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new(vec![("NAME", Side::Left), ("N", Side::Right)]);
        sheet.push(vec!["a-rather-long-name".to_owned(), "7".to_owned()]);
        sheet.push(vec!["b\u{1b}".to_owned(), "1234".to_owned()]);
        sheet
    }

    #[test]
    fn texts_stand_left_and_numbers_right() {
        let lines = sheet().lines(Screen::PLAIN);
        assert_eq!(
            lines,
            ["NAME                   N", "a-rather-long-name     7", "b·                  1234"]
        );
    }

    #[test]
    fn a_narrow_screen_cuts_texts_and_then_columns() {
        for width in 8..40 {
            let screen = Screen { width: Some(width), colours: false };
            let widest = sheet().lines(screen).iter().map(|line| line.chars().count()).max();
            assert!(widest.unwrap() <= width, "{width}: {widest:?}");
        }
        let screen = Screen { width: Some(14), colours: false };
        assert_eq!(sheet().lines(screen)[1], "a-rathe…     7");
    }
}
