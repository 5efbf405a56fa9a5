//! How far long work is, for a person who waits: one line on standard error, drawn over itself.
//!
//! Only where that is a terminal; a file or a pipe gets nothing, so scripts read what they always
//! read. The line is gone when the work is done.

use std::io::{self, IsTerminal as _, Write as _};

use super::{screen::fit, settings::environment};

/// Cells of the bar.
const BAR: usize = 24;

/// The narrowest screen that a line is fitted into.
const NARROW: usize = 20;

/// See the module docs.
#[derive(Debug)]
pub(super) struct Progress {
    /// Columns; none where nobody looks.
    width: Option<usize>,
}

impl Progress {
    /// On standard error as it is now.
    pub(super) fn on_stderr() -> Self {
        let stderr = io::stderr();
        let is_dumb = environment().get("TERM") == Some("dumb");
        if is_dumb || !stderr.is_terminal() {
            return Self { width: None };
        }
        let width = terminal_size::terminal_size_of(&stderr).map_or(80, |(width, _)| width.0);
        Self { width: Some(usize::from(width).max(NARROW)) }
    }

    /// So much of all is done, and this is what is being done.
    pub(super) fn tell(&self, done: u64, all: u64, doing: &str) {
        let Some(width) = self.width else { return };
        // One cell is left free: a full line would begin the next one.
        let line = fit(&line(done, all, doing), width - 1);
        let _gone = write!(io::stderr(), "\r{}", line);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.width.is_some() {
            let _gone = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(done: u64, all: u64, doing: &str) -> String {
    let done = done.min(all);
    let of = |whole: u64| (u128::from(done) * u128::from(whole)).checked_div(u128::from(all));
    let part = |whole: u64| usize::try_from(of(whole).unwrap_or(0)).unwrap_or(0);
    let full = part(BAR as u64);
    format!("{}{} {:>3}%  {doing}", "█".repeat(full), "░".repeat(BAR - full), part(100))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_fills_from_nothing_to_all_and_not_beyond() {
        for (done, all, full, percent) in [
            (0, 0, 0, "  0%"),
            (0, 8, 0, "  0%"),
            (1, 8, 3, " 12%"),
            (7, 8, 21, " 87%"),
            (8, 8, 24, "100%"),
            (9, 8, 24, "100%"),
            (u64::MAX, u64::MAX, 24, "100%"),
        ] {
            let line = line(done, all, "rows");
            assert_eq!(line.matches('█').count(), full, "{line}");
            assert_eq!(line.matches('░').count(), 24 - full, "{line}");
            assert!(line.ends_with(&format!(" {percent}  rows")), "{line}");
        }
    }
}
