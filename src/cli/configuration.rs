//! The commands around the configuration's file: `schema`, `init`, `config`.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    exit::Exit,
    output::{complain, say},
    settings::{Given, Settings},
};
use crate::config::{self, Explained};

/// The starter file. Its first line tells editors where the schema is.
const STARTER: &str = include_str!("starter.yaml");

/// What the schema's file is called beside the starter.
const SCHEMA: &str = "fusebox.schema.json";

/// `fusebox init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The file to write; the schema is written beside it.
    #[arg(default_value = "fusebox.yaml")]
    file: PathBuf,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

/// `fusebox config`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every value in force and where it comes from; secrets are hidden.
    Show(Show),
    /// Print the reference of all keys, in Markdown.
    Reference,
}

/// `fusebox config show`.
#[derive(Debug, Args)]
struct Show {
    /// The configuration file; the same as `--config FILE`.
    #[arg(value_name = "FILE", conflicts_with_all = ["config", "upstream"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Print the values as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `fusebox schema`.
pub(super) fn schema() -> Exit {
    say(format!("{:#}", config::schema()));
    Exit::Ok
}

/// Runs `fusebox init`.
pub(super) fn init(arguments: &Init) -> Exit {
    let schema = arguments.file.with_file_name(SCHEMA);
    let files = [
        (arguments.file.as_path(), STARTER),
        (schema.as_path(), &format!("{:#}\n", config::schema())),
    ];
    // Neither is written where one of them is there: a schema of another version would mislead.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        let path = path.display();
        return complain(
            Exit::Runtime,
            format!("fusebox: {path} is there already: nothing is written"),
        );
    }
    for (path, text) in files {
        if let Err(error) = write_new(path, text) {
            return complain(Exit::Runtime, format!("fusebox: {}: {error}", path.display()));
        }
        if !arguments.json {
            say(format!("wrote {}", path.display()));
        }
    }
    if arguments.json {
        say(json!({ "wrote": files.map(|(path, _)| path) }));
        return Exit::Ok;
    }
    let file = arguments.file.display();
    say(format!("next: fusebox validate {file}, then fusebox run --config {file}"));
    Exit::Ok
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// Runs `fusebox config`.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match &arguments.action {
        Action::Reference => {
            say(config::reference().trim_end());
            Exit::Ok
        }
        Action::Show(show) => {
            let settings = show.settings.with_file(show.file.as_deref());
            match explained(&settings) {
                Ok((source, lines)) if show.json => {
                    say(format!("{:#}", json!({ "source": source, "values": as_json(&lines) })));
                    Exit::Ok
                }
                Ok((_, lines)) => {
                    say(in_lines(&lines).trim_end());
                    Exit::Ok
                }
                Err(exit) => exit,
            }
        }
    }
}

/// What the configuration is called and every value in force, once it is good.
fn explained(settings: &Settings) -> Result<(String, Vec<Explained>), Exit> {
    let Given { name, loaded, text } = settings.read()?;
    loaded.map_err(|problems| complain(Exit::Configuration, problems))?;
    Ok((name, text.explained()?))
}

/// A line for each value, with where it comes from in a column of its own.
pub(super) fn in_lines(lines: &[Explained]) -> String {
    let text = |line: &Explained| {
        let value = if line.value.is_empty() { "\"\"" } else { &line.value };
        format!("{} = {value}", line.path)
    };
    let lines: Vec<_> = lines.iter().map(|line| (text(line), &line.origin)).collect();
    // A long list must not push the column out of sight.
    let longest = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
    let width = longest.min(72);
    let shown = lines.iter().map(|(text, origin)| format!("{text:width$}  # {origin}\n"));
    shown.collect()
}

/// The same for scripts.
pub(super) fn as_json(lines: &[Explained]) -> serde_json::Value {
    let one = |line: &Explained| json!({ "path": line.path, "value": line.value, "origin": line.origin.to_string() });
    lines.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::{STARTER, in_lines};
    use crate::config::{Environment, Source, explain, load};

    #[test]
    fn the_starter_is_good_and_tells_editors_of_the_schema() {
        let first = STARTER.lines().next().unwrap();
        assert_eq!(first, "# yaml-language-server: $schema=./fusebox.schema.json");
        let source = Source { name: "fusebox.yaml".to_owned(), text: STARTER.to_owned() };
        let loaded = load(&source, &Environment::default()).unwrap();
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn each_value_has_a_line_with_its_origin() {
        let source = Source { name: "fusebox.yaml".to_owned(), text: STARTER.to_owned() };
        let text = in_lines(&explain(&source, &Environment::default()).unwrap());
        let line = text.lines().find(|line| line.starts_with("namespace ")).unwrap();
        assert!(
            line.starts_with("namespace = default ") && line.ends_with("  # default"),
            "{line}"
        );
    }
}
