//! The environment as an argument: variables by name, and the host's name.
//!
//! Nothing here reads the process's environment; the command line hands it in once.

use std::{collections::BTreeMap, ffi::OsString};

use super::problem::{Problem, Severity};

/// The variable with the attributes of an OpenTelemetry resource.
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The variables of a process, and the name of its host.
#[derive(Clone, Default)]
pub struct Environment {
    /// None for what is no UTF-8.
    variables: BTreeMap<String, Option<String>>,
    /// What `OTEL_RESOURCE_ATTRIBUTES` says, by attribute.
    attributes: BTreeMap<String, String>,
    host_name: String,
}

impl Environment {
    /// An environment of these variables, such as `std::env::vars_os()`, on a host of this name.
    pub fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>, host_name: &str) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let readable = |(name, value): (K, V)| {
            let name = name.into().into_string().ok()?;
            Some((name, value.into().into_string().ok()))
        };
        let variables: BTreeMap<_, _> = variables.into_iter().filter_map(readable).collect();
        let text = variables.get(ATTRIBUTES).and_then(Option::as_deref).unwrap_or_default();
        let attributes = attributes(text).filter_map(Result::ok).collect();
        Self { variables, attributes, host_name: host_name.to_owned() }
    }

    /// The variable, unless it is missing or empty, which means the same.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.defined(name).filter(|value| !value.is_empty())
    }

    /// The variable, empty or not.
    pub(super) fn defined(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.as_deref()
    }

    /// Whether there is such a variable, but not as text.
    pub(super) fn is_unreadable(&self, name: &str) -> bool {
        self.variables.get(name).is_some_and(Option::is_none)
    }

    /// The name of the host.
    pub(super) fn host_name(&self) -> &str {
        &self.host_name
    }

    /// An attribute of the OpenTelemetry resource, unless it is missing or empty.
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All attributes of the OpenTelemetry resource that say something.
    pub(super) fn attributes(&self) -> Vec<(String, String)> {
        let said = self.attributes.iter().filter(|(_, value)| !value.is_empty());
        said.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What is wrong with `OTEL_RESOURCE_ATTRIBUTES`: a warning, for others read it too.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        let text = self.get(ATTRIBUTES).unwrap_or_default();
        let faults = attributes(text).filter_map(Result::err);
        faults
            .map(|position| Problem {
                severity: Severity::Warning,
                file: "environment".to_owned(),
                place: None,
                path: ATTRIBUTES.to_owned(),
                message: format!("part {position} is not `name=value`, percent-encoded; left out"),
            })
            .collect()
    }
}

impl std::fmt::Debug for Environment {
    /// The names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Where a setting that the file leaves out may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    /// A variable, written as in the file.
    Plain(&'static str),
    /// A variable with a number of milliseconds.
    Millis(&'static str),
    /// A variable with the URL of a collector, to which the path for traces is added.
    Base(&'static str),
    /// An attribute in `OTEL_RESOURCE_ATTRIBUTES`.
    Attribute(&'static str),
}

impl Variable {
    /// The variable's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain(name) | Self::Millis(name) | Self::Base(name) => name,
            Self::Attribute(_) => ATTRIBUTES,
        }
    }

    /// What it says, as it would be written in the file. None when it says nothing.
    pub(super) fn text(self, environment: &Environment) -> Option<String> {
        match self {
            Self::Plain(name) => environment.get(name).map(str::to_owned),
            Self::Millis(name) => environment.get(name).map(|number| format!("{number}ms")),
            Self::Base(name) => {
                let base = environment.get(name)?;
                Some(format!("{}/v1/traces", base.trim_end_matches('/')))
            }
            Self::Attribute(name) => environment.attribute(name).map(str::to_owned),
        }
    }
}

/// The pairs of a list such as `service.name=orders,service.version=1.2`; the position, counted
/// from 1, of what is no pair.
fn attributes(text: &str) -> impl Iterator<Item = Result<(String, String), usize>> {
    let parts = text.split(',').enumerate().filter(|(_, part)| !part.trim().is_empty());
    parts.map(|(index, part)| {
        let pair = part.split_once('=').and_then(|(name, value)| {
            let (name, value) = (decoded(name.trim())?, decoded(value.trim())?);
            (!name.is_empty()).then_some((name, value))
        });
        pair.ok_or(index + 1)
    })
}

/// Percent-decodes a text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
            bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Environment, Variable};

    #[test]
    fn resource_attributes_are_decoded_and_what_is_broken_is_left_out_loudly() {
        let text = "service.name=my%20orders, service.version=1.2 ,broken,x=%zz,=y,empty=";
        let environment = Environment::new([("OTEL_RESOURCE_ATTRIBUTES", text)], "host");
        let attribute = |name| Variable::Attribute(name).text(&environment);
        assert_eq!(attribute("service.name").as_deref(), Some("my orders"));
        assert_eq!(attribute("service.version").as_deref(), Some("1.2"));
        assert_eq!(attribute("empty"), None);
        let parts: Vec<_> = environment.warnings().into_iter().map(|w| w.message).collect();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].starts_with("part 3 "), "{parts:?}");
    }

    #[test]
    fn an_empty_variable_counts_as_missing() {
        let environment = Environment::new([("A", ""), ("B", "5")], "host");
        assert_eq!(environment.get("A"), None);
        assert_eq!(Variable::Millis("B").text(&environment).as_deref(), Some("5ms"));
    }
}
