//! Nothing that can be written makes the reader panic.

use std::fs;

use fusebox::config::{Environment, Severity, Source, load};
use proptest::prelude::*;

use crate::root;

/// The files that mutations begin with.
fn seeds() -> impl Strategy<Value = Vec<u8>> {
    let read = |file: &str| fs::read(root().join(file)).expect("a file");
    let files =
        ["config/example.yaml", "tests/data/config/forty.yaml", "tests/data/config/secrets.yaml"];
    prop::sample::select(files.map(read).to_vec())
}

/// Pieces that have a meaning in YAML or here.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "\n",
        "  ",
        "\t",
        ":",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "#",
        "&a ",
        "*a",
        "!x ",
        "|",
        ">",
        "? ",
        "---",
        "...",
        "%",
        "${",
        "}",
        "${A:-",
        "$$",
        "null",
        "~",
        "\u{feff}",
        "\r",
        "\0",
        "é",
        "😀",
        "<<: ",
        "http://u:p@",
        "://",
        "@",
        "0s",
        "99999999999999999999d",
        "-1",
        "%",
    ];
    let known = prop::sample::select(pieces.map(|piece| piece.as_bytes().to_vec()).to_vec());
    prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..4)]
}

/// Reads bytes as a file; every place that comes out must be in it.
fn check(bytes: &[u8]) {
    let Ok(source) = Source::from_bytes("x".to_owned(), bytes.to_vec()) else { return };
    let Err(problems) = load(&source, &Environment::new([("A", "1")], "host")) else { return };
    assert!(problems.count(Severity::Error) > 0);
    let lines = source.text.split(['\n', '\r']).count();
    for problem in problems.iter() {
        assert!(problem.line().is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(problem.to_string().chars().all(|c| c == '\n' || !c.is_control()), "{problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        check(&bytes);
    }

    #[test]
    fn no_pieces_make_the_reader_panic(pieces in prop::collection::vec(piece(), 0..64)) {
        check(&pieces.concat());
    }

    #[test]
    fn no_mutation_makes_the_reader_panic(
        mut bytes in seeds(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, piece()), 1..8),
    ) {
        for (index, removed, inserted) in changes {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        check(&bytes);
    }

    #[test]
    fn no_mutation_around_a_secret_makes_a_report_tell_it(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, piece()), 1..6),
    ) {
        let file = "database: { url: postgres://fusebox:hunter2@db, schema: Bad }\n\
                    admin:\n  token: \"hunter2\"\n  listen: x\nservise: orders\n";
        let mut bytes = file.as_bytes().to_vec();
        for (index, removed, inserted) in changes {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            // The secrets and what gives them away stay whole, or there is nothing left to tell.
            let touched = String::from_utf8_lossy(&bytes[at..end]).into_owned();
            if touched.chars().all(|c| c.is_whitespace() || ",{}".contains(c)) {
                bytes.splice(at..end, inserted);
            }
        }
        let Ok(source) = Source::from_bytes("x".to_owned(), bytes) else { return Ok(()) };
        if let Err(problems) = load(&source, &Environment::default()) {
            prop_assert!(!problems.to_string().contains("hunter2"), "{}\n{problems}", source.text);
        }
    }
}
