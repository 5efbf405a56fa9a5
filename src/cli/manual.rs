//! What the program says of itself: completions for shells, man pages, its version.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::{
    exit::Exit,
    output::{complain, say},
};

/// `fusebox completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

/// `fusebox man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for every command into this directory, in place of one to standard output.
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

/// `fusebox version`.
#[derive(Debug, Args)]
pub(super) struct Version {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `fusebox version`.
pub(super) fn version(arguments: &Version) -> Exit {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    match arguments.json {
        true => say(json!({ "version": VERSION })),
        false => say(format!("fusebox {VERSION}")),
    }
    Exit::Ok
}

/// Runs `fusebox completions`.
pub(super) fn completions(arguments: &Completions, mut command: Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "fusebox", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Exit::Ok
}

/// Runs `fusebox man`.
pub(super) fn man(arguments: &Man, command: Command) -> Exit {
    let Some(directory) = &arguments.out else {
        return match page(&command) {
            Ok(text) => {
                say(text.trim_end());
                Exit::Ok
            }
            Err(error) => complain(Exit::Runtime, format!("fusebox: no page: {error}")),
        };
    };
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), directory));
    match written {
        Ok(()) => Exit::Ok,
        Err(error) => complain(Exit::Runtime, format!("fusebox: {}: {error}", directory.display())),
    }
}

fn page(command: &Command) -> io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
