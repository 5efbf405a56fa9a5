//! What the command line says.

use std::{
    fmt::Display,
    io::{self, Write},
};

use super::exit::Exit;

/// Prints a line on standard output. A reader that has gone away is no failure.
pub(super) fn say(line: impl Display) {
    let _gone = writeln!(io::stdout().lock(), "{line}");
}

/// Prints a complaint on standard error and ends so.
pub(super) fn complain(exit: Exit, message: impl Display) -> Exit {
    let _gone = writeln!(io::stderr().lock(), "{message}");
    exit
}
