//! What a route does to headers: which it removes, which it sets.

use http::{HeaderName, HeaderValue, header};

use crate::config::{
    HeaderRules,
    file::{Scalar, Value},
    key::Key,
    mapping::{Mapping, Part},
    setting::{List, Named, Setting},
};

/// The most headers that a rule sets.
const MAX_SET: usize = 64;

/// Reads the rules of one direction.
pub(super) fn read(
    mapping: &Mapping<'_>,
    set_key: &Key<Named>,
    remove_key: &Key<List<HeaderName>>,
) -> HeaderRules {
    let mut rules = HeaderRules::default();
    let entries = mapping.entries_of(set_key).unwrap_or_default();
    if entries.len() > MAX_SET {
        mapping.error(set_key, &format!("at most {MAX_SET} headers are set"));
        return rules;
    }
    for entry in entries {
        let name = HeaderName::read(&entry.key).and_then(|name| {
            let is_set = rules.set.iter().any(|(set, _)| *set == name);
            if is_set { Err("is set twice; case does not matter".to_owned()) } else { Ok(name) }
        });
        let value = match &entry.value.value {
            Value::Scalar(Scalar { text, .. }) => HeaderValue::read(text),
            Value::Broken => continue,
            _ => Err("expected the value of a header; use `remove` for none".to_owned()),
        };
        if let Err(fault) = &name {
            mapping.error_below(set_key, entry, Part::Name, fault);
        }
        if let Err(fault) = &value {
            mapping.error_below(set_key, entry, Part::Value, fault);
        }
        rules.set.extend(name.ok().zip(value.ok()));
    }
    for name in mapping.list(remove_key) {
        if rules.set.iter().any(|(set, _)| *set == name.value) {
            mapping.error_at(&name, "is set as well, which replaces it already");
        } else if rules.remove.contains(&name.value) {
            mapping.error_at(&name, "is in the list twice");
        }
        rules.remove.push(name.value);
    }
    rules
}

/// Removes what asks for compressed answers, which cannot be looked into, unless it is ruled.
pub(super) fn ask_for_plain(rules: &mut HeaderRules) {
    let is_ruled = rules.set.iter().any(|(name, _)| *name == header::ACCEPT_ENCODING)
        || rules.remove.contains(&header::ACCEPT_ENCODING);
    if !is_ruled {
        rules.remove.push(header::ACCEPT_ENCODING);
    }
}
