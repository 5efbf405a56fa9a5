//! Tables of bytes and of what must come of them, as files that one can read.
//!
//! `== what` begins a row. Lines behind `>` (or `<`, in what upstreams say) are sent, each ended by
//! CRLF unless it ends with a backslash. In them `\r`, `\n`, `\t`, `\\` and `\xHH` are what they are
//! elsewhere, and `{3 abc}` is `abcabcabc`; a whole line in such brackets is repeated as a line. The
//! other lines, `key: value`, are what must come of it. `#` begins a comment.

use std::{fs, path::Path};

/// One row of a table.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) what: String,
    /// The bytes.
    pub(super) sent: Vec<u8>,
    expected: Vec<(String, String)>,
}

impl Row {
    /// The only value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let values = self.all(key);
        assert!(values.len() < 2, "{}: {key} is there twice", self.what);
        values.first().copied()
    }

    /// All values of a key.
    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        let named = self.expected.iter().filter(|(name, _)| name == key);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// Reads `tests/data/malformed/<name>.txt`; `keys` are those that its rows may have.
pub(super) fn read(name: &str, keys: &[&str]) -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/data/malformed").join(name).with_extension("txt");
    parse(&fs::read_to_string(file).expect("the table is there"), keys)
}

fn parse(text: &str, keys: &[&str]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(what) = line.strip_prefix("== ") {
            rows.push(Row { what: what.to_owned(), ..Row::default() });
            continue;
        }
        let row = rows.last_mut().expect("a row has begun");
        let (times, sent) = repeated(line).unwrap_or((1, line));
        if let Some(sent) = sent.strip_prefix(['>', '<']) {
            let bytes = bytes(sent.strip_prefix(' ').unwrap_or(sent));
            row.sent.extend(bytes.repeat(times));
            continue;
        }
        let (key, value) = line.split_once(':').expect("a line is sent or has a key");
        assert!(keys.contains(&key), "{}: no such key: {key}", row.what);
        row.expected.push((key.to_owned(), value.trim_start().to_owned()));
    }
    rows
}

/// What is between brackets, and how often.
fn repeated(text: &str) -> Option<(usize, &str)> {
    let (times, text) = text.strip_prefix('{')?.strip_suffix('}')?.split_once(' ')?;
    Some((times.parse().ok()?, text))
}

/// A line as it is sent.
fn bytes(line: &str) -> Vec<u8> {
    // An even number of backslashes stands for half as many, and then the line ends.
    let goes_on = (line.len() - line.trim_end_matches('\\').len()) % 2 == 1;
    let (line, end) = if goes_on { (&line[..line.len() - 1], "") } else { (line, "\r\n") };
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let mut used = next.len_utf8();
        match next {
            '{' => {
                used = rest.find('}').expect("a bracket is closed") + 1;
                let (times, text) = repeated(&rest[..used]).expect("a bracket repeats");
                bytes.extend(unescaped(text).repeat(times));
            }
            '\\' => {
                used = if rest[1..].starts_with('x') { 4 } else { 2 };
                bytes.extend(unescaped(&rest[..used]));
            }
            _ => bytes.extend(&rest.as_bytes()[..used]),
        }
        rest = &rest[used..];
    }
    bytes.extend(end.as_bytes());
    bytes
}

/// Text with escapes as what it stands for.
pub(super) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'\\', [b'r', left @ ..]) => (b'\r', left),
            (b'\\', [b'n', left @ ..]) => (b'\n', left),
            (b'\\', [b't', left @ ..]) => (b'\t', left),
            (b'\\', [b'\\', left @ ..]) => (b'\\', left),
            (b'\\', [b'x', high, low, left @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).expect("two digits");
                (u8::try_from(digit(high) * 16 + digit(low)).expect("a byte"), left)
            }
            (b'\\', _) => panic!("no such escape: {text}"),
            (byte, left) => (*byte, left),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

#[test]
fn a_table_is_read_as_it_says() {
    let text = "# Nothing.\n== one\n> GET / HTTP/1.1\n{2 > x: 1}\n>\n> {3 ab\\n}\\x00\\\nstatus: 400\n\n\
                == two\n> a\\\\\\\n> b\nwith: x: 1\nwith: y:\n";
    let rows = parse(text, &["status", "with"]);
    assert_eq!(rows[0].what, "one");
    assert_eq!(rows[0].sent, b"GET / HTTP/1.1\r\nx: 1\r\nx: 1\r\n\r\nab\nab\nab\n\0");
    assert_eq!(rows[0].get("status"), Some("400"));
    assert_eq!(rows[1].sent, b"a\\b\r\n");
    assert_eq!(rows[1].all("with"), ["x: 1", "y:"]);
}
