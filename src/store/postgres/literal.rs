//! Values as literals of SQL, for statements that are made anew each time.

use std::fmt::Write as _;

use crate::store::rows::SumCell;

/// Writes values, separated by commas.
pub(super) fn put_all(out: &mut String, cells: &[SumCell<'_>]) {
    for (at, cell) in cells.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        put(out, cell);
    }
}

/// A text as a literal that means the same whatever the server's settings. Zero characters, which
/// no statement can hold, are replaced.
pub(super) fn text(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('\'', "''").replace('\0', "\u{fffd}");
    format!("E'{escaped}'")
}

fn put(out: &mut String, cell: &SumCell<'_>) {
    // Writing to a string cannot fail.
    let _written = match cell {
        SumCell::Time(us) => {
            write!(out, "timestamptz 'epoch' + {us} * interval '1 microsecond'")
        }
        SumCell::Text(value) => out.write_str(&text(value)),
        SumCell::Big(number) => write!(out, "{number}"),
        SumCell::Smalls(numbers) => write!(out, "'{{{}}}'::smallint[]", list(numbers)),
        SumCell::Bigs(numbers) => write!(out, "'{{{}}}'::bigint[]", list(numbers)),
    };
}

fn list<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{put_all, text};
    use crate::store::rows::SumCell;

    #[test]
    fn a_text_cannot_end_early() {
        for (value, literal) in [
            ("a", "E'a'"),
            (r"a'; drop table x; --\'", r"E'a''; drop table x; --\\'''"),
            ("a\0b", "E'a\u{fffd}b'"),
        ] {
            assert_eq!(text(value), literal);
        }
    }

    #[test]
    fn every_kind_of_value_has_its_literal() {
        let mut out = String::new();
        let cells = [
            SumCell::Time(-5),
            SumCell::Text("x"),
            SumCell::Big(-7),
            SumCell::Smalls(vec![1, 2]),
            SumCell::Bigs(vec![]),
        ];
        put_all(&mut out, &cells);
        assert_eq!(
            out,
            "timestamptz 'epoch' + -5 * interval '1 microsecond', \
             E'x', -7, \
             '{1,2}'::smallint[], '{}'::bigint[]"
        );
    }
}
