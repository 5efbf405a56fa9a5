//! `fusebox history`: the newest rows of calls, as a table or as JSON.

use std::{fmt::Write as _, io::Write};

use super::{
    client::Error,
    rows::{Question, Rows, Source},
    table::{Printer, Wanted},
};

/// Prints the newest rows.
///
/// # Errors
/// There is no answer, or it is an error.
pub async fn run(
    source: &Source,
    question: &Question<'_>,
    wanted: Wanted,
    out: &mut impl Write,
) -> Result<(), Error> {
    let found = source.newest(question, wanted.limit).await?;
    let mut printer = Printer::new(wanted);
    printer.print(&found.rows, out)?;
    if !wanted.json {
        writeln!(out, "{}", summary(&found))?;
    }
    Ok(())
}

/// What the rows stand for.
fn summary(found: &Rows) -> String {
    let (from, to) = &found.window;
    let short = |time: &str| time.get(..19).unwrap_or(time).to_owned() + "Z";
    let (count, (from, to)) = (found.rows.len(), (short(from), short(to)));
    let rows = if count == 1 { "row" } else { "rows" };
    let mut text = format!("{count} {rows} from {from} to {to}");
    if found.has_more {
        text.push_str("; there are more, see --limit");
    }
    if let Some(share) = found.completeness {
        // Writing to a string cannot fail.
        write!(text, "\n{:.2}% of the calls have a row of their own", share * 100.0).ok();
    }
    text
}
