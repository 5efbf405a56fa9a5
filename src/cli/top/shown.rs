//! What is looked at: the order, the filter and the place in the table, and what keys do to them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{columns::Column, overview::Line};

/// Characters of a filter; a longer name is no name of ours.
const MAX_FILTER: usize = 128;

/// See the module docs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// What the lines are sorted by.
    pub(super) sort: Column,
    /// Whether the largest comes first.
    pub(super) is_down: bool,
    /// Only names with this in them, whatever the case.
    pub(super) filter: String,
    /// Whether keys are letters of the filter.
    pub(super) is_typing: bool,
    /// Lines above the first that is on the screen.
    pub(super) above: usize,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// To look on.
    Stay,
    /// To end.
    Quit,
}

impl Shown {
    /// Sorted by this column, the largest number or the first word on top.
    pub(super) fn by(sort: Column, filter: String) -> Self {
        Self { sort, is_down: falls(sort), filter, is_typing: false, above: 0 }
    }

    /// The lines that fit the filter, in their order.
    pub(super) fn lines<'a>(&self, all: &'a [Line]) -> Vec<&'a Line> {
        let filter = self.filter.to_lowercase();
        let mut lines: Vec<&Line> =
            all.iter().filter(|line| line.name.to_lowercase().contains(&filter)).collect();
        lines.sort_by(|a, b| self.sort.compare(a, b, self.is_down));
        lines
    }

    /// Takes a key, while so many lines fit the screen of so many that fit the filter.
    pub(super) fn key(&mut self, key: KeyEvent, screen: usize, lines: usize) -> Step {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Step::Quit;
        }
        if self.is_typing {
            self.type_on(key.code);
            return Step::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Step::Quit,
            KeyCode::Esc if self.filter.is_empty() => return Step::Quit,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('r') => self.is_down = !self.is_down,
            KeyCode::Right | KeyCode::Char('>' | 'l') => self.sort_beside(1),
            KeyCode::Left | KeyCode::Char('<' | 'h') => self.sort_beside(Column::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.above += 1,
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.above += screen,
            KeyCode::PageUp => self.above = self.above.saturating_sub(screen),
            KeyCode::Home | KeyCode::Char('g') => self.above = 0,
            KeyCode::End | KeyCode::Char('G') => self.above = lines,
            _ => {}
        }
        self.above = self.above.min(lines.saturating_sub(screen));
        Step::Stay
    }

    fn type_on(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.chars().count() < MAX_FILTER => {
                self.filter.push(letter);
            }
            _ => {}
        }
        self.above = 0;
    }

    /// Sorts by the column so many to the right, around the end.
    fn sort_beside(&mut self, steps: usize) {
        let at = Column::ALL.iter().position(|column| *column == self.sort).unwrap_or(0);
        self.sort = Column::ALL[(at + steps) % Column::ALL.len()];
        self.is_down = falls(self.sort);
        self.above = 0;
    }
}

/// Whether one looks for the largest: of numbers, but not of the time until the next probe.
fn falls(column: Column) -> bool {
    column.is_number() && column != Column::Probe
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{Shown, Step};
    use crate::cli::top::{columns::Column, sample::line};

    fn shown() -> Shown {
        Shown::by(Column::Circuit, String::new())
    }

    /// Presses a key, ten lines on the screen of thirty.
    fn press(shown: &mut Shown, code: KeyCode) -> Step {
        shown.key(KeyEvent::new(code, KeyModifiers::NONE), 10, 30)
    }

    #[test]
    fn a_filter_is_typed_kept_and_cleared() {
        use KeyCode::{Backspace, Char, Enter, Esc};
        let mut shown = shown();
        for (code, filter, is_typing) in [
            (Char('/'), "", true),
            (Char('q'), "q", true),
            (Char('A'), "qA", true),
            (Char('x'), "qAx", true),
            (Backspace, "qA", true),
            (Enter, "qA", false),
            (Char('z'), "qA", false),
            (Esc, "", false),
            (Char('/'), "", true),
            (Char('b'), "b", true),
            (Esc, "", false),
        ] {
            assert_eq!(press(&mut shown, code), Step::Stay, "{code:?}");
            assert_eq!((shown.filter.as_str(), shown.is_typing), (filter, is_typing), "{code:?}");
        }
        assert_eq!(press(&mut shown, Esc), Step::Quit);
    }

    #[test]
    fn q_ends_it_and_control_c_does_so_while_typing_too() {
        assert_eq!(press(&mut shown(), KeyCode::Char('q')), Step::Quit);
        let mut typing = Shown { is_typing: true, ..shown() };
        assert_eq!(press(&mut typing, KeyCode::Char('c')), Step::Stay);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(typing.key(key, 10, 30), Step::Quit);
    }

    #[test]
    fn arrows_choose_the_column_and_numbers_begin_with_the_largest() {
        let mut shown = shown();
        for (code, sort, is_down) in [
            (KeyCode::Left, Column::Why, false),
            (KeyCode::Right, Column::Circuit, false),
            (KeyCode::Right, Column::Upstream, false),
            (KeyCode::Char('>'), Column::For, true),
            (KeyCode::Char('r'), Column::For, false),
            (KeyCode::Char('<'), Column::Upstream, false),
        ] {
            press(&mut shown, code);
            assert_eq!((shown.sort, shown.is_down), (sort, is_down), "{code:?}");
        }
        assert!(!Shown::by(Column::Probe, String::new()).is_down, "the next one is looked for");
    }

    #[test]
    fn the_table_is_moved_within_its_ends() {
        let mut shown = shown();
        for (code, above) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 11),
            (KeyCode::PageDown, 20),
            (KeyCode::Down, 20),
            (KeyCode::PageUp, 10),
            (KeyCode::Home, 0),
            (KeyCode::End, 20),
            (KeyCode::Char('k'), 19),
        ] {
            press(&mut shown, code);
            assert_eq!(shown.above, above, "{code:?}");
        }
    }

    #[test]
    fn a_filter_is_part_of_a_name_whatever_the_case() {
        let all = ["Payments", "payments/refund", "music"].map(|name| line(name, "CLOSED", None));
        for (filter, names) in [
            ("", &["Payments", "music", "payments/refund"][..]),
            ("PAY", &["Payments", "payments/refund"]),
            ("refund", &["payments/refund"]),
            ("none", &[]),
        ] {
            let shown = Shown::by(Column::Upstream, filter.to_owned());
            let found: Vec<&str> =
                shown.lines(&all).iter().map(|line| line.name.as_str()).collect();
            assert_eq!(found, names, "{filter}");
        }
    }
}
