//! The fields of a form (`application/x-www-form-urlencoded`), as queries and bodies have them.

use std::borrow::Cow;

/// So many fields are looked at: a body could have thousands of empty ones.
pub(super) const MAX_FIELDS: usize = 1_000;

/// Hands out what is wanted and there, each by its number: of several of one name the first. False
/// when there are more fields than are looked at.
pub(super) fn find<'a, 'n>(
    form: &'a str,
    wanted: impl Iterator<Item = (usize, &'n str)>,
    mut found: impl FnMut(usize, Cow<'a, str>),
) -> bool {
    let mut wanted: Vec<(usize, &str)> = wanted.collect();
    let mut fields = form.split('&');
    for field in fields.by_ref().take(MAX_FIELDS) {
        if wanted.is_empty() {
            return true;
        }
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let Some(name) = decoded(name) else { continue };
        let Some(at) = wanted.iter().position(|(_, own)| *own == name) else { continue };
        let (number, _) = wanted.swap_remove(at);
        if let Some(value) = decoded(value) {
            found(number, value);
        }
    }
    wanted.is_empty() || fields.next().is_none()
}

/// A text without its encoding; none when that is no UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.first_chunk().filter(|_| byte == b'%').and_then(escaped);
        bytes.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The byte that two digits stand for.
fn escaped(digits: &[u8; 2]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let [high, low] = digits.map(digit);
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::{MAX_FIELDS, find};

    fn value(form: &str, name: &str) -> Option<String> {
        let mut value = None;
        find(form, [(7, name)].into_iter(), |number, text| {
            assert_eq!(number, 7);
            value = Some(text.into_owned());
        });
        value
    }

    #[test]
    fn a_value_is_found_by_its_name_and_decoded() {
        let form = "page=1&page_size=50&genre=hip%2Dhop+beat&flag&%70lain=%zz&page=2&odd=%+1";
        for (name, expected) in [
            ("page_size", Some("50")),
            ("page", Some("1")),
            ("genre", Some("hip-hop beat")),
            ("flag", Some("")),
            ("plain", Some("%zz")),
            ("odd", Some("% 1")),
            ("size", None),
        ] {
            assert_eq!(value(form, name).as_deref(), expected, "{name}");
        }
        assert_eq!(value("a=%ff", "a"), None);
    }

    #[test]
    fn all_that_is_wanted_is_found_in_one_pass() {
        let mut found = Vec::new();
        let wanted = [(0, "b"), (1, "a"), (2, "c")].into_iter();
        assert!(find("a=1&b=2&a=3&b=4", wanted, |number, text| found.push((number, text))));
        assert_eq!(found, [(1, "1".into()), (0, "2".into())]);
    }

    #[test]
    fn a_form_with_too_many_fields_is_not_read_to_its_end() {
        let last = |fields: usize| {
            let form = format!("{}last=1", "&".repeat(fields - 1));
            let mut found = 0;
            let is_whole = find(&form, [(0, "last")].into_iter(), |_, _| found += 1);
            (found, is_whole)
        };
        assert_eq!(last(MAX_FIELDS), (1, true));
        assert_eq!(last(MAX_FIELDS + 1), (0, false));
    }
}
