//! Every value of a configuration and where it comes from: the file, a variable, a default.
//!
//! Sections that switch something on are told only where they are written. Secrets are not shown.

use std::fmt;

use super::{
    Environment, Problems, Source, expand,
    file::{self, Entry, Node, Scalar, Value},
    key::About,
    keys,
    path::Path,
    reading::Reading,
    secrets::Secrets,
    shape::Shape,
};

/// What is shown in place of a secret.
const HIDDEN: &str = "***";

/// Sections that switch something on by being there.
const OPTIONAL: [&str; 12] = [
    "listeners.*.tls",
    "listeners.*.routes[].fallback",
    "listeners.*.routes[].breaker",
    "listeners.*.routes[].task",
    "listeners.*.routes[].task.success",
    "listeners.*.routes[].task.success.unless",
    "listeners.*.routes[].task.impact",
    "upstreams.*.tls",
    "upstreams.*.health_check",
    "upstreams.*.breaker.failure_rate",
    "upstreams.*.breaker.slow_calls",
    "upstreams.*.timeouts.learned",
];

/// A line of the explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The key: `upstreams.payments.timeouts.connect`.
    pub path: String,
    /// Its value as it would be written; secrets as `***`.
    pub value: String,
    /// Where it comes from.
    pub origin: Because,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// A line of the file.
    File(usize),
    /// A line of the file, and variables in it.
    Expanded(usize),
    /// A variable of the environment.
    Variable(&'static str),
    /// Nobody said anything else.
    Default,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => write!(f, "line {line}"),
            Self::Expanded(line) => write!(f, "line {line}, with variables"),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Explains a configuration that has no problems.
///
/// # Errors
/// It is no YAML.
pub fn explain(source: &Source, environment: &Environment) -> Result<Vec<Explained>, Problems> {
    let reading = Reading::new(environment);
    let Some(mut tree) = file::parse(source, &reading) else {
        return Err(reading.finish(&source.name, &source.text, &Secrets::Unparsed));
    };
    expand::expand(&mut tree.root, &source.text, &Path::root(), &reading);
    let mut walk = Walk { environment, lines: Vec::new() };
    walk.section(Some(&tree.root), "", &Path::root());
    Ok(walk.lines)
}

struct Walk<'a> {
    environment: &'a Environment,
    lines: Vec<Explained>,
}

impl Walk<'_> {
    /// The keys at a pattern, as a node has them.
    fn section(&mut self, node: Option<&Node>, pattern: &str, path: &Path) {
        let parent = keys::declared_at(pattern);
        let children = keys::ALL.iter().filter(|about| about.parent() == parent);
        for about in children.filter(|about| about.name() != "*") {
            let entry = entries(node).iter().find(|entry| entry.key == about.name());
            let path = path.key(about.name());
            match about.shape {
                Shape::Section => {
                    let own = format!("{pattern}{}{}", dot(pattern), about.name());
                    let is_off = OPTIONAL.contains(&own.as_str()) || OPTIONAL.contains(&about.path);
                    if entry.is_some() || !is_off {
                        self.section(entry.map(|entry| &entry.value), about.path, &path);
                    }
                }
                Shape::Named => self.named(about, entry, &path),
                Shape::List(&Shape::Section) => self.sections(about, entry, &path),
                _ => self.value(about, entry, &path),
            }
        }
    }

    fn named(&mut self, about: &About, entry: Option<&Entry>, path: &Path) {
        let pattern = format!("{}.*", about.path);
        let has_keys = keys::ALL.iter().any(|about| about.parent() == pattern);
        for inner in entries(entry.map(|entry| &entry.value)) {
            let path = path.key(&inner.key);
            if has_keys {
                self.section(Some(&inner.value), &pattern, &path);
            } else {
                self.value(about, Some(inner), &path);
            }
        }
    }

    fn sections(&mut self, about: &About, entry: Option<&Entry>, path: &Path) {
        let Some(Value::List(items)) = entry.map(|entry| &entry.value.value) else { return };
        for (index, item) in items.iter().enumerate() {
            self.section(Some(item), &format!("{}[]", about.path), &path.item(index));
        }
    }

    fn value(&mut self, about: &About, entry: Option<&Entry>, path: &Path) {
        let written = entry.and_then(|entry| {
            let line = entry.key_span.map_or(0, |span| span.line);
            let (value, expanded) = shown(&entry.value)?;
            let origin = if expanded { Because::Expanded(line) } else { Because::File(line) };
            Some((value, origin))
        });
        let of_variable = || {
            let told = |variable: &super::environment::Variable| {
                Some((variable.text(self.environment)?, Because::Variable(variable.name())))
            };
            about.variables.iter().find_map(told)
        };
        let of_default = || about.default.map(|default| (default.to_owned(), Because::Default));
        let Some((value, origin)) = written.or_else(of_variable).or_else(of_default) else {
            return;
        };
        let is_hidden = about.secret && !value.is_empty();
        let value = if is_hidden { HIDDEN.to_owned() } else { value };
        self.lines.push(Explained { path: path.as_str().to_owned(), value, origin });
    }
}

const fn dot(pattern: &str) -> &'static str {
    if pattern.is_empty() { "" } else { "." }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

/// A value as it would be written, and whether variables are in it. None for one that says nothing.
fn shown(node: &Node) -> Option<(String, bool)> {
    match &node.value {
        Value::Scalar(Scalar { text, expanded }) => Some((without_password(text), *expanded)),
        Value::List(items) => {
            let shown: Vec<_> = items.iter().filter_map(shown).collect();
            let texts: Vec<_> = shown.iter().map(|(text, _)| text.as_str()).collect();
            Some((format!("[{}]", texts.join(", ")), shown.iter().any(|(_, expanded)| *expanded)))
        }
        Value::Map(_) | Value::Empty | Value::Broken => None,
    }
}

/// The same without what stands before the `@` of a URL.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let shown =
        authority.rsplit_once('@').map(|(_, host)| format!("{scheme}://{HIDDEN}@{host}{path}"));
    shown.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Because, Explained, explain};
    use crate::config::{Environment, Source};

    fn lines(text: &str) -> Vec<Explained> {
        let variables = [("LOG_LEVEL", "debug"), ("PASSWORD", "hunter2")];
        let source = Source { name: "test".to_owned(), text: text.to_owned() };
        explain(&source, &Environment::new(variables, "host")).unwrap()
    }

    const TEXT: &str = "\
database: { url: \"postgres://u:${PASSWORD}@db/x\" }
admin: { token: hunter2 }
listeners:
  egress:
    listen: 127.0.0.1:8080
    routes:
      - upstream: payments
        request_headers: { set: { x-key: hunter2 } }
upstreams:
  payments: { endpoints: [http://payments, \"http://${PASSWORD}:hunter2@b\"], breaker: { open_for: 5s } }
";

    #[test]
    fn each_value_tells_where_it_comes_from() {
        let lines = lines(TEXT);
        for (path, value, origin) in [
            ("listeners.egress.listen", "127.0.0.1:8080", Because::File(5)),
            ("listeners.egress.routes[0].upstream", "payments", Because::File(7)),
            ("listeners.egress.routes[0].strip_prefix", "false", Because::Default),
            ("upstreams.payments.breaker.open_for", "5s", Because::File(10)),
            ("upstreams.payments.breaker.ramp", "10s", Because::Default),
            ("logs.level", "debug", Because::Variable("LOG_LEVEL")),
            ("namespace", "default", Because::Default),
        ] {
            let line = lines.iter().find(|line| line.path == path);
            let expected = Explained { path: path.to_owned(), value: value.to_owned(), origin };
            assert_eq!(line, Some(&expected), "{path}");
        }
    }

    #[test]
    fn what_is_off_is_not_told_and_no_secret_is() {
        let lines = lines(TEXT);
        assert!(lines.iter().all(|line| !line.path.contains("slow_calls")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.path.contains("health_check")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.value.contains("hunter2")), "{lines:?}");
    }
}
