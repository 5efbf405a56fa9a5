//! The scanner against documents, and against a reader that builds them.

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::Value;

use super::{MAX_NESTING, find};
use crate::domain::capture::{Fault, Pointer, Scalar, Wanted};

/// What is found at these places, as text; `null` for nothing.
fn look(document: &str, pointers: &[&str]) -> Result<Vec<String>, Fault> {
    let mut wanted = Wanted::default();
    for (number, pointer) in pointers.iter().enumerate() {
        wanted.add(number, &Pointer::parse(pointer).unwrap());
    }
    let mut found = vec!["null".to_owned(); pointers.len()];
    find(document.as_bytes(), &wanted, &mut |number, scalar: Scalar<'_>| {
        found[number] = scalar.text().map_or_else(|| "…".to_owned(), |text| text.into_owned());
    })?;
    Ok(found)
}

#[test]
fn values_are_found_wherever_they_are() {
    let document = r#" {"bpm": 120, "a/b": {"~": [1, {"x": "y\n\u00e9\ud83d\ude00"}, [true]]},
        "none": null, "deep": {"a": [[]]}, "": -0.5e+3} "#;
    for (pointer, value) in [
        ("/bpm", "120"),
        ("/a~1b/~0/0", "1"),
        ("/a~1b/~0/1/x", "y\né😀"),
        ("/a~1b/~0/2/0", "true"),
        ("/a~1b/~0/2", "…"),
        ("/a~1b/~0/3", "null"),
        ("/a~1b/~0/-", "null"),
        ("/none", "null"),
        ("/bpm/x", "null"),
        ("/", "-0.5e+3"),
    ] {
        assert_eq!(look(document, &[pointer]).unwrap(), [value], "{pointer}");
    }
    assert_eq!(look(document, &["/bpm", "/bpm", "/deep"]).unwrap(), ["120", "120", "…"]);
    assert_eq!(look("[[1,2],[3]]", &["/0/1", "/1/0"]).unwrap(), ["2", "3"]);
    assert_eq!(look("7", &["/a"]).unwrap(), ["null"]);
}

#[test]
fn a_key_may_be_written_with_escapes() {
    assert_eq!(look(r#"{"b\u0070m": 1}"#, &["/bpm"]).unwrap(), ["1"]);
}

#[test]
fn what_is_said_twice_is_not_said_unless_nobody_asked() {
    assert_eq!(look(r#"{"a": 1, "a": 2}"#, &["/a"]), Err(Fault::DuplicateKey));
    assert_eq!(look(r#"{"a": {"b": 1}, "c": 1, "a": {}}"#, &["/a/b"]), Err(Fault::DuplicateKey));
    assert_eq!(look(r#"{"a": 1, "a": 2, "b": 3}"#, &["/b"]).unwrap(), ["3"]);
    assert_eq!(look(r#"[{"a": 1}, {"a": 2}]"#, &["/1/a"]).unwrap(), ["2"]);
}

#[test]
fn what_is_no_json_says_nothing() {
    for document in [
        "",
        " ",
        "{",
        "}",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "a=1&b=2",
        "\"open",
        "nul",
        "data: {}",
    ] {
        assert_eq!(look(document, &["/a"]), Err(Fault::NotJson), "{document}");
    }
    let mut nothing = |_, _: Scalar<'_>| ();
    assert_eq!(find(b"\"\xff\"", &Wanted::default(), &mut nothing), Err(Fault::NotJson));
}

#[test]
fn a_document_may_be_nested_only_so_deep() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(look(&nested(MAX_NESTING), &["/0"]).unwrap(), ["…"]);
    assert_eq!(look(&nested(MAX_NESTING + 1), &["/0"]), Err(Fault::TooDeep));
    assert_eq!(look(&nested(40_000), &["/0"]), Err(Fault::TooDeep), "without a deep stack");
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9_f64..1e9).prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map("[ab/~\"]{0,2}", inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Every place in a document.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{number}"), all);
            }
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, item)| places(item, &format!("{at}/{}", escaped(key)), all));
        }
        _ => {}
    }
    if !at.is_empty() {
        all.push(at.to_owned());
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => "…".to_owned(),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn it_finds_what_a_reader_finds_that_builds_the_document(value in document(), pretty: bool) {
        let mut all = Vec::new();
        places(&value, "", &mut all);
        all.truncate(100);
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let pointers: Vec<&str> = all.iter().map(String::as_str).collect();
        let expected: Vec<_> = all.iter().map(|at| told(value.pointer(at).unwrap())).collect();
        prop_assert_eq!(look(&text, &pointers), Ok(expected));
    }

    #[test]
    fn it_takes_for_json_what_others_take_for_json(value in document(), at: proptest::sample::Index, byte: u8) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let is_json = serde_json::from_slice::<Value>(&bytes).is_ok()
            // What is a number too large for others is a number still.
            || serde_json::from_slice::<Box<serde_json::value::RawValue>>(&bytes).is_ok_and(|_| std::str::from_utf8(&bytes).is_ok());
        let found = find(&bytes, &Wanted::default(), &mut |_, _| ());
        prop_assert_eq!(found.is_ok(), is_json, "{:?}", String::from_utf8_lossy(&bytes));
    }
}
