//! The guide where a program can hold it to the truth: its links, and its tables of words.

use std::{collections::BTreeSet, fs, path::Path};

use fusebox::domain::outcome::{Reason, Verdict};

use crate::root;

/// The pages: their paths from the root, and their texts.
fn pages() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join("docs")).expect("the guide is there");
    let names = folder.map(|entry| entry.expect("it is readable").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    let pages: Vec<_> =
        pages.chain(["README.md".to_owned()]).map(|path| (path.clone(), page(&path))).collect();
    assert!(pages.len() > 10, "{}", pages.len());
    pages
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !is_code) {
            found.insert(anchor(heading.trim_start_matches('#')));
        }
    }
    found
}

/// Where this link of this page leads nowhere: why.
fn fault(path: &str, link: &str) -> Option<String> {
    let (file, wanted) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(path).parent().expect("a page is in a folder");
    let target = if file.is_empty() { path.into() } else { folder.join(file) };
    if !root().join(&target).exists() {
        return Some(format!("{path}: {link}: there is no such file"));
    }
    let is_there = wanted.is_empty() || anchors(&page(&target.to_string_lossy())).contains(wanted);
    (!is_there).then(|| format!("{path}: {link}: there is no such heading"))
}

#[test]
fn every_link_of_the_guide_leads_somewhere() {
    let pages = pages();
    let links = pages.iter().flat_map(|(path, text)| {
        let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        ends.map(move |(link, _)| (path, link))
    });
    let ours: Vec<_> = links.filter(|(_, link)| !link.contains("://")).collect();
    assert!(ours.len() > 50, "{}", ours.len());
    let faults: Vec<_> = ours.iter().filter_map(|(path, link)| fault(path, link)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(fault("README.md", "docs/nothing.md").is_some());
    assert!(fault("docs/tls.md", "calls.md#nothing").is_some());
}

#[test]
fn the_guide_has_every_reason_with_its_outcome_and_what_it_is_to_the_breaker() {
    let text = page("docs/asking.md");
    let mut told = BTreeSet::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [outcome, reasons, _, verdict] = cells[..] else { continue };
        let verdict = verdict.split([',', ':']).next().unwrap_or_default();
        for reason in reasons.split('`').filter(|word| !word.trim().is_empty()) {
            told.insert(format!("{} {reason} {verdict}", outcome.trim_matches('`')));
        }
    }
    let word =
        |verdict: Verdict| if verdict == Verdict::Neutral { "nothing" } else { verdict.as_str() };
    let known: BTreeSet<String> = Reason::ALL
        .iter()
        .map(|reason| {
            format!("{} {} {}", reason.outcome().as_str(), reason.as_str(), word(reason.verdict()))
        })
        .collect();
    let missing: Vec<_> = known.difference(&told).collect();
    assert!(missing.is_empty(), "not in docs/asking.md, or otherwise: {missing:?}");
}
