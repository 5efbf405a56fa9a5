//! `fusebox trace`: the calls of one correlation id as a tree with a waterfall.

use std::{collections::BTreeSet, io::Write};

use serde_json::{Value, json};

use super::{
    client::Error,
    rows::{Row, Source, show_us},
    screen::{Screen, fit, harmless, share, takes},
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

/// Which columns are shown: the first of these that there is room for.
const COLUMNS: [&[usize]; 4] = [&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3, 5], &[0, 1, 3, 5], &[0, 3]];

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
        let layout = Layout::of(&cells, screen);
        let mut text = self.heading(correlation_id, is_cut);
        text.push_str(&layout.line(&HEADINGS.map(str::to_owned)));
        text.push('\n');
        for (placed, cells) in self.tree.iter().zip(&cells) {
            let row = &self.rows[placed.at];
            let bar = self.scale.bar(row.started_us(), row.duration_us(), layout.bars);
            let bar = screen.paint(&row.shown.outcome, &marked(bar, &row.shown.outcome));
            text.push_str(format!("{}  {bar}", layout.line(cells)).trim_end());
            text.push('\n');
        }
        text + &self.legend()
    }

    fn heading(&self, correlation_id: &str, is_cut: bool) -> String {
        let count = self.rows.len();
        let services = self.services().len();
        let took = show_us(self.scale.length_us());
        let cut = if is_cut { ", the newest of more" } else { "" };
        let calls = if count == 1 { "call" } else { "calls" };
        let of = if services == 1 { "service" } else { "services" };
        format!("{correlation_id}: {count} {calls} of {services} {of} in {took}{cut}\n\n")
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
        let call = format!("{guide}{mark}{}", shown.call());
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

/// What is shown of calls, and how wide it is.
struct Layout {
    columns: &'static [usize],
    widths: Vec<usize>,
    /// Cells for the waterfall.
    bars: usize,
}

impl Layout {
    /// All columns where there is no screen; else as many as leave room for the waterfall.
    fn of(cells: &[[String; 6]], screen: Screen) -> Self {
        let (least, most, usual) = BARS;
        let total = screen.width.unwrap_or(usize::MAX);
        let length = |text: &str| text.chars().count();
        let widest = |at: usize| cells.iter().map(|row| length(&row[at])).max().unwrap_or(0);
        let wanted = |&at: &usize| (widest(at).max(length(HEADINGS[at])), MAY_BE_CUT[at]);
        let mut layout = Self { columns: &[], widths: Vec::new(), bars: 0 };
        for columns in COLUMNS {
            let wanted: Vec<_> = columns.iter().map(wanted).collect();
            let widths = share(&wanted, total.saturating_sub(least + 2), LEAST);
            let left = total.saturating_sub(takes(&widths) + 2);
            let bars = if screen.width.is_some() { left.min(most) } else { usual };
            layout = Self { columns, widths, bars };
            if left >= least {
                break;
            }
        }
        layout
    }

    /// Cells below each other, times to the right.
    fn line(&self, cells: &[String; 6]) -> String {
        let fitted = self.columns.iter().zip(&self.widths).map(|(&at, &width)| match at {
            4.. => format!("{:>width$}", cells[at]),
            _ => fit(&cells[at], width),
        });
        fitted.collect::<Vec<_>>().join("  ")
    }
}

#[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^52 µs")]
fn ms(us: u64) -> Value {
    Value::from(us as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Trace;
    use crate::{
        cli::{rows::Row, screen::Screen},
        domain::task::TaskId,
    };

    const AT_US: i64 = 1_795_348_800_000_000;

    /// A call of `took` ms that began `offset` ms after the first, with another's number as cause.
    fn row(number: u128, cause: u128, offset: i64, took: u32, outcome: &str) -> Row {
        let mut row = Row::sample(TaskId::from_u128(number), AT_US + offset * 1_000);
        row.shown.parent_id = (cause > 0).then(|| TaskId::from_u128(cause).to_string());
        row.shown.duration_ms = f64::from(took);
        row.shown.failure_reason = None;
        outcome.clone_into(&mut row.shown.outcome);
        row
    }

    fn rows() -> Vec<Row> {
        vec![
            row(1, 0, 0, 80, "success"),
            row(2, 1, 10, 40, "failure"),
            row(3, 1, 60, 0, "refused"),
            row(4, 9, 40, 30, "interrupted"),
            row(5, 5, 70, 10, "success"),
        ]
    }

    fn text(width: Option<usize>) -> String {
        Trace::of(&rows()).text("req-a", false, Screen { width, colours: false })
    }

    #[test]
    fn calls_are_a_tree_beside_a_waterfall() {
        let expected = "\
req-a: 5 calls of 1 service in 80.0ms

CALL                          SERVICE  STATUS  OUTCOME        START    TOOK
POST payments /v1/charges     orders   503     success         +0µs  80.0ms  ████████████████
├─ POST payments /v1/charges  orders   503     failure      +10.0ms  40.0ms    ████████
└─ POST payments /v1/charges  orders   503     refused      +60.0ms     0µs              ×
? POST payments /v1/charges   orders   503     interrupted  +40.0ms  30.0ms          ▒▒▒▒▒▒
↻ POST payments /v1/charges   orders   503     success      +70.0ms  10.0ms                ██

?  what caused this call has no row here
↻  these calls name each other as their cause
×  refused: not sent on
▒  interrupted: Fusebox stopped before the call ended
";
        assert_eq!(text(Some(93)), expected);
    }

    #[test]
    fn a_task_that_was_reported_is_told_by_what_it_was() {
        let mut reported = row(1, 0, 0, 80, "success");
        for field in [
            &mut reported.shown.listener,
            &mut reported.shown.upstream,
            &mut reported.shown.method,
            &mut reported.shown.path,
        ] {
            "-".clone_into(field);
        }
        "music".clone_into(&mut reported.shown.domain);
        "render".clone_into(&mut reported.shown.action);
        assert_eq!(reported.shown.call(), "music render (reported)");
        assert_eq!(row(2, 0, 0, 80, "success").shown.call(), "POST payments /v1/charges");
    }

    #[test]
    fn a_trace_fits_the_screen() {
        for width in 32..200 {
            let text = text(Some(width));
            let lines = text.lines().skip(2).take(6);
            let widest = lines.map(|line| line.chars().count()).max();
            assert!(widest.unwrap() <= width, "{width}:\n{text}");
        }
    }

    #[test]
    fn json_nests_each_call_below_its_cause() {
        let rows = rows();
        let json = Trace::of(&rows).json("req-a", true);
        assert_eq!((&json["calls"], &json["truncated"]), (&Value::from(5), &Value::from(true)));
        let offsets: Vec<_> = json["tree"][0]["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["offsetMs"].as_f64().unwrap())
            .collect();
        assert_eq!(offsets, [10.0, 60.0]);
        let standings: Vec<_> =
            json["tree"].as_array().unwrap().iter().map(|call| &call["standing"]).collect();
        assert_eq!(standings, ["root", "orphan", "cycle"]);
    }
}
