//! Files, each with the report that it must get beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fusebox::config::{Environment, Problem, Severity, Source, load};

use crate::{problems, root};

/// The variables that the files may name.
fn environment() -> Environment {
    Environment::new([("TEST_SECRET", "hunter2"), ("TEST_PORT", "8080")], "host")
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/data/config")).expect("the directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let mut files: Vec<_> = paths.filter(is_yaml).collect();
    files.sort();
    files
}

fn report(path: &Path) -> String {
    let name = path.strip_prefix(root()).expect("a path below").display().to_string();
    let source = Source::from_bytes(name, fs::read(path).expect("a file"));
    match source.and_then(|source| load(&source, &environment())) {
        Err(problems) => format!("{problems}\n"),
        Ok(loaded) => {
            let warnings: Vec<_> = loaded.warnings.iter().map(Problem::to_string).collect();
            format!("{}ok\n", warnings.join("\n"))
        }
    }
}

#[test]
fn every_file_gets_its_report() {
    let broken = files().into_iter().filter(|file| !report(file).ends_with("ok\n"));
    assert!(broken.count() >= 60, "{:?}", files());
    for file in files() {
        let (actual, expected) = (report(&file), file.with_extension("txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &actual).expect("the report is written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(actual, expected, "{}", file.display());
    }
}

#[test]
fn no_report_tells_a_secret() {
    for file in files() {
        let report = report(&file);
        assert!(!report.contains("hunter2"), "{}: {report}", file.display());
    }
}

/// The places that a file says its mistakes are at: `#! 7 12` at the end of a line.
fn marked(text: &str) -> Vec<(usize, usize)> {
    let columns = |line: &str| -> Vec<usize> {
        let mark = line.split_once("#! ").map_or("", |(_, mark)| mark);
        mark.split_whitespace().map(|column| column.parse().expect("a column")).collect()
    };
    let lines = text.lines().zip(1..);
    lines.flat_map(|(text, line)| columns(text).into_iter().map(move |c| (line, c))).collect()
}

#[test]
fn forty_mistakes_are_all_told_with_line_and_column() {
    let text = fs::read_to_string(root().join("tests/data/config/forty.yaml")).expect("a file");
    let problems = problems(&text, &[]);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let places: Vec<_> = errors.map(|problem| (problem.line(), problem.column())).collect();
    let marked: Vec<_> = marked(&text).into_iter().map(|(l, c)| (Some(l), Some(c))).collect();
    assert_eq!(places, marked);
    assert_eq!(places.len(), 40);
}
