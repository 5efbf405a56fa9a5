//! Money as whole numbers: prices in trillionths of a US dollar, costs in billionths.

/// What one unit costs, in trillionths (10⁻¹²) of a US dollar, so that a price per million tokens
/// with six decimals is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Price(u64);

/// The most that one unit may cost, in dollars.
const MAX_DOLLARS: u64 = 1_000_000;

/// Not an amount in dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected US dollars from 0 to 1000000 with at most {decimals} decimals and no unit, such as `0.0025`"
)]
pub struct PriceError {
    decimals: u32,
}

impl Price {
    /// Reads dollars for one unit.
    ///
    /// # Errors
    /// It is no amount.
    pub fn per_unit(text: &str) -> Result<Self, PriceError> {
        Self::scaled(text, 12)
    }

    /// Reads dollars for a million units.
    ///
    /// # Errors
    /// It is no amount.
    pub fn per_million(text: &str) -> Result<Self, PriceError> {
        Self::scaled(text, 6)
    }

    /// Reads a decimal number as that many of the last of its decimals.
    fn scaled(text: &str, decimals: u32) -> Result<Self, PriceError> {
        let error = PriceError { decimals };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        if !are_digits(whole) || !are_digits(fraction) || places > decimals {
            return Err(error);
        }
        let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= MAX_DOLLARS);
        let fraction = fraction.parse::<u64>().unwrap_or(0) * 10_u64.pow(decimals - places);
        whole.map(|whole| Self(whole * 10_u64.pow(decimals) + fraction)).ok_or(error)
    }

    /// What a whole number of units costs.
    pub fn of(self, units: u64) -> Cost {
        Cost(u128::from(self.0) * u128::from(units))
    }

    /// What parts of units cost, as exactly as a floating-point number can tell.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and the units are no less exact than it"
    )]
    pub(super) fn of_parts(self, units: f64) -> Cost {
        Cost((self.0 as f64 * units).round() as u128)
    }

    /// The price in dollars, as it is shown.
    #[expect(clippy::cast_precision_loss, reason = "for people and for JSON")]
    pub const fn dollars(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// What a million units cost in dollars, as it is shown.
    #[expect(clippy::cast_precision_loss, reason = "for people and for JSON")]
    pub const fn dollars_per_million(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// What something cost, in trillionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost(u128);

impl Cost {
    /// Both together.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In billionths of a dollar, rounded once.
    pub(super) fn nano_usd(self) -> u64 {
        u64::try_from((self.0 + 500) / 1_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Price};

    #[test]
    fn prices_are_exact_and_costs_are_rounded_once() {
        let price = Price::per_million("0.0375").unwrap();
        assert_eq!(price, Price::per_unit("0.0000000375").unwrap());
        assert_eq!(price.of(1).nano_usd(), 38, "37.5 rounded");
        assert_eq!(price.of(2).nano_usd(), 75);
        let thrice = (0..3).fold(Cost::default(), |sum, _| sum.plus(price.of(1)));
        assert_eq!(thrice.nano_usd(), 113, "112.5 rounded, not three times 38");
        assert_eq!(Price::per_unit("2").unwrap().of_parts(1.5).nano_usd(), 3_000_000_000);
        assert_eq!(Price::per_million("1000000").unwrap().of(u64::MAX).nano_usd(), u64::MAX);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-1", "1e3", "$2", "2.", ".5", "1,5", "nan", "1000001", "0.0000001"] {
            assert!(Price::per_million(text).is_err(), "{text}");
        }
        assert!(Price::per_unit("0.000000000001").is_ok());
    }
}
