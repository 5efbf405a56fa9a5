//! One frame as text, for a file, a pipe, or a terminal that is not to be taken over.

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
    widgets::Widget as _,
};

use super::{overview::Overview, page::Page, shown::Shown};
use crate::cli::screen::Screen;

/// Neither colour nor weight: the SGR code that ends all others.
const PLAIN: &str = "0";

/// All lines of a frame. What there is no room for is cut; a file or a pipe has room for everything.
pub(super) fn frame(overview: &Overview, shown: &Shown, screen: Screen) -> String {
    let page = Page { overview, shown, has_colours: screen.colours, away: None, is_live: false };
    let (widest, height) = page.size();
    let width = screen.width.and_then(|width| u16::try_from(width).ok()).unwrap_or(widest);
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    page.render(buffer.area, &mut buffer);
    let rows = buffer.content().chunks(usize::from(width.max(1)));
    rows.map(|row| format!("{}\n", line(row, screen.colours))).collect()
}

/// A line up to its last letter.
fn line(cells: &[Cell], has_colours: bool) -> String {
    let length = cells.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
    let (mut text, mut before) = (String::new(), PLAIN.to_owned());
    for cell in &cells[..length] {
        let style = if has_colours { style(cell) } else { PLAIN.to_owned() };
        if style != before {
            // Writing to a string cannot fail.
            write!(text, "\x1b[{style}m").ok();
            before = style;
        }
        text.push_str(cell.symbol());
    }
    if before != PLAIN {
        text.push_str("\x1b[0m");
    }
    text
}

/// How a cell looks, as SGR codes that begin anew.
fn style(cell: &Cell) -> String {
    const COLOURS: [(Color, &str); 3] =
        [(Color::Red, ";31"), (Color::Green, ";32"), (Color::Yellow, ";33")];
    const WEIGHTS: [(Modifier, &str); 3] =
        [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::UNDERLINED, ";4")];
    let weights = WEIGHTS.iter().filter(|(weight, _)| cell.modifier.contains(*weight));
    let colours = COLOURS.iter().filter(|(colour, _)| cell.fg == *colour);
    let codes = weights.map(|(_, code)| *code).chain(colours.map(|(_, code)| *code));
    std::iter::once(PLAIN).chain(codes).collect()
}

#[cfg(test)]
mod tests {
    use super::frame;
    use crate::cli::{
        screen::Screen,
        top::{
            columns::Column,
            sample::{line, overview},
            shown::Shown,
        },
    };

    #[test]
    fn a_frame_in_a_file_is_whole_and_one_on_a_screen_fits_it() {
        let lines: Vec<_> =
            (0..300).map(|at| line(&format!("upstream-{at:03}"), "OPEN", Some(0.5))).collect();
        let (overview, shown) = (overview(lines), Shown::by(Column::Upstream, String::new()));
        let whole = frame(&overview, &shown, Screen::PLAIN);
        assert_eq!(whole.lines().count(), 305);
        assert!(whole.ends_with("consecutive_failures\n"), "{whole}");
        assert!(!whole.contains(['…', '\u{1b}']), "{whole}");
        let fits = frame(&overview, &shown, Screen { width: Some(50), colours: false });
        assert!(fits.lines().all(|line| line.chars().count() <= 50), "{fits}");
    }

    #[test]
    fn colours_are_for_terminals_and_end_with_their_line() {
        let overview = overview(vec![line("payments", "OPEN", Some(1.0))]);
        let shown = Shown::by(Column::Upstream, String::new());
        let text = frame(&overview, &shown, Screen { width: Some(120), colours: true });
        assert!(text.contains("\n\u{1b}[0;1;31mOPEN"), "{text:?}");
        for line in text.lines().filter(|line| line.contains('\u{1b}')) {
            let last = line.rsplit_once('\u{1b}').map(|(_, last)| last).unwrap();
            assert!(last.starts_with("[0m"), "{line:?}");
        }
    }
}
