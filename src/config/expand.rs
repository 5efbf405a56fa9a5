//! `${NAME}` and `${NAME:-default}` in values.
//!
//! What a variable says is taken as it is: it is never read as YAML and never expanded again, so
//! that it cannot change the structure. `$${` stands for `${`.

use super::{
    environment::Environment,
    file::{Node, Scalar, Span, Value},
    path::Path,
    reading::Reading,
};

/// The most that a value may grow to, in bytes.
const MAX_EXPANDED_BYTES: usize = 64 << 10;

/// Expands every value below `node`. What cannot be expanded becomes [`Value::Broken`].
pub(super) fn expand(node: &mut Node, text: &str, path: &Path, reading: &Reading<'_>) {
    match &mut node.value {
        Value::Scalar(scalar) => {
            let raw = node.span.and_then(|span| text.get(span.start..span.end)).unwrap_or_default();
            match expanded(&scalar.text, reading.environment) {
                Ok(None) => {}
                Ok(Some(text)) => *scalar = Scalar { text, expanded: true },
                Err(fault) => {
                    let at = node.span.map(|span| fault.place(span, raw));
                    reading.error(at, path, &fault.message);
                    node.value = Value::Broken;
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand(item, text, &path.item(index), reading);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                expand(&mut entry.value, text, &path.key(&entry.key), reading);
            }
        }
        Value::Empty | Value::Broken => {}
    }
}

/// Why a value cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// The reference as written.
    reference: String,
    message: String,
}

impl Fault {
    /// Where the reference stands in the source of the value, which may be quoted and escaped.
    fn place(&self, span: Span, raw: &str) -> Span {
        let found = raw.match_indices(&self.reference).find(|(at, _)| !raw[..*at].ends_with('$'));
        found.map_or(span, |(at, reference)| span.within(raw, at, at + reference.len()))
    }
}

/// The text with its references replaced; none when there are none.
fn expanded(text: &str, environment: &Environment) -> Result<Option<String>, Fault> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut output = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(escaped) = rest[..at].strip_suffix('$') {
            output.push_str(escaped);
            output.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        output.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            let message = "`${` is not closed by `}`; write `$${` when no variable is meant";
            return Err(Fault { reference: "${".to_owned(), message: message.to_owned() });
        };
        let reference = &rest[at..=at + end];
        output.push_str(&value(reference, environment)?);
        if output.len() > MAX_EXPANDED_BYTES {
            let message = "is longer than 64 KiB after its variables are expanded".to_owned();
            return Err(Fault { reference: reference.to_owned(), message });
        }
        rest = &rest[at + end + 1..];
    }
    output.push_str(rest);
    Ok(Some(output))
}

/// What one reference, `${…}`, stands for.
fn value(reference: &str, environment: &Environment) -> Result<String, Fault> {
    let fault = |message: String| Fault { reference: reference.to_owned(), message };
    let inner = &reference[2..reference.len() - 1];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty();
    if !is_name {
        let message =
            "expected `${NAME}` or `${NAME:-default}`, the name of letters, digits and `_`";
        return Err(fault(message.to_owned()));
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(fault("a default cannot hold another `${…}`".to_owned()));
    }
    if environment.is_unreadable(name) {
        return Err(fault(format!("the variable `{name}` is no UTF-8 text")));
    }
    match (environment.defined(name), default) {
        (Some(value), None) => Ok(value.to_owned()),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value.to_owned()),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let hint = format!("set it, or give it a default: `${{{name}:-default}}`");
            Err(fault(format!("the variable `{name}` is not set; {hint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expanded;
    use crate::config::environment::Environment;

    fn expand(text: &str) -> Result<String, String> {
        let environment = Environment::new([("A", "1"), ("EMPTY", ""), ("REF", "${A}")], "host");
        match expanded(text, &environment) {
            Ok(expanded) => Ok(expanded.unwrap_or_else(|| text.to_owned())),
            Err(fault) => Err(fault.reference),
        }
    }

    #[test]
    fn references_are_replaced_and_the_rest_stays() {
        for (text, expected) in [
            ("plain $A $ {A}", "plain $A $ {A}"),
            ("${A}", "1"),
            ("x${A}y${A}", "x1y1"),
            ("${MISSING:-d}", "d"),
            ("${MISSING:-}", ""),
            ("${MISSING:-a:-b}", "a:-b"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("$${A} ${A}", "${A} 1"),
            ("$${A", "${A"),
            ("${REF}", "${A}"),
        ] {
            assert_eq!(expand(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_named() {
        for (text, reference) in [
            ("x ${MISSING} y", "${MISSING}"),
            ("${A", "${"),
            ("${}", "${}"),
            ("${1A}", "${1A}"),
            ("${A-d}", "${A-d}"),
            ("${A:-${B}}", "${A:-${B}"),
        ] {
            assert_eq!(expand(text), Err(reference.to_owned()), "{text}");
        }
    }
}
