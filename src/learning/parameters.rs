//! The parameters of a row, as they are counted.

use serde_json::{Number, Value};

use crate::domain::{
    capture::{Meter, OTHER},
    learn::setting::{Bin, Setting},
};

/// What they are counted under. A value that is no scalar is not told apart from others. What the
/// answer of a language model told is no parameter: nobody chose it, and calls that failed have
/// none of it, so that everything in it would seem to work.
pub(super) fn setting(parameters: &Value) -> Setting {
    let is_used = |name: &str| Meter::FIGURES.contains(&name);
    let named = || parameters.as_object().into_iter().flatten();
    let is_metered = named().any(|(name, _)| is_used(name));
    let is_told = |name: &str| is_metered && Meter::NAMES.contains(&name);
    let chosen = named().filter(|(name, _)| !is_told(name));
    Setting::new(chosen.map(|(name, value)| (name.as_str(), bin(value))))
}

fn bin(value: &Value) -> Bin {
    match value {
        Value::Null => Bin::Absent,
        Value::Bool(true) => Bin::text("true"),
        Value::Bool(false) => Bin::text("false"),
        Value::String(word) if word == OTHER => Bin::Other,
        Value::String(word) => Bin::text(word),
        Value::Number(number) => bin_of(number),
        Value::Array(_) | Value::Object(_) => Bin::Other,
    }
}

fn bin_of(number: &Number) -> Bin {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Bin::integer(integer),
        (None, Some(fraction)) => Bin::fraction(fraction),
        (None, None) => Bin::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::setting;
    use serde_json::json;

    #[test]
    fn each_value_is_counted_as_what_it_is() {
        for (value, shown) in [
            (json!(120), "120"),
            (json!(0.7512), "0.75"),
            (json!("jazz"), "jazz"),
            (json!("__other__"), "(other)"),
            (json!(true), "true"),
            (json!(null), "(absent)"),
            (json!([1]), "(other)"),
            (json!(18_446_744_073_709_551_615_u64), "18000000000000000000"),
        ] {
            let setting = setting(&json!({ "bpm": value }));
            let shown_bin = setting.bin("bpm").map(ToString::to_string);
            assert_eq!(shown_bin.as_deref(), Some(shown), "{value}");
        }
    }

    #[test]
    fn what_an_answer_told_is_no_parameter() {
        let names = |parameters| {
            let setting = setting(&parameters);
            setting.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        let answered = json!({ "model": "large-1", "output_tokens": 7, "temperature": 0.5 });
        assert_eq!(names(answered), ["temperature"]);
        assert_eq!(
            names(json!({ "model": "large", "temperature": 0.5 })),
            ["model", "temperature"]
        );
    }

    #[test]
    fn what_has_no_names_has_no_parameters() {
        for value in [json!(null), json!([1, 2]), json!("word"), json!({})] {
            assert!(setting(&value).is_empty(), "{value}");
        }
    }
}
