//! `fusebox top`: the dashboard's table in a terminal.
//!
//! It asks the admin port of a running Fusebox and draws what it says; nothing is kept but the last
//! answer. [`overview`] says what is known, [`shown`] what is looked at, [`page`] makes cells of
//! both, [`printed`] prints them once, and [`live`] alone takes a terminal.

mod columns;
mod live;
mod overview;
mod page;
mod printed;
#[cfg(test)]
mod sample;
mod shown;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Args;

use self::{columns::Column, overview::Overview, printed::frame, shown::Shown};
use super::{
    ask::{Target, finish},
    client::Error,
    exit::Exit,
    output::complain,
    screen::Screen,
    settings,
    standing::Standing,
};
use crate::domain::units::parse_duration;

/// `fusebox top`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// What the table is sorted by at first.
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t = Column::Circuit)]
    sort: Column,
    /// Only upstreams with this in their names.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// How often it asks: 200ms to 1m.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = every)]
    every: Duration,
    /// Print one frame and end; needs no terminal.
    #[arg(long)]
    once: bool,
    /// Print what one frame shows as JSON and end.
    #[arg(long)]
    json: bool,
}

/// Runs `fusebox top`.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let environment = settings::environment();
    let client = arguments.target.client(&environment);
    let screen = Screen::of_stdout(&environment);
    let shown = Shown::by(arguments.sort, arguments.filter.clone());
    if arguments.once || arguments.json {
        return finish(async move {
            let overview = Overview::of(Standing::ask(&client).await?);
            let text = match arguments.json {
                true => json(overview, &shown)?,
                false => frame(&overview, &shown, screen),
            };
            Ok(io::stdout().lock().write_all(text.as_bytes())?)
        });
    }
    let is_dumb = environment.get("TERM") == Some("dumb");
    if is_dumb || !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return complain(
            Exit::Usage,
            "fusebox: top needs a terminal: `--once` prints one frame, `--json` one as JSON",
        );
    }
    finish(live::run(&client, shown, arguments.every, screen.colours))
}

/// A frame as JSON: the lines that fit the filter, in their order.
fn json(mut overview: Overview, shown: &Shown) -> Result<String, Error> {
    overview.upstreams = shown.lines(&overview.upstreams).into_iter().cloned().collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&overview).map_err(io::Error::from)?))
}

fn every(text: &str) -> Result<Duration, String> {
    const BOUNDS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let is_within = (BOUNDS.0..=BOUNDS.1).contains(&duration);
    is_within.then_some(duration).ok_or_else(|| "expected 200ms to 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        columns::Column,
        every, json,
        sample::{line, overview},
        shown::Shown,
    };

    #[test]
    fn json_holds_what_the_filter_lets_through_in_the_order_asked_for() {
        let lines = ["a-1", "b", "a-2"].map(|name| line(name, "OPEN", Some(0.5))).to_vec();
        let shown = Shown { is_down: true, ..Shown::by(Column::Upstream, "A-".to_owned()) };
        let text = json(overview(lines), &shown).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["upstreams"].as_array().unwrap().len(), 2);
        assert_eq!(json["upstreams"][0]["name"], "a-2");
        assert_eq!(json["upstreams"][0]["probeInMs"], 42_000);
        assert_eq!(json["totals"]["circuits"], 3, "totals are of all");
    }

    #[test]
    fn it_asks_neither_too_often_nor_too_seldom() {
        for (text, is_good) in [
            ("200ms", true),
            ("1s", true),
            ("1m", true),
            ("199ms", false),
            ("61s", false),
            ("x", false),
        ] {
            assert_eq!(every(text).is_ok(), is_good, "{text}");
        }
    }
}
