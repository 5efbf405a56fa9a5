//! CSV as RFC 4180 has it, for programs that take some texts for formulas.
//!
//! A cell of text that begins with what makes a formula in a spreadsheet gets an apostrophe in
//! front, which spreadsheets read as "this is text". Numbers are left as they are: a negative one
//! begins with a minus and is none.

use serde_json::Value;

/// What a line ends with.
const LINE_END: &str = "\r\n";

/// Writes a line of values; null is an empty cell, lists and objects are JSON.
pub(super) fn line<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a Value>) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match cell {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => out.push_str(&cell.to_string()),
            Value::String(text) => put_text(out, text),
            Value::Array(_) | Value::Object(_) => put_text(out, &cell.to_string()),
        }
    }
    out.push_str(LINE_END);
}

/// Writes the line of names.
pub(super) fn heading<'a>(out: &mut String, names: impl IntoIterator<Item = &'a str>) {
    for (at, name) in names.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        put_text(out, name);
    }
    out.push_str(LINE_END);
}

fn put_text(out: &mut String, text: &str) {
    let is_formula = text.trim_start().starts_with(FORMULA) || text.starts_with(CONTROL);
    let is_quoted = text.contains(['"', ',', '\r', '\n']);
    let mark = if is_formula { "'" } else { "" };
    if is_quoted {
        out.push('"');
        out.push_str(mark);
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(mark);
        out.push_str(text);
    }
}

/// What formulas begin with, the full-width forms included.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What a spreadsheet passes over before one.
const CONTROL: [char; 3] = ['\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::{Value, json};

    use super::{FORMULA, line};

    fn written(cells: &[Value]) -> String {
        let mut out = String::new();
        line(&mut out, cells);
        out
    }

    #[test]
    fn cells_are_quoted_where_they_must_be_and_formulas_become_text() {
        for (cell, expected) in [
            (json!("plain"), "plain"),
            (json!(""), ""),
            (json!(null), ""),
            (json!(-1.5), "-1.5"),
            (json!(true), "true"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"no\""), "\"say \"\"no\"\"\""),
            (json!("two\nlines"), "\"two\nlines\""),
            (json!("=1+1"), "'=1+1"),
            (json!("+1"), "'+1"),
            (json!("-"), "'-"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("\t=1"), "'\t=1"),
            (json!("  =1"), "'  =1"),
            (json!("\r=1"), "\"'\r=1\""),
            (json!("＝1"), "'＝1"),
            (json!("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            (json!({"bpm": 120}), "\"{\"\"bpm\"\":120}\""),
        ] {
            assert_eq!(written(std::slice::from_ref(&cell)), format!("{expected}\r\n"), "{cell}");
        }
        assert_eq!(written(&[json!("a"), json!(null), json!(1)]), "a,,1\r\n");
    }

    proptest! {
        #[test]
        fn no_text_reads_as_a_formula_and_every_text_reads_back(text in any::<String>()) {
            let line = written(&[json!(text)]);
            let cell = line.strip_suffix("\r\n").unwrap();
            let read = match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => cell.to_owned(),
            };
            assert!(!read.trim_start().starts_with(FORMULA), "{line}");
            assert!(read == text || read == format!("'{text}"), "{line}");
        }
    }
}
