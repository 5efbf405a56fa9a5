//! The architecture as tests: who may name whom, what has one place, how long a file may be.
//!
//! The tables are in `rules`; here they meet the sources, and each of them is first shown a
//! violation that it must find.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::{fs, path::Path};

use rules::{dependencies, layering, misplaced};
use source::{tokens, without_tests};

/// A file with more lines than this holds more than one noun.
const MAX_LINES: usize = 400;

/// Every Rust file under a folder of the repository: its path from the root, and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of the repository is readable");
        for entry in entries {
            let path = entry.expect("its entries are readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it is below the root").display();
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((name.to_string(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Production code: not the test modules, and not the files that hold nothing else.
fn production() -> Vec<(String, String)> {
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    sources("src").into_iter().filter(|(path, _)| !is_test(path)).collect()
}

fn crates() -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let names = dependencies(&fs::read_to_string(manifest).expect("the manifest is readable"));
    assert!(names.contains(&"tokio_postgres".to_owned()), "{names:?}");
    names
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{path}: {lines} lines, more than {MAX_LINES}"))
}

/// All findings on one file, as the tests below report them.
fn findings(path: &str, text: &str) -> Vec<String> {
    let code = without_tests(tokens(text));
    let mut found = layering(path, &code, &crates());
    found.extend(misplaced(path, &code));
    found.extend(too_long(path, text));
    found
}

#[test]
fn layers_name_only_what_is_below_them() {
    let crates = crates();
    let found: Vec<String> = production()
        .iter()
        .flat_map(|(path, text)| layering(path, &without_tests(tokens(text)), &crates))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn what_has_one_place_is_nowhere_else() {
    let found: Vec<String> = production()
        .iter()
        .chain(&sources("tests"))
        .flat_map(|(path, text)| misplaced(path, &without_tests(tokens(text))))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_file_holds_more_than_one_noun_can_need() {
    let found: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| sources(folder))
        .filter_map(|(path, text)| too_long(&path, &text))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_rule_finds_a_planted_violation() {
    for (path, text, expected) in [
        ("src/domain/window.rs", "use tokio::time;", "window.rs:1: `tokio` may not be named"),
        ("src/domain/a.rs", "\n\nfn f() { serde_json::json!(1) }", "a.rs:3: `serde_json` may"),
        ("src/domain/a.rs", "use crate::{\n  domain::x,\n  store::Error,\n};", "a.rs:3: `store`"),
        ("src/proxy/a.rs", "fn f() { crate::store::open() }", "`store` may not be named"),
        ("src/proxy/a.rs", "use crate::{config, admin};", "`admin` may not be named"),
        ("src/fleet/a.rs", "use crate::proxy::Pool;", "`proxy` may not be named"),
        ("src/history.rs", "pub use crate::fleet::{A, B};", "`fleet` may not be named"),
        ("src/store/mod.rs", "use crate::history::Recorder;", "`history` may not be named"),
        ("src/app.rs", "use crate::cli::Args;", "`cli` may not be named"),
        ("src/admin/a.rs", "use tokio_postgres::Client;", "`tokio_postgres` may not be named"),
        ("src/tls/a.rs", "use crate::breakers::Breakers;", "`breakers` may not be named"),
        ("src/tls/a.rs", "use crate::store::Stores;", "`store` may not be named"),
        ("src/domain/a.rs", "use crate::tls::Failure;", "`tls` may not be named"),
        ("src/capture/a.rs", "use crate::store::Stores;", "`store` may not be named"),
        ("src/capture/a.rs", "use crate::clock;", "`clock` may not be named"),
        ("src/domain/a.rs", "use crate::capture::Capture;", "`capture` may not be named"),
        ("src/proxy/a.rs", "use rustls::ServerConfig;", "`rustls` may not be named"),
        ("src/store/a.rs", "use tokio_rustls::TlsStream;", "`tokio_rustls` may not be named"),
        ("src/proxy/a.rs", "use axum::Router;", "`axum` may not be named"),
        ("src/app.rs", "fn f() -> anyhow::Result<()> {}", "`anyhow` may not be named"),
        ("src/proxy/a.rs", "let t = Instant::now();", "`Instant::now` may not be written"),
        ("src/app.rs", "let t = SystemTime :: now();", "`SystemTime::now` may not be"),
        ("src/app.rs", "let t = jiff::Timestamp::now();", "`Timestamp::now` may not be"),
        ("src/app.rs", "let t = start.elapsed();", "`.elapsed()` may not be"),
        ("src/proxy/a.rs", "std::env::var(\"A\")", "`env::var` may not be written"),
        ("src/proxy/a.rs", "unsafe { f() }", "`unsafe` may not be written"),
        ("src/app.rs", "#[allow(dead_code)]\nfn f() {}", "app.rs:1: `#[allow` may not be"),
        ("src/app.rs", "fn f() { todo!() }", "`todo!` may not be written"),
        ("src/app.rs", "fn f() { g()\n.unwrap() }", "app.rs:2: `.unwrap()` may not be"),
        ("src/app.rs", "let c = mpsc::unbounded_channel();", "`unbounded_channel` may not be"),
        ("src/app.rs", "let c = mpsc::channel();", "`mpsc::channel()` may not be"),
        ("tests/a.rs", "#[test]\n#[ignore]\nfn a() {}", "a.rs:2: `#[ignore` may not be"),
        ("tests/a.rs", "fn a() { thread::sleep(SECOND) }", "`sleep(` may not be written"),
        ("src/app.rs", &"\n".repeat(401), "app.rs: 401 lines, more than 400"),
    ] {
        let found = findings(path, text);
        assert!(found.iter().any(|line| line.contains(expected)), "{text}: {found:?}");
    }
}

#[test]
fn what_only_looks_like_a_violation_passes() {
    for (path, text) in [
        ("src/domain/a.rs", "// tokio::spawn\n/* crate::store /* nested */ unsafe */ fn f() {}"),
        ("src/domain/a.rs", "fn f() -> &'static str { \"a \\\" todo!() unsafe\" }"),
        ("src/domain/a.rs", "const A: &str = r#\"use tokio::\"spawn\"; unsafe\"#;"),
        ("src/domain/a.rs", "const Q: char = '\"'; fn f<'a>(x: &'a str) {} // unsafe"),
        ("src/domain/a.rs", "use http::Method; use thiserror::Error; use std::time::Instant;"),
        ("src/domain/a.rs", "use super::breaker::store; use self::{admin, cli};"),
        ("src/domain/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use tokio::time; x.unwrap(); }"),
        ("src/domain/a.rs", "#[cfg(test)]\nmod tests;\nfn f() {}"),
        ("src/proxy/a.rs", "hits.store(0, Ordering::Relaxed); let store = 1; f(store)"),
        ("src/clock.rs", "tokio::time::Instant::now().into_std()"),
        ("src/config/env.rs", "std::env::var(name)"),
        ("src/store/postgres/a.rs", "use tokio_postgres::Client;"),
        ("src/app.rs", "let c = mpsc::channel(CAPACITY); x.unwrap_or(1);"),
        ("src/app.rs", &"\n".repeat(400)),
    ] {
        assert_eq!(findings(path, text), [""; 0], "{text}");
    }
}

#[test]
fn code_after_a_test_module_is_still_read() {
    let text = "#[cfg(test)]\nmod tests { fn f() { if a { b } } }\nfn g() { h.unwrap() }";
    assert_eq!(findings("src/app.rs", text).len(), 1);
}
