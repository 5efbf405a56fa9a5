//! Values as literals of SQL, for statements that are made anew each time.

use std::fmt::Write as _;

use crate::store::rows::Cell;

/// Writes values, separated by commas.
pub(super) fn put_all(out: &mut String, cells: &[Cell<'_>]) {
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

fn put(out: &mut String, cell: &Cell<'_>) {
    // Writing to a string cannot fail.
    let _written = match cell {
        Cell::Null => out.write_str("null"),
        Cell::Time(us) => {
            write!(out, "timestamptz 'epoch' + {us} * interval '1 microsecond'")
        }
        Cell::Id(bits) => write!(out, "'{bits:032x}'::uuid"),
        Cell::Hex(bits) => write!(out, "'{bits:032x}'"),
        Cell::Text(value) => out.write_str(&text(value)),
        Cell::Json(value) => write!(out, "{}::jsonb", text(value)),
        Cell::Small(number) => write!(out, "{number}"),
        Cell::Int(number) => write!(out, "{number}"),
        Cell::Big(number) => write!(out, "{number}"),
        Cell::Smalls(numbers) => write!(out, "'{{{}}}'::smallint[]", list(numbers)),
        Cell::Bigs(numbers) => write!(out, "'{{{}}}'::bigint[]", list(numbers)),
    };
}

fn list<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{put_all, text};
    use crate::store::rows::Cell;

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
            Cell::Null,
            Cell::Time(-5),
            Cell::Id(1),
            Cell::Text("x"),
            Cell::Json("{}".into()),
            Cell::Big(-7),
            Cell::Smalls(vec![1, 2]),
            Cell::Bigs(vec![]),
        ];
        put_all(&mut out, &cells);
        assert_eq!(
            out,
            "null, timestamptz 'epoch' + -5 * interval '1 microsecond', \
             '00000000000000000000000000000001'::uuid, E'x', E'{}'::jsonb, -7, \
             '{1,2}'::smallint[], '{}'::bigint[]"
        );
    }
}
