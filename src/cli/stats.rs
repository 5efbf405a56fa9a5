//! `fusebox stats`: statistics of operations or groups, as a table, as JSON or as CSV.

mod answer;

use std::io::Write;

use clap::Args;
use serde_json::Value;

use self::answer::Statistics;
use super::{
    ask::finish,
    asking::Origin,
    client::Error,
    exit::Exit,
    rows::{Question, Source},
    screen::Screen,
    settings,
};

/// `fusebox stats`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    origin: Origin,
    /// Only tasks of this domain.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Only tasks of this action.
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only calls that this service made or received.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only calls to this upstream.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// From this time on: an instant such as 2026-11-22T10:00:00Z or an age such as 15m
    /// [default: a day ago].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Before this time [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// One line for each: some of domain,action,service,upstream,version,instance,minute,hour,day.
    #[arg(long, value_name = "NAMES")]
    group_by: Option<String>,
    /// One line for each stretch of time, such as 5m, 1h or 1d.
    #[arg(long, value_name = "DURATION")]
    bucket: Option<String>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A table for people.
    Table(Screen),
    /// The whole answer.
    Json,
    /// A line per operation or group.
    Csv,
}

/// Runs the command.
pub(super) fn command(arguments: &Arguments) -> Exit {
    let source = match arguments.origin.source() {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let given = [
        ("domain", &arguments.domain),
        ("action", &arguments.action),
        ("service", &arguments.service),
        ("upstream", &arguments.upstream),
        ("from", &arguments.from),
        ("to", &arguments.to),
        ("groupBy", &arguments.group_by),
        ("bucket", &arguments.bucket),
    ];
    let given = given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let question: Vec<(&str, &str)> = given.collect();
    let shape = match (arguments.csv, arguments.json) {
        (true, _) => Shape::Csv,
        (_, true) => Shape::Json,
        _ => Shape::Table(Screen::of_stdout(&settings::environment())),
    };
    finish(async move { run(&source, &question, shape, &mut std::io::stdout().lock()).await })
}

/// Prints statistics.
///
/// # Errors
/// There is no answer, or it is an error.
pub async fn run(
    source: &Source,
    question: &Question<'_>,
    shape: Shape,
    out: &mut impl Write,
) -> Result<(), Error> {
    match shape {
        Shape::Csv => {
            let question = [question, &[("format", "csv")]].concat();
            out.write_all(source.export(&question).await?.as_bytes())?;
        }
        Shape::Json => {
            let found: Value = source.statistics(question).await?;
            serde_json::to_writer_pretty(&mut *out, &found).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        Shape::Table(screen) => {
            let found: Statistics = source.statistics(question).await?;
            for line in found.lines(screen) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}
