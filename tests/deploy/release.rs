//! A release: what it tells of itself, and what it is made of.

use std::process::Command;

use serde_json::Value;

use crate::{
    files::{program, root, text},
    peer::run,
};

fn script(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(root().join("deploy").join(name));
    command.args(words);
    command
}

fn bill() -> Vec<u8> {
    let finished = run(script("sbom.sh", &[]), Vec::new());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished.stdout
}

#[test]
fn the_changelog_tells_of_this_version_and_a_release_of_it_can_be_made() {
    let said =
        run(script("release", &["--dry-run", "--target", "aarch64-unknown-linux-gnu"]), Vec::new());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("would make dist of fusebox {version} for aarch64-unknown-linux-gnu\n");
    assert_eq!(said.text(), expected);
    let ignored = text(".gitignore");
    assert!(ignored.lines().any(|line| line == "/dist"), "a second release finds nothing new");
    for words in [&["--colour"][..], &["--out"], &["--target"], &["--dry-run", "--out"]] {
        let odd = run(script("release", words), Vec::new());
        assert_eq!((odd.code, odd.stderr.lines().count()), (Some(2), 1), "{}", odd.stderr);
    }
}

#[test]
fn the_bill_of_materials_follows_its_schema() {
    let mut command = program("python");
    command.arg("tests/deploy/bill.py");
    run(command, bill()).text();
}

#[test]
fn the_bill_names_what_is_in_the_binary_and_nothing_that_only_tests_it() {
    let bill: Value = serde_json::from_slice(&bill()).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    let has = |name: &str| components.iter().any(|it| it["name"] == name);
    assert!(has("tokio-postgres") && has("rustls") && has("hyper"));
    assert!(!has("proptest") && !has("rcgen") && !has("cc"));
    assert_eq!(bill["metadata"]["component"]["name"], "fusebox");
    for component in components {
        assert_eq!(component["hashes"].as_array().map(Vec::len), Some(1), "{component}");
        assert_eq!(component["licenses"].as_array().map(Vec::len), Some(1), "{component}");
    }
}

/// The same as cargo-deny decides, which may not be installed.
#[test]
fn every_licence_is_one_that_is_allowed() {
    let rules = text(".deny.toml");
    let allowed = rules.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    let allowed: Vec<_> = allowed.expect("a list").split('"').skip(1).step_by(2).collect();
    let bill: Value = serde_json::from_slice(&bill()).expect("JSON");
    for component in bill["components"].as_array().expect("components") {
        let licence = component["licenses"][0]["expression"].as_str().expect("an expression");
        assert!(is_allowed(licence, &allowed), "{}: {licence}", component["name"]);
    }
}

/// Whether a licence expression can be met with these: `OR` binds less than `AND`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let whole = expression.trim();
    let parts = |word: &str| split(whole, word);
    if parts(" OR ").len() > 1 {
        return parts(" OR ").iter().any(|part| is_allowed(part, allowed));
    }
    if parts(" AND ").len() > 1 {
        return parts(" AND ").iter().all(|part| is_allowed(part, allowed));
    }
    match whole.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_allowed(inner, allowed),
        None => allowed.contains(&whole),
    }
}

/// The parts between a word that stands in no parentheses.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && at >= from && text[at..].starts_with(word) => {
                parts.push(&text[from..at]);
                from = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

#[test]
fn an_expression_is_met_by_one_of_a_choice_and_all_of_a_sum() {
    let allowed = ["MIT", "ISC"];
    for (expression, expected) in [
        ("MIT", true),
        ("Unlicense OR MIT", true),
        ("MIT AND BSD-3-Clause", false),
        ("ISC AND (Apache-2.0 OR ISC)", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
