//! `grpc-timeout`: how long a caller waits for the whole call, as up to eight digits and a unit.

use std::time::Duration;

use http::HeaderValue;

/// The most digits of a number.
const MAX_DIGITS: usize = 8;

/// The number beyond those that the digits can write.
const LIMIT: u128 = 100_000_000;

/// The units, from the finest to the coarsest, with their nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Reads the value of `grpc-timeout`. None for anything that the specification does not know; no
/// time at all is a deadline that has passed.
pub fn read_timeout(value: &[u8]) -> Option<Duration> {
    let (&unit, digits) = value.split_last()?;
    if !(1..=MAX_DIGITS).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'n' => Duration::from_nanos(number),
        b'u' => Duration::from_micros(number),
        b'm' => Duration::from_millis(number),
        b'S' => Duration::from_secs(number),
        b'M' => Duration::from_secs(number * 60),
        b'H' => Duration::from_secs(number * 3_600),
        _ => return None,
    })
}

/// The value of `grpc-timeout` for a time, in the finest unit that it fits. Rounded down, so that
/// nobody is promised more than there is; it is zero only when the time is.
pub fn show_timeout(time: Duration) -> HeaderValue {
    let ns = time.as_nanos();
    let (unit, size) = UNITS.into_iter().find(|(_, size)| ns / size < LIMIT).unwrap_or(UNITS[5]);
    let number = (ns / size).min(LIMIT - 1);
    let text = format!("{number}{}", char::from(unit));
    // Digits and a letter are always a value.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0n"))
}

#[cfg(test)]
mod tests {
    use super::{read_timeout, show_timeout};
    use proptest::prelude::{any, proptest};
    use std::time::Duration;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (value, ns) in [
            ("1n", 1),
            ("2u", 2_000),
            ("100m", 100_000_000),
            ("5S", 5_000_000_000),
            ("3M", 180_000_000_000),
            ("1H", 3_600_000_000_000),
            ("00000001S", 1_000_000_000),
            ("0m", 0),
        ] {
            assert_eq!(read_timeout(value.as_bytes()), Some(Duration::from_nanos(ns)), "{value}");
        }
        let most = Duration::from_secs(99_999_999 * 3_600);
        assert_eq!(read_timeout(b"99999999H"), Some(most));
    }

    #[test]
    fn what_the_specification_does_not_know_is_no_timeout() {
        for value in [
            "",
            "m",
            "1",
            "100",
            "-1m",
            "+1m",
            " 1m",
            "1m ",
            "1 m",
            "1.5S",
            "1e3m",
            "1ms",
            "1s",
            "1h",
            "123456789m",
            "0x1m",
            "m1",
            "1é",
        ] {
            assert_eq!(read_timeout(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(read_timeout(b"\xff\xffm"), None);
    }

    #[test]
    fn a_time_is_written_in_the_finest_unit_that_it_fits() {
        for (time, value) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(1), "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (Duration::from_secs(60), "60000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(99_999_999 * 3_600), "99999999H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(show_timeout(time), value);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_no_more_and_hardly_less(secs in 0_u64..300_000_000_000, nanos in 0_u32..1_000_000_000) {
            let time = Duration::new(secs, nanos);
            let read = read_timeout(show_timeout(time).as_bytes()).unwrap();
            assert!(read <= time, "{time:?} became {read:?}");
            assert!(time - read <= time / 99_999, "{time:?} became {read:?}");
            assert_eq!(read.is_zero(), time.is_zero());
        }

        #[test]
        fn any_value_is_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(time) = read_timeout(&value) {
                assert!(time <= Duration::from_secs(99_999_999 * 3_600));
            }
        }
    }
}
