//! "47 calls in flight of 50."
//!
//! Source: J. D. C. Little, *A proof for the queuing formula L = λW*, Operations Research 9 (1961).

use std::time::Duration;

/// A limit that is used this far is worth a warning.
pub const FULL: f64 = 0.9;

/// The part of a limit of calls in flight that is in use on average, when so many calls a second
/// take so long on average: L = λW over the limit.
pub fn saturation(calls_per_second: f64, mean: Duration, limit: u32) -> Option<f64> {
    (limit > 0).then(|| calls_per_second * mean.as_secs_f64() / f64::from(limit))
}

#[cfg(test)]
mod tests {
    use super::{FULL, saturation};
    use std::time::Duration;

    #[test]
    fn ninety_four_calls_a_second_of_half_a_second_nearly_fill_fifty_places() {
        let used = saturation(94.0, Duration::from_millis(500), 50).unwrap();
        assert!((used - 0.94).abs() < 1e-12 && used > FULL);
        assert_eq!(saturation(1.0, Duration::from_secs(1), 0), None);
    }
}
