//! Too much of anything is refused or counted, never swallowed.

use std::path::Path;

use fusebox::config::{MAX_PROBLEMS, MAX_SOURCE_BYTES, Severity, Source};

use crate::{MINIMAL, problems, root, with};

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let text = format!("{MINIMAL}#{}", "x".repeat(MAX_SOURCE_BYTES));
    assert_eq!(problems(&text, &[]).count(Severity::Error), 1);
    let bytes = Source::from_bytes("x".to_owned(), text.into_bytes());
    assert_eq!(bytes.expect_err("too large").count(Severity::Error), 1);
    let endless = Source::from_file(Path::new("/dev/zero"));
    assert_eq!(endless.expect_err("too large").count(Severity::Error), 1);
}

#[test]
fn a_file_that_cannot_be_read_says_which() {
    let problems = Source::from_file(Path::new("/no/such.yaml")).expect_err("no file");
    assert!(problems.to_string().contains("--> /no/such.yaml"), "{problems}");
    assert!(Source::from_file(root()).is_err());
}

#[test]
fn problems_beyond_the_bound_are_counted() {
    let keys: String = (0..3 * MAX_PROBLEMS).map(|i| format!("key{i}: x\n")).collect();
    let problems = problems(&with(&keys), &[]);
    assert_eq!(problems.iter().count(), MAX_PROBLEMS);
    let report = problems.to_string();
    assert!(report.ends_with(&format!("and {} more that are not shown", 2 * MAX_PROBLEMS)));
}
