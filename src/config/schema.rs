//! The JSON Schema of the file (2020-12), for editors: made from the table of keys.
//!
//! It says what shape a file has: which keys there are, what their values look like, how many there
//! may be. What depends on several keys, on the files and hosts that are named, and on bounds of values
//! with units, only `fusebox validate` can tell. Wherever a value may stand, `${NAME}` may.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{guide, key::About, keys, shape::Shape};

/// A reference to a variable somewhere in a text.
const REFERENCE: &str = r"\$\{";

/// As many items as a list may have where nothing else is said.
const MOST: u64 = u32::MAX as u64;

/// A name that the user chooses.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// The schema.
pub fn schema() -> Value {
    let meanings = guide::meanings();
    let mut root = section("", &meanings);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fusebox",
        "description": "The configuration of Fusebox. `fusebox validate` says what a schema cannot.",
    });
    if let (Some(root), Value::Object(head)) = (root.as_object_mut(), head) {
        root.insert("type".to_owned(), json!("object"));
        root.extend(head);
    }
    root
}

type Meanings = BTreeMap<&'static str, String>;

/// A mapping with the keys at this path.
fn section(path: &str, meanings: &Meanings) -> Value {
    let parent = keys::declared_at(path);
    let children: Vec<_> = keys::ALL.iter().filter(|about| about.parent() == parent).collect();
    let named = children.iter().filter(|about| about.name() != "*");
    let properties: Map<_, _> =
        named.map(|about| (about.name().to_owned(), described(about, meanings))).collect();
    let required: Vec<_> =
        children.iter().filter(|about| about.required).map(|about| about.name()).collect();
    // One that is switched on by being there is off when it is empty.
    let kind = if path.ends_with(['*', ']']) { json!("object") } else { json!(["object", "null"]) };
    json!({
        "type": kind,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A key with its meaning.
fn described(about: &About, meanings: &Meanings) -> Value {
    let mut schema = match about.shape {
        Shape::Section => section(about.path, meanings),
        Shape::Named => named(about, meanings),
        Shape::List(&Shape::Section) => {
            list(about, section(&format!("{}[]", about.path), meanings))
        }
        Shape::List(&item) => list(about, value(item, None)),
        shape => nullable(about, value(shape, about.bounds)),
    };
    if let (Some(schema), Some(meaning)) = (schema.as_object_mut(), meanings.get(about.path)) {
        schema.insert("description".to_owned(), json!(meaning));
    }
    schema
}

/// A mapping from names.
fn named(about: &About, meanings: &Meanings) -> Value {
    let path = format!("{}.*", about.path);
    let has_keys = keys::ALL.iter().any(|about| about.parent() == path);
    let value = if has_keys { section(&path, meanings) } else { value(Shape::Text, None) };
    let mut schema = json!({ "type": ["object", "null"], "additionalProperties": value });
    let Some(map) = schema.as_object_mut() else { return schema };
    if has_keys {
        map.insert("propertyNames".to_owned(), json!({ "pattern": NAME }));
    }
    if let Some((least, most)) = counts(about) {
        map.insert("minProperties".to_owned(), json!(least));
        map.insert("maxProperties".to_owned(), json!(most));
        if least > 0 {
            map.insert("type".to_owned(), json!("object"));
        }
    }
    schema
}

fn list(about: &About, items: Value) -> Value {
    let (least, most) = counts(about).unwrap_or((0, MOST));
    json!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
}

fn counts(about: &About) -> Option<(u64, u64)> {
    let (least, most) = about.bounds?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// A key that is nothing when it is left out may also be written and left empty.
fn nullable(about: &About, mut schema: Value) -> Value {
    if about.default.is_none() && !about.required {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    schema
}

/// A value. A number may also be written as a text, and any text may hold references.
fn value(shape: Shape, bounds: Option<(&str, &str)>) -> Value {
    let text =
        |pattern: &str| json!({ "type": "string", "pattern": format!("{pattern}|{REFERENCE}") });
    match shape {
        Shape::Text | Shape::Section | Shape::Named | Shape::List(_) => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        Shape::Pattern(pattern) => {
            json!({ "type": ["string", "number", "boolean"], "pattern": format!("{pattern}|{REFERENCE}") })
        }
        Shape::Address(pattern) => text(pattern),
        Shape::Whole => whole("^[0-9]+$", bounds),
        Shape::WholeOr(word) => whole(&format!("^({word}|[0-9]+)$"), bounds),
        Shape::Within(least, most) => {
            whole("^[0-9]+$", Some((&least.to_string(), &most.to_string())))
        }
        Shape::Number => json!({
            "type": ["number", "string"],
            "pattern": format!("^[+-]?[0-9.]+([eE][+-]?[0-9]+)?$|{REFERENCE}"),
        }),
        Shape::Words(words) => {
            // YAML reads some words as values of other types.
            let typed = words.iter().filter_map(|word| serde_json::from_str::<Value>(word).ok());
            let all: Vec<Value> = words.iter().map(|word| json!(word)).chain(typed).collect();
            json!({ "anyOf": [{ "enum": all }, { "type": "string", "pattern": REFERENCE }] })
        }
        Shape::Duration => text(r"^\s*[0-9.]+\s*(us|ms|s|m|h|d)\s*$"),
        Shape::Size => text(r"^\s*[0-9.]+\s*(B|KiB|MiB|GiB|KB|MB|GB)\s*$"),
        Shape::Share => text(r"^\s*[0-9.]+\s*%\s*$"),
    }
}

fn whole(pattern: &str, bounds: Option<(&str, &str)>) -> Value {
    let mut schema =
        json!({ "type": ["integer", "string"], "pattern": format!("{pattern}|{REFERENCE}") });
    let bound = |text: &str| text.parse::<u64>().ok().map(|bound| json!(bound));
    if let (Some(map), Some((least, most))) = (schema.as_object_mut(), bounds) {
        map.extend(bound(least).map(|least| ("minimum".to_owned(), least)));
        map.extend(bound(most).map(|most| ("maximum".to_owned(), most)));
    }
    schema
}
