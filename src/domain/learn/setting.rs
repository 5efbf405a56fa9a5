//! Settings: values of parameters, as they are counted.
//!
//! A value is kept as a [`Bin`], fine enough to tell what matters and coarse enough to be counted:
//! numbers to a few significant digits. That depends on nothing but the value, so counts of
//! different days and instances add up. Which fine bins are then looked at together is decided
//! later, when there are enough of them.

use std::{cmp::Ordering, fmt};

/// Whole numbers keep three significant digits: all below 1,000 are themselves.
const DIGITS_OF_INTEGERS: usize = 3;

/// Other numbers keep two.
const DIGITS_OF_FRACTIONS: usize = 2;

/// Values of one parameter that are counted as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bin {
    /// The caller did not set it, which says something too.
    Absent,
    /// Values beyond those that are counted one by one.
    Other,
    /// A word, or a truth value.
    Text(Box<str>),
    /// All numbers from the first to the last, which may be one.
    Numbers(Number, Number),
}

/// A number with an order: never NaN, and no zero below zero.
#[derive(Debug, Clone, Copy)]
pub struct Number(f64);

impl Number {
    /// This number; none for what is none.
    pub fn new(x: f64) -> Option<Self> {
        x.is_finite().then_some(Self(x + 0.0))
    }

    /// As it is.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Bin {
    /// The bin of a word.
    pub fn text(word: &str) -> Self {
        Self::Text(word.into())
    }

    /// The bin of a whole number.
    pub fn integer(x: i64) -> Self {
        Self::rounded(x as f64, DIGITS_OF_INTEGERS)
    }

    /// The bin of any other number; what is none is [`Bin::Other`].
    pub fn fraction(x: f64) -> Self {
        Self::rounded(x, DIGITS_OF_FRACTIONS)
    }

    fn rounded(x: f64, digits: usize) -> Self {
        let text = format!("{x:.*e}", digits - 1);
        let number = text.parse().ok().and_then(Number::new);
        number.map_or(Self::Other, |number| Self::Numbers(number, number))
    }

    /// Whether everything in the other bin is in this one.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(low, high), Self::Numbers(from, to)) => low <= from && to <= high,
            _ => self == other,
        }
    }

    /// Its one form in a store; [`Bin::parse`] reads it.
    pub fn to_word(&self) -> String {
        match self {
            Self::Absent => "absent".into(),
            Self::Other => "other".into(),
            Self::Text(text) => format!("={text}"),
            Self::Numbers(..) => format!("#{self}"),
        }
    }

    /// The bin that a store holds in this form.
    pub fn parse(word: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().and_then(Number::new);
        match word {
            "absent" => Some(Self::Absent),
            "other" => Some(Self::Other),
            _ if word.starts_with('=') => Some(Self::text(&word[1..])),
            _ => {
                let numbers = word.strip_prefix('#')?;
                let (low, high) = numbers.split_once("..").unwrap_or((numbers, numbers));
                Some(Self::Numbers(number(low)?, number(high)?))
            }
        }
    }
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("(absent)"),
            Self::Other => f.write_str("(other)"),
            Self::Text(text) => f.write_str(text),
            Self::Numbers(low, high) if low == high => write!(f, "{}", low.0),
            Self::Numbers(low, high) => write!(f, "{}..{}", low.0, high.0),
        }
    }
}

/// Parameters with their bins: all of a task, some, one, or none, which is any task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Setting(Vec<(Box<str>, Bin)>);

impl Setting {
    /// These parameters, by name; of one that is named twice the last counts.
    pub fn new<N: Into<Box<str>>>(parameters: impl IntoIterator<Item = (N, Bin)>) -> Self {
        let named = parameters.into_iter().map(|(name, bin)| (name.into(), bin));
        Self(named.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect())
    }

    /// How many parameters it names.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names none, and so holds for any task.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bin)> {
        self.0.iter().map(|(name, bin)| (&**name, bin))
    }

    /// The bin of a parameter that it names.
    pub fn bin(&self, name: &str) -> Option<&Bin> {
        self.iter().find_map(|(own, bin)| (own == name).then_some(bin))
    }

    /// Whether a task with the other setting is one with this setting.
    pub fn holds(&self, other: &Self) -> bool {
        self.iter().all(|(name, bin)| other.bin(name).is_some_and(|theirs| bin.holds(theirs)))
    }

    /// Each of its parameters by itself.
    pub fn singles(&self) -> impl Iterator<Item = Self> {
        self.0.iter().map(|one| Self(vec![one.clone()]))
    }

    /// Every setting under which a task with these parameters is counted: none, each one, and all.
    pub fn counted(&self) -> Vec<Self> {
        let mut counted = vec![Self::default()];
        counted.extend(self.singles());
        if self.len() > 1 {
            counted.push(self.clone());
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::{Bin, Setting};
    use proptest::prelude::{any, proptest};

    #[test]
    fn numbers_are_counted_by_their_first_digits() {
        for (bin, shown) in [
            (Bin::integer(120), "120"),
            (Bin::integer(-999), "-999"),
            (Bin::integer(44_123), "44100"),
            (Bin::fraction(0.749), "0.75"),
            (Bin::fraction(-0.0), "0"),
            (Bin::fraction(f64::NAN), "(other)"),
        ] {
            assert_eq!(bin.to_string(), shown);
        }
    }

    #[test]
    fn a_task_counts_for_each_of_its_parameters_and_for_all_together() {
        let task = Setting::new([("genre", Bin::text("jazz")), ("bpm", Bin::integer(120))]);
        let counted = task.counted();
        assert_eq!(counted.iter().map(Setting::len).collect::<Vec<_>>(), [0, 1, 1, 2]);
        assert!(counted.iter().all(|setting| setting.holds(&task)));
        let only = Setting::new([("bpm", Bin::integer(120))]);
        assert_eq!(only.counted().len(), 2, "the one and the whole are the same");
    }

    #[test]
    fn a_range_holds_the_numbers_in_it() {
        let range = Bin::parse("#100..140").unwrap();
        assert!(range.holds(&Bin::integer(120)) && range.holds(&Bin::parse("#100..110").unwrap()));
        assert!(!range.holds(&Bin::integer(141)) && !range.holds(&Bin::Absent));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(x in any::<i64>(), y in any::<f64>(), word in ".*") {
            let range = |low: f64, high: f64| Bin::parse(&format!("#{low}..{high}"));
            let bins = [Bin::Absent, Bin::Other, Bin::integer(x), Bin::fraction(y), Bin::text(&word)];
            for bin in bins.into_iter().chain(range(-0.5, 1e300)) {
                assert_eq!(Bin::parse(&bin.to_word()), Some(bin));
            }
        }

        #[test]
        fn order_is_kept(a in any::<i64>(), b in any::<i64>()) {
            assert!(Bin::integer(a.min(b)) <= Bin::integer(a.max(b)));
        }
    }
}
