//! The schema against the code: what either says of a file the other says too, where it is a matter of
//! shape.

use std::fs;

use fusebox::config::{Environment, Source, load, reference, schema};
use serde_json::Value;

use crate::root;

/// Broken files whose shape is good: what is wrong with them depends on several keys, on bounds of
/// values with units, on variables, or on what comes before the structure.
const OF_GOOD_SHAPE: [&str; 14] = [
    "address-of-the-admin-port",
    "anchor-and-alias",
    "fallback-to-itself",
    "merge-key",
    "routes-and-upstream",
    "same-address-twice",
    "sslmode-prefer",
    "tag",
    "token-block",
    "upstream-that-is-not-there",
    "variable-that-is-not-closed",
    "variable-that-is-not-set",
    "variables",
    // YAML 1.1 reads it as `true`, as this test does.
    "yes-for-true",
];

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).expect("it is a schema")
}

/// A file as an editor reads it. None for what is no YAML.
fn document(text: &str) -> Option<Value> {
    serde_yaml::from_str(text).ok()
}

fn files(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(folder)).expect("the directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        Some((name, fs::read_to_string(path).ok()?))
    };
    let mut files: Vec<_> = yaml.filter_map(read).collect();
    files.sort();
    files
}

fn is_good(name: &str, text: &str) -> bool {
    let variables =
        [("TEST_SECRET", "hunter2"), ("TEST_PORT", "8080"), ("FUSEBOX_ADMIN_TOKEN", "secret")];
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    load(&source, &Environment::new(variables, "host")).is_ok()
}

#[test]
fn the_schema_accepts_every_good_file() {
    let validator = validator();
    for (name, text) in files("config").into_iter().chain(files("tests/data/config")) {
        if !is_good(&name, &text) {
            continue;
        }
        let document = document(&text).unwrap_or_else(|| panic!("{name} is YAML"));
        let faults: Vec<_> = validator
            .iter_errors(&document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {}", faults.join("\n"));
    }
}

#[test]
fn the_schema_refuses_every_broken_file_that_is_of_bad_shape() {
    let validator = validator();
    let mut accepted = Vec::new();
    for (name, text) in files("tests/data/config") {
        let Some(document) = document(&text).filter(|_| !is_good(&name, &text)) else { continue };
        if validator.is_valid(&document) {
            accepted.push(name);
        }
    }
    assert_eq!(accepted, OF_GOOD_SHAPE);
}

#[test]
fn the_page_of_the_reference_is_that_of_the_program() {
    let (path, expected) = (root().join("docs/configuration.md"), reference());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &expected).expect("the page is written");
    }
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == expected,
        "UPDATE_EXPECT=1 cargo test --test config writes docs/configuration.md"
    );
}
