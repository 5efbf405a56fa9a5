//! What a command prints on: how wide it is, and whether it shows colours.

use std::io::{self, IsTerminal};

use crate::config::Environment;

/// Where lines end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns; none for a file or a pipe, where nothing is cut.
    pub width: Option<usize>,
    /// Whether colours are shown.
    pub colours: bool,
}

/// How a call that ended so is coloured: SGR codes.
const OUTCOMES: [(&str, &str); 6] = [
    ("success", "32"),
    ("failure", "31"),
    ("timeout", "31"),
    ("refused", "33"),
    ("cancelled", "35"),
    ("interrupted", "35"),
];

impl Screen {
    /// A file or a pipe.
    pub const PLAIN: Self = Self { width: None, colours: false };

    /// Standard output as it is now. `COLUMNS` overrides the terminal, `NO_COLOR` its colours.
    pub(super) fn of_stdout(environment: &Environment) -> Self {
        let asked = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self { width: asked, colours: false };
        }
        let own = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
        let is_dumb = environment.get("TERM") == Some("dumb");
        let colours = environment.get("NO_COLOR").is_none() && !is_dumb;
        Self { width: asked.or(own), colours }
    }

    /// A text in the colour of an outcome.
    pub(super) fn paint(self, outcome: &str, text: &str) -> String {
        let code = OUTCOMES.iter().find(|(name, _)| *name == outcome);
        match code {
            Some((_, code)) if self.colours => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// A text in exactly so many cells: filled up, or cut with an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain((width > 0).then_some('…')).collect()
}

/// A text without anything that a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// The cells that columns of these widths take, with two between each.
pub(super) fn takes(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

/// Widths for columns that want these, in `total` cells with two between each: the widest of those
/// that may be cut give way first, down to `least`.
pub(super) fn share(wanted: &[(usize, bool)], total: usize, least: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = wanted.iter().map(|(width, _)| *width).collect();
    while takes(&widths) > total {
        let widest = (0..widths.len())
            .filter(|&at| wanted[at].1 && widths[at] > least)
            .max_by_key(|&at| (widths[at], at));
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::{Screen, fit, harmless, share};

    #[test]
    fn a_text_fills_its_cells_exactly() {
        for (text, width, cells) in [
            ("abc", 5, "abc  "),
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("äöü", 2, "ä…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, width), cells);
        }
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let wanted = [(10, false), (30, true), (20, true)];
        for (total, widths) in
            [(100, [10, 30, 20]), (54, [10, 20, 20]), (44, [10, 15, 15]), (10, [10, 8, 8])]
        {
            assert_eq!(share(&wanted, total, 8), widths, "{total}");
        }
    }

    #[test]
    fn colours_are_for_terminals_and_escapes_for_nobody() {
        let colourful = Screen { width: None, colours: true };
        assert_eq!(colourful.paint("refused", "x"), "\x1b[33mx\x1b[0m");
        assert_eq!(colourful.paint("splendid", "x"), "x");
        assert_eq!(Screen::PLAIN.paint("refused", "x"), "x");
        assert_eq!(harmless("a\x1b[2Jb\n"), "a·[2Jb·");
    }
}
