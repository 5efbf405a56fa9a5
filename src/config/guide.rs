//! What every key means, in the words of `config/example.yaml`, which is part of the program.

use std::collections::BTreeMap;

use super::{
    Environment, Source,
    file::{self, Node, Value},
    key::About,
    keys,
    reading::Reading,
    restart,
};

/// The example, in which every key stands once with its meaning above it.
pub(super) const EXAMPLE: &str = include_str!("../../config/example.yaml");

/// The meaning of every key, by its path.
pub(super) fn meanings() -> BTreeMap<&'static str, String> {
    let written = written_in(EXAMPLE).into_iter();
    written.map(|(about, line)| (about.path, meaning(&comment_above(line)))).collect()
}

/// The reference of all keys, in Markdown.
pub fn reference() -> String {
    let meanings = meanings();
    let mut text = String::from(INTRODUCTION);
    for about in keys::ALL {
        let means = meanings.get(about.path).map(String::as_str).unwrap_or_default();
        let effect = if restart::is_needed(about.path) {
            "Changed while it runs, it counts from the next start on."
        } else {
            "Changed while it runs, it counts at once."
        };
        let form = about.shape.in_words();
        text.push_str(&format!("\n## `{}`\n\n{means}\n\nForm: {form}. {effect}\n", about.path));
    }
    text
}

const INTRODUCTION: &str = "\
# Configuration reference

Every key of the configuration file, generated from the program by `fusebox config reference`; a test
keeps this page in step. `*` stands for a name that you choose, `[]` for the items of a list. A file
with all of them is `config/example.yaml`; `fusebox schema` prints the same as a JSON Schema for editors.
`listeners.*.routes[].breaker` takes the keys of `upstreams.*.breaker`.
";

/// All keys that are written in a text, each with the line of its first.
pub(super) fn written_in(text: &str) -> Vec<(&'static About, usize)> {
    let environment = Environment::default();
    let reading = Reading::new(&environment);
    let source = Source { name: "example.yaml".to_owned(), text: text.to_owned() };
    let mut found = Vec::new();
    if let Some(tree) = file::parse(&source, &reading) {
        collect(&tree.root, "", &mut found);
    }
    found
}

/// The keys below a node, each with the line of its first.
fn collect(node: &Node, pattern: &str, found: &mut Vec<(&'static About, usize)>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                // Below `set` are headers, not keys.
                let Some(about) = keys::find(pattern, &entry.key) else { continue };
                // Keys of another section are told there.
                if about.parent() != pattern {
                    continue;
                }
                if !found.iter().any(|(other, _)| other.path == about.path) {
                    found.push((about, entry.key_span.map_or(0, |span| span.line)));
                }
                collect(&entry.value, about.path, found);
            }
        }
        Value::List(items) => {
            items.iter().for_each(|item| collect(item, &format!("{pattern}[]"), found));
        }
        Value::Scalar(_) | Value::Empty | Value::Broken => {}
    }
}

/// The comment right above a line of the example.
pub(super) fn comment_above(line: usize) -> String {
    let lines = EXAMPLE.lines().take(line.saturating_sub(1)).map(str::trim_start);
    let lines: Vec<&str> = lines.collect();
    let comment = lines.iter().rev().take_while(|line| line.starts_with('#'));
    comment.copied().collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A comment as running text.
fn meaning(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.trim_start_matches('#').trim());
    let mut text = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        // What has its own line there is a sentence of its own here.
        let ends = text.is_empty() || text.ends_with(['.', ':', ',', ';']);
        let begins = ["Default:", "Bounds:", "Variables:"].iter().any(|it| line.starts_with(it));
        let stop = if !ends && begins { "." } else { "" };
        let gap = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{stop}{gap}{line}"));
    }
    text
}
