//! Rows below each other: one JSON object per line, or columns that fit the screen.

use std::{fmt::Write as _, io::Write};

use super::{
    client::Error,
    rows::{Row, show_us},
    screen::{Screen, fit, harmless, share, takes},
};

/// What is printed and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Rows at most; with `--follow`, those that were there before.
    pub limit: usize,
    /// One JSON object per line instead of a table.
    pub json: bool,
    /// Where it is printed.
    pub screen: Screen,
}

/// Prints rows in portions under one heading.
pub(super) struct Printer {
    wanted: Wanted,
    /// Set by the first portion, so that all portions stand below each other.
    widths: Option<Vec<usize>>,
}

/// What there is no room for is left out from the end.
const HEADINGS: [&str; 9] = [
    "TIME (UTC)",
    "TOOK",
    "STATUS",
    "OUTCOME",
    "UPSTREAM",
    "METHOD",
    "PATH",
    "SERVICE",
    "CORRELATION",
];

/// Which columns may be cut when the screen is narrow.
const MAY_BE_CUT: [bool; 9] = [false, false, false, true, true, false, true, true, true];

/// The column of numbers.
const TOOK: usize = 1;

/// The column that is coloured.
const OUTCOME: usize = 3;

impl Printer {
    pub(super) const fn new(wanted: Wanted) -> Self {
        Self { wanted, widths: None }
    }

    pub(super) fn print(&mut self, rows: &[Row], out: &mut impl Write) -> Result<(), Error> {
        if self.wanted.json {
            for row in rows {
                serde_json::to_writer(&mut *out, &row.whole).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
            }
            return Ok(());
        }
        let cells: Vec<[String; 9]> = rows.iter().map(cells).collect();
        if self.widths.is_none() && !rows.is_empty() {
            let widths = widths(&cells, self.wanted.screen);
            writeln!(out, "{}", line(&HEADINGS.map(str::to_owned), &widths, self.wanted.screen))?;
            self.widths = Some(widths);
        }
        for cells in cells {
            let widths = self.widths.as_deref().unwrap_or_default();
            writeln!(out, "{}", line(&cells, widths, self.wanted.screen))?;
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; 9] {
    let shown = &row.shown;
    let time = shown.started_at.strftime("%m-%d %H:%M:%S%.3f").to_string();
    [
        time,
        show_us(row.duration_us()),
        row.status(),
        harmless(&row.ending()),
        harmless(&shown.upstream),
        harmless(&shown.method),
        harmless(&shown.path),
        harmless(&shown.service),
        harmless(&shown.correlation_id),
    ]
}

fn widths(cells: &[[String; 9]], screen: Screen) -> Vec<usize> {
    let length = |text: &str| text.chars().count();
    let widest = |at: usize| cells.iter().map(|row| length(&row[at])).max().unwrap_or(0);
    let wanted: Vec<_> =
        (0..9).map(|at| (widest(at).max(length(HEADINGS[at])), MAY_BE_CUT[at])).collect();
    let total = screen.width.unwrap_or(usize::MAX);
    let shared = (1..=wanted.len()).rev().map(|count| share(&wanted[..count], total, LEAST));
    shared.into_iter().find(|widths| takes(widths) <= total).unwrap_or_default()
}

fn line(cells: &[String; 9], widths: &[usize], screen: Screen) -> String {
    let mut text = String::new();
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let gap = if at == 0 { "" } else { "  " };
        // Without a screen nothing is cut, also where a later row is wider.
        let width = screen.width.map_or_else(|| width.max(cell.chars().count()), |_| width);
        let fitted = match at == TOOK {
            true => format!("{cell:>width$}"),
            false => fit(cell, width),
        };
        let outcome = cell.split(' ').next().unwrap_or_default();
        let shown = if at == OUTCOME { screen.paint(outcome, &fitted) } else { fitted };
        // Writing to a string cannot fail.
        write!(text, "{gap}{shown}").ok();
    }
    text.trim_end().to_owned()
}

/// Cells that a column keeps on a narrow screen.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::{Printer, Wanted};
    use crate::{
        cli::{rows::Row, screen::Screen},
        domain::task::TaskId,
    };

    fn printed(width: Option<usize>) -> String {
        let screen = Screen { width, colours: false };
        let mut out = Vec::new();
        let rows = [Row::sample(TaskId::from_u128(1), 1_795_348_800_123_456)];
        Printer::new(Wanted { limit: 1, json: false, screen }).print(&rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_a_heading_and_a_line_per_row() {
        let expected = "\
TIME (UTC)            TOOK  STATUS  OUTCOME           UPSTREAM  METHOD  PATH         SERVICE  CORRELATION
11-22 12:00:00.123  12.3ms  503     failure http_503  payments  POST    /v1/charges  orders   req-0123456789abcdef
";
        assert_eq!(printed(None), expected);
        assert_eq!(printed(Some(200)), expected);
    }

    #[test]
    fn a_table_fits_the_screen() {
        for width in 18..130 {
            let widest = printed(Some(width)).lines().map(|line| line.chars().count()).max();
            assert!(widest.unwrap() <= width, "{width}: {widest:?}");
        }
    }
}
