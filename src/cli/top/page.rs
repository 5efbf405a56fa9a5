//! One frame as cells: a pure function of what is known and what is looked at.

use ratatui::{
    buffer::Buffer,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line as Words, Span},
    widgets::{Cell, Paragraph, Row, Table, Widget},
};

use super::{
    columns::{Column, show_rate, show_share},
    overview::{Line, Overview},
    shown::Shown,
};
use crate::cli::{
    screen::{fit, share, takes},
    standing::{instances, span},
};

/// From this share of errors on, a number is coloured.
const HOT: f64 = 0.05;

/// Cells that a column of words keeps on a narrow screen.
const LEAST: usize = 8;

/// Notes that are shown; an operator who has more reads `fusebox status`.
const MAX_NOTES: usize = 3;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) overview: &'a Overview,
    pub(super) shown: &'a Shown,
    pub(super) has_colours: bool,
    /// Why what is shown is old; none when it is not.
    pub(super) away: Option<&'a str>,
    /// Whether keys do something.
    pub(super) is_live: bool,
}

impl Widget for Page<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let head = self.head();
        let [above, table, below] = Layout::vertical([
            Constraint::Length(cells(head.len())),
            Constraint::Min(0),
            Constraint::Length(u16::from(self.is_live)),
        ])
        .areas(area);
        Paragraph::new(head).render(above, buffer);
        self.table(usize::from(table.width), usize::from(table.height)).render(table, buffer);
        if self.is_live {
            Paragraph::new(self.foot(area)).render(below, buffer);
        }
    }
}

impl Page<'_> {
    /// Lines of the table that a screen of this height has room for.
    pub(super) fn room(&self, height: u16) -> usize {
        let taken = self.head().len() + 1 + usize::from(self.is_live);
        usize::from(height).saturating_sub(taken)
    }

    /// How large a frame is in which nothing is cut and nothing left out.
    pub(super) fn size(&self) -> (u16, u16) {
        let head = self.head();
        let lines = self.shown.lines(&self.overview.upstreams);
        let table = takes(&Column::ALL.map(|column| self.widest(column, &lines)));
        let widest = head.iter().map(Words::width).max().unwrap_or(0).max(table);
        (cells(widest), cells(head.len() + 1 + lines.len()))
    }

    fn head(&self) -> Vec<Words<'static>> {
        let Overview { service, namespace, display_name, version, .. } = self.overview;
        let Overview { totals, store, rows, notes, .. } = self.overview;
        let up = span(self.overview.uptime_ms);
        let closed = totals.circuits - totals.open - totals.recovering;
        let errors = totals.error_share().map_or_else(|| "–".to_owned(), show_share);
        let circuits = Style::new().add_modifier(Modifier::BOLD).patch(match totals.open {
            0 => Style::new(),
            _ => self.colour(Color::Red),
        });
        let recovering = match totals.recovering {
            0 => String::new(),
            count => format!(", {count} recovering"),
        };
        let store = match &store.fault {
            None => format!("{}, {}, {}", store.kind, store.sync_mode, instances(store.instances)),
            Some(fault) => format!("{} is away: {fault}", store.kind),
        };
        let mut lines = vec![
            Words::from(format!(
                "{service} ({namespace}) on {display_name}, Fusebox {version}, up {up}"
            )),
            Words::from(vec![
                "circuits ".into(),
                Span::styled(format!("{} open", totals.open), circuits),
                format!("{recovering}, {closed} closed   ").into(),
                format!(
                    "calls {}/s, {} in flight   ",
                    show_rate(totals.calls_per_second),
                    totals.in_flight
                )
                .into(),
                format!("errors {errors} of {}", totals.calls).into(),
            ]),
            Words::from(format!(
                "store {store}   rows {} written, {} waiting, {} lost",
                rows.written, rows.waiting, rows.lost
            )),
        ];
        let noted = notes.iter().take(MAX_NOTES).map(|note| format!("! {note}"));
        let noted = noted
            .chain((notes.len() > MAX_NOTES).then(|| "! and more: `fusebox status`".to_owned()));
        lines.extend(noted.map(|note| Words::styled(note, self.colour(Color::Yellow))));
        if let Some(why) = self.away {
            let style = self.colour(Color::Red).add_modifier(Modifier::BOLD);
            lines.push(Words::styled(format!("! {why}; asking again"), style));
        }
        lines.push(Words::default());
        lines
    }

    fn table(&self, width: usize, height: usize) -> Table<'static> {
        let all = self.shown.lines(&self.overview.upstreams);
        let (columns, widths) = self.columns(&all, width);
        let room = height.saturating_sub(1);
        let first = self.shown.above.min(all.len().saturating_sub(room));
        let fitted = columns.iter().zip(&widths);
        let headings = fitted.clone().map(|(&column, &width)| {
            let heading = Cell::from(aligned(column, &self.heading(column), width));
            heading.style(if column == self.shown.sort {
                Modifier::BOLD.into()
            } else {
                Style::new()
            })
        });
        let rows = all.iter().skip(first).take(room).map(|line| {
            Row::new(fitted.clone().map(|(&column, &width)| {
                let text = aligned(column, &column.text(line), width);
                Cell::from(text).style(self.style(column, line))
            }))
        });
        let dim = if self.away.is_some() { Modifier::DIM } else { Modifier::empty() };
        Table::new(rows, widths.iter().map(|&width| Constraint::Length(cells(width))))
            .header(Row::new(headings).style(Modifier::UNDERLINED))
            .column_spacing(2)
            .style(dim)
    }

    /// The columns that there is room for, and how wide they are.
    fn columns(&self, lines: &[&Line], total: usize) -> (Vec<Column>, Vec<usize>) {
        let mut columns = Column::ALL.to_vec();
        let mut spared = Column::SPARED.iter();
        loop {
            let wanted: Vec<_> = columns
                .iter()
                .map(|&column| (self.widest(column, lines), !column.is_number()))
                .collect();
            let widths = share(&wanted, total, LEAST);
            let gone = (takes(&widths) > total).then(|| spared.next()).flatten();
            let Some(gone) = gone else { return (columns, widths) };
            columns.retain(|column| column != gone);
        }
    }

    fn widest(&self, column: Column, lines: &[&Line]) -> usize {
        let heading = self.heading(column).chars().count();
        let cells = lines.iter().map(|line| column.text(line).chars().count());
        cells.max().unwrap_or(0).max(heading)
    }

    /// What stands above a column, with the way that it is sorted.
    fn heading(&self, column: Column) -> String {
        match column == self.shown.sort {
            true if self.shown.is_down => format!("{}▼", column.heading()),
            true => format!("{}▲", column.heading()),
            false => column.heading().to_owned(),
        }
    }

    fn style(&self, column: Column, line: &Line) -> Style {
        match column {
            Column::Circuit => match line.state.as_str() {
                "OPEN" => self.colour(Color::Red).add_modifier(Modifier::BOLD),
                "CLOSED" => self.colour(Color::Green),
                _ => self.colour(Color::Yellow),
            },
            Column::Errors if line.error_share.is_some_and(|share| share > HOT) => {
                self.colour(Color::Red)
            }
            _ => Style::new(),
        }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn foot(&self, area: Rect) -> Words<'static> {
        if self.shown.is_typing {
            return Words::from(format!("/{}█   Enter keeps it, Esc drops it", self.shown.filter));
        }
        let (all, fit) = (&self.overview.upstreams, self.shown.lines(&self.overview.upstreams));
        let room = self.room(area.height);
        let first = self.shown.above.min(fit.len().saturating_sub(room));
        let last = (first + room).min(fit.len());
        let place = match (&*self.shown.filter, fit.len()) {
            ("", 0) => "no upstream is configured".to_owned(),
            (filter, 0) => format!("none of {} has “{filter}” in its name", all.len()),
            ("", count) => format!("{} to {last} of {count}", first + 1),
            (filter, count) => format!("{} to {last} of {count} with “{filter}”", first + 1),
        };
        let keys = "q quit   / filter   ←→ sort by   r reverse   ↑↓ move";
        Words::from(format!("{place}   {keys}")).style(Modifier::DIM)
    }
}

/// A text in its cells: numbers to the right.
fn aligned(column: Column, text: &str, width: usize) -> Words<'static> {
    if column.is_number() {
        return Words::from(text.to_owned()).alignment(Alignment::Right);
    }
    Words::from(fit(text, width))
}

fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

    use super::Page;
    use crate::cli::top::{
        columns::Column,
        overview::Overview,
        sample::{line, overview},
        shown::Shown,
    };

    fn three() -> Overview {
        overview(vec![
            line("music", "CLOSED", Some(0.002)),
            line("payments", "OPEN", Some(1.0)),
            line("payments/refund", "RAMPING", Some(0.2)),
            line("idle", "CLOSED", None),
        ])
    }

    fn by_circuit() -> Shown {
        Shown::by(Column::Circuit, String::new())
    }

    fn page<'a>(overview: &'a Overview, shown: &'a Shown) -> Page<'a> {
        Page { overview, shown, has_colours: true, away: None, is_live: true }
    }

    fn drawn(page: Page<'_>, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| frame.render_widget(page, frame.area())).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> String {
        let rows = buffer.content().chunks(usize::from(buffer.area.width));
        let line = |row: &[ratatui::buffer::Cell]| -> String {
            let cells: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            cells.trim_end().to_owned()
        };
        rows.map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_wide_screen_shows_everything_and_the_worst_first() {
        let expected = "\
orders (production) on host-1, Fusebox 0.1.0, up 3h 12m
circuits 1 open, 1 recovering, 2 closed   calls 83/s, 8 in flight   errors 2.1% of 2481
store postgres, listen, 3 instances   rows 96512 written, 4 waiting, 0 lost

CIRCUIT▲  UPSTREAM           FOR  CALLS/S  ERRORS    P50   P95   P99  IN FLIGHT  PROBE IN  WHY
OPEN      payments           18s       41    100%  3.2ms  48ms  1.2s          5       42s  consecutive_failures
RAMPING   payments/refund    18s       41   20.0%  3.2ms  48ms  1.2s          4         –  consecutive_failures
CLOSED    idle             2h 3m        –       –      –     –     –          0         –
CLOSED    music            2h 3m       41    0.2%  3.2ms  48ms  1.2s          3         –

1 to 4 of 4   q quit   / filter   ←→ sort by   r reverse   ↑↓ move";
        assert_eq!(text(&drawn(page(&three(), &by_circuit()), 120, 11)), expected);
    }

    #[test]
    fn a_narrow_screen_cuts_words_and_spares_columns() {
        let table = |width| {
            let text = text(&drawn(page(&three(), &by_circuit()), width, 11));
            text.lines().skip(4).take(3).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            table(80),
            [
                "CIRCUIT▲  UPSTREAM     FOR  CALLS/S  ERRORS   P99  IN FLIGHT  PROBE IN  WHY",
                "OPEN      payments     18s       41    100%  1.2s          5       42s  consecu…",
                "RAMPING   payments…    18s       41   20.0%  1.2s          4         –  consecu…",
            ]
        );
        assert_eq!(
            table(40),
            [
                "CIRCUIT▲  UPSTREAM      ERRORS  PROBE IN",
                "OPEN      payments        100%       42s",
                "RAMPING   payments/re…   20.0%         –",
            ]
        );
    }

    #[test]
    fn no_screen_is_too_small_to_be_drawn_on() {
        for (width, height) in [(1, 1), (3, 2), (8, 4), (20, 5), (500, 1)] {
            drawn(page(&three(), &by_circuit()), width, height);
        }
    }

    #[test]
    fn a_state_has_its_colour_unless_there_are_none() {
        let colour_of = |has_colours, name: &str| {
            let (overview, shown) = (three(), by_circuit());
            let buffer = drawn(Page { has_colours, ..page(&overview, &shown) }, 120, 11);
            let at = text(&buffer).lines().position(|line| line.contains(name)).unwrap();
            buffer[(0, u16::try_from(at).unwrap())].fg
        };
        for (name, colour) in [
            (" payments ", Color::Red),
            ("payments/refund", Color::Yellow),
            (" music ", Color::Green),
        ] {
            assert_eq!(colour_of(true, name), colour, "{name}");
            assert_eq!(colour_of(false, name), Color::Reset, "{name}");
        }
    }

    #[test]
    fn a_long_table_is_moved_and_says_where_it_stands() {
        let lines = (0..30).map(|at| line(&format!("u{at:02}"), "CLOSED", None)).collect();
        let overview = overview(lines);
        for (above, filter, foot) in [
            (0, "", "1 to 5 of 30 "),
            (7, "", "8 to 12 of 30 "),
            (25, "", "26 to 30 of 30 "),
            (99, "", "26 to 30 of 30 "),
            (0, "u1", "1 to 5 of 10 with “u1” "),
            (9, "u1", "6 to 10 of 10 with “u1” "),
            (0, "none", "none of 30 has “none” in its name "),
        ] {
            let shown = Shown { above, ..Shown::by(Column::Upstream, filter.to_owned()) };
            let text = text(&drawn(page(&overview, &shown), 100, 11));
            assert!(text.lines().last().unwrap().starts_with(foot), "{above} {filter}: {text}");
            assert_eq!(page(&overview, &shown).room(11), 5);
        }
    }

    #[test]
    fn what_an_operator_should_know_stands_above_the_table() {
        let mut overview = three();
        overview.notes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        overview.store.fault = Some("no route to host".to_owned());
        let shown = by_circuit();
        let page = Page { away: Some("cannot reach it"), ..page(&overview, &shown) };
        let text = text(&drawn(page, 100, 20));
        let head: Vec<&str> = text.lines().take(9).collect();
        let notes = ["! a", "! b", "! c", "! and more: `fusebox status`"];
        assert!(head[2].starts_with("store postgres is away: no route to host "), "{text}");
        assert_eq!(head[3..7], notes, "{text}");
        assert_eq!(head[7..], ["! cannot reach it; asking again", ""], "{text}");
    }
}
