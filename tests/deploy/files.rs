//! The repository's files, and the programs that `tests/run` installs beside what Cargo builds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files of a folder with this ending, as paths from the root, in order.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let names = fs::read_dir(root().join(folder)).expect("the folder is there");
    let names = names.map(|entry| entry.expect("readable").file_name());
    let mut found: Vec<_> = names
        .map(|name| format!("{folder}/{}", name.to_string_lossy()))
        .filter(|path| path.ends_with(ending))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{folder} has no {ending}");
    found
}

/// Where the programs are.
pub(crate) fn programs() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target");
    target.join("deploy/bin")
}

/// One of them, run from the root.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    command.current_dir(root());
    command
}
