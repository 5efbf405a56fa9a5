//! The table against the example that people read.

use std::collections::BTreeSet;

use super::{ALL, About, LATER, find};
use crate::config::guide;

fn example() -> Vec<(&'static About, usize)> {
    guide::written_in(guide::EXAMPLE)
}

#[test]
fn the_example_has_every_key_and_no_other() {
    // That it has no other, loading it proves: unknown keys are errors.
    let written: BTreeSet<_> = example().into_iter().map(|(about, _)| about.path).collect();
    let missing: Vec<_> = ALL.iter().filter(|about| !written.contains(about.path)).collect();
    assert_eq!(missing, Vec::<&About>::new());
}

#[test]
fn the_example_tells_the_defaults_the_bounds_and_the_variables_of_the_code() {
    for (about, line) in example() {
        let (path, comment) = (about.path, guide::comment_above(line));
        let told = |label: &str| comment.split_once(label).map(|(_, told)| told.to_owned());
        let check = |label: &str, expected: &str| {
            let told = told(label).unwrap_or_default();
            let rest = told.strip_prefix(expected);
            let ends = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n']));
            assert!(ends, "{path} (line {line}): no {label:?} {expected} in\n{comment}");
        };
        match about.default {
            Some("") => check("Default: ", "\"\""),
            Some(default) => check("Default: ", default),
            None if about.is_section || comment.contains("Required") => {}
            None => assert!(told("Default: ").is_some(), "{path} (line {line}): no default"),
        }
        assert!(
            !about.required || comment.contains("Required"),
            "{path} (line {line}) is required"
        );
        if let Some((least, most)) = about.bounds {
            check("Bounds: ", &format!("{least} to {most}"));
        }
        for variable in about.variables {
            assert!(comment.contains(variable.name()), "{path}: no {variable:?}");
        }
    }
}

#[test]
fn every_key_has_a_parent_and_one_entry() {
    let paths: BTreeSet<_> = ALL.iter().map(|about| about.path).collect();
    assert_eq!(paths.len(), ALL.len());
    for about in ALL.iter().filter(|about| !about.parent().is_empty()) {
        assert!(paths.contains(about.parent().trim_end_matches("[]")), "{}", about.path);
    }
    for path in LATER {
        let (parent, name) = path.rsplit_once('.').unwrap();
        assert!(find(parent, name).is_none() && !parent.is_empty(), "{path}");
    }
}
