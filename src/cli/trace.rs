//! `fusebox trace`: the calls of one correlation id as a tree with a waterfall.

use std::{collections::BTreeSet, io::Write};

use serde_json::{Value, json};

use super::{
    client::Error,
    rows::{Row, Source, show_us},
    screen::{Screen, fit, harmless, share},
};
use crate::domain::{
    trace::{Link, Placed, Standing, guides, tree},
    waterfall::Scale,
};

/// Calls of one trace at most.
const MAX_CALLS: usize = 10_000;

/// Cells of a waterfall at least, at most, and where nothing limits it.
const BARS: (usize, usize, usize) = (10, 60, 40);

/// Cells that a column keeps on a narrow screen.
const LEAST: usize = 8;

const HEADINGS: [&str; 6] = ["CALL", "SERVICE", "STATUS", "OUTCOME", "START", "TOOK"];

/// Which columns may be cut when the screen is narrow.
const MAY_BE_CUT: [bool; 6] = [true, true, false, true, false, false];

/// Prints the calls of a correlation id.
///
/// # Errors
/// There are none, there is no answer, or it is an error.
pub async fn run(
    source: &Source,
    correlation_id: &str,
    as_json: bool,
    screen: Screen,
    out: &mut impl Write,
) -> Result<(), Error> {
    let found = source.newest(&[("correlationId", correlation_id)], MAX_CALLS).await?;
    if found.rows.is_empty() {
        let message = format!("no row has the correlation id `{correlation_id}`");
        return Err(Error::Nothing(message));
    }
    let trace = Trace::of(&found.rows);
    if as_json {
        writeln!(out, "{:#}", trace.json(correlation_id, found.has_more))?;
    } else {
        out.write_all(trace.text(correlation_id, found.has_more, screen).as_bytes())?;
    }
    Ok(())
}

/// Calls in their places.
struct Trace<'a> {
    rows: &'a [Row],
    tree: Vec<Placed>,
    scale: Scale,
}

impl<'a> Trace<'a> {
    fn of(rows: &'a [Row]) -> Self {
        let link =
            |row: &Row| Link { id: row.id(), parent: row.parent(), started_us: row.started_us() };
        let links: Vec<Link> = rows.iter().map(link).collect();
        let scale = Scale::of(rows.iter().map(|row| (row.started_us(), row.duration_us())));
        Self { rows, tree: tree(&links), scale }
    }

    /// Each call with those below it as its `children`.
    fn json(&self, correlation_id: &str, is_cut: bool) -> Value {
        // From the end, so that what is below a call is complete when the call comes.
        let mut below: Vec<Vec<Value>> = vec![Vec::new()];
        for placed in self.tree.iter().rev() {
            let row = &self.rows[placed.at];
            below.resize(below.len().max(placed.depth + 2), Vec::new());
            let mut children = below.pop().unwrap_or_default();
            children.reverse();
            let mut call = row.whole.clone();
            call.insert("offsetMs".to_owned(), ms(self.scale.offset_us(row.started_us())));
            call.insert("standing".to_owned(), placed.standing.as_str().into());
            call.insert("children".to_owned(), children.into());
            below.truncate(placed.depth + 1);
            below[placed.depth].push(call.into());
        }
        let mut calls = below.swap_remove(0);
        calls.reverse();
        json!({
            "correlationId": correlation_id,
            "calls": self.rows.len(),
            "truncated": is_cut,
            "services": self.services(),
            "durationMs": ms(self.scale.length_us()),
            "tree": calls,
        })
    }

    fn text(&self, correlation_id: &str, is_cut: bool, screen: Screen) -> String {
        let cells: Vec<[String; 6]> = self
            .tree
            .iter()
            .zip(guides(&self.tree))
            .map(|(at, guide)| self.cells(*at, &guide))
            .collect();
        let (widths, bars) = layout(&cells, screen);
        let mut text = self.heading(correlation_id, is_cut);
        text.push_str(&line(&HEADINGS.map(str::to_owned), &widths));
        text.push('\n');
        for (placed, cells) in self.tree.iter().zip(&cells) {
            let row = &self.rows[placed.at];
            let bar = self.scale.bar(row.started_us(), row.duration_us(), bars);
            let bar = screen.paint(&row.shown.outcome, &marked(bar, &row.shown.outcome));
            text.push_str(format!("{}  {bar}", line(cells, &widths)).trim_end());
            text.push('\n');
        }
        text + &self.legend()
    }

    fn heading(&self, correlation_id: &str, is_cut: bool) -> String {
        let count = self.rows.len();
        let services = self.services().len();
        let took = show_us(self.scale.length_us());
        let cut = if is_cut { ", the newest of more" } else { "" };
        format!("{correlation_id}: {count} calls of {services} services in {took}{cut}\n\n")
    }

    fn services(&self) -> BTreeSet<&str> {
        self.rows.iter().map(|row| row.shown.service.as_str()).collect()
    }

    fn cells(&self, placed: Placed, guide: &str) -> [String; 6] {
        let row = &self.rows[placed.at];
        let shown = &row.shown;
        let mark = match placed.standing {
            Standing::Orphan => "? ",
            Standing::Cycle => "↻ ",
            Standing::Root | Standing::Child => "",
        };
        let call = format!("{guide}{mark}{} {} {}", shown.method, shown.upstream, shown.path);
        [
            harmless(&call),
            harmless(&shown.service),
            row.status(),
            harmless(&row.ending()),
            format!("+{}", show_us(self.scale.offset_us(row.started_us()))),
            show_us(row.duration_us()),
        ]
    }

    /// What the marks mean that are there.
    fn legend(&self) -> String {
        let stands = |standing| self.tree.iter().any(|placed| placed.standing == standing);
        let ended = |outcome| self.rows.iter().any(|row| row.shown.outcome == outcome);
        let mut text = String::new();
        for (is_there, line) in [
            (stands(Standing::Orphan), "?  what caused this call has no row here"),
            (stands(Standing::Cycle), "↻  these calls name each other as their cause"),
            (ended("refused"), "×  refused: not sent on"),
            (ended("interrupted"), "▒  interrupted: Fusebox stopped before the call ended"),
        ] {
            if is_there {
                text.push_str(if text.is_empty() { "\n" } else { "" });
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

/// A bar that shows calls which did not run to their end.
fn marked(bar: String, outcome: &str) -> String {
    let mark = match outcome {
        "refused" => '×',
        "interrupted" => '▒',
        _ => return bar,
    };
    bar.chars().map(|cell| if cell == ' ' { ' ' } else { mark }).collect()
}

/// The widths of the columns, and of the waterfall in what is left.
fn layout(cells: &[[String; 6]], screen: Screen) -> (Vec<usize>, usize) {
    let (least, most, usual) = BARS;
    let length = |text: &str| text.chars().count();
    let widest = |at: usize| cells.iter().map(|row| length(&row[at])).max().unwrap_or(0);
    let wanted: Vec<_> =
        (0..6).map(|at| (widest(at).max(length(HEADINGS[at])), MAY_BE_CUT[at])).collect();
    let Some(total) = screen.width else {
        return (wanted.into_iter().map(|(width, _)| width).collect(), usual);
    };
    let widths = share(&wanted, total.saturating_sub(least + 2), LEAST);
    let used = widths.iter().map(|width| width + 2).sum();
    (widths, total.saturating_sub(used).min(most))
}

/// Cells below each other, the last two to the right.
fn line(cells: &[String; 6], widths: &[usize]) -> String {
    let fitted = cells.iter().zip(widths).enumerate().map(|(at, (cell, &width))| match at {
        4.. => format!("{cell:>width$}"),
        _ => fit(cell, width),
    });
    fitted.collect::<Vec<_>>().join("  ")
}

#[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^52 µs")]
fn ms(us: u64) -> Value {
    Value::from(us as f64 / 1_000.0)
}
