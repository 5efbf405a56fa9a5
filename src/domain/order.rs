//! An order: somebody steers a circuit otherwise than its rules would, for a reason and for a time.
//!
//! Checked when it is made, so that an order that exists can be obeyed. What switches protection
//! off ends by itself: an order that is forgotten must not be an outage that nobody stops. When it
//! ends is a moment of this process's own clock; between hosts it travels as what is left.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{breaker::Mode, units::show_duration};

/// How long an order that switches protection off holds unless it says so.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3_600);

/// How long it may hold at most.
pub const MAX_TTL: Duration = Duration::from_secs(86_400);

/// How long any other order may hold that has an end at all.
pub const MAX_OTHER_TTL: Duration = Duration::from_secs(365 * 86_400);

/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// The longest name of who ordered, in characters.
pub const MAX_NAME: usize = 100;

/// Who ordered, when nobody said: in rows, and in sentences.
const UNNAMED: &str = "unknown";
const NOBODY_KNOWN: &str = "somebody who gave no name";

/// What somebody wishes a circuit to do, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// How it is to be steered.
    pub mode: Mode,
    /// Why.
    pub reason: &'a str,
    /// Who wishes it.
    pub by: Option<&'a str>,
    /// For how long.
    pub ttl: Option<Duration>,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    mode: Mode,
    /// Who and why are the same text wherever the order goes.
    signature: Signature,
    given: Instant,
    until: Option<Instant>,
}

/// Who orders something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who.
    pub by: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

/// What somebody does to a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Gives an order, in place of one that is in force.
    Order(Order),
    /// Lifts the order that is in force.
    Lift(Signature),
    /// Lifts it, closes the circuit and forgets what was counted.
    Reset(Signature),
}

impl Act {
    /// Who does it, and why.
    pub const fn signature(&self) -> &Signature {
        match self {
            Self::Order(order) => order.signature(),
            Self::Lift(signature) | Self::Reset(signature) => signature,
        }
    }

    /// The name in the log: that of the mode that is ordered, or what is done instead.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Order(order) => order.mode().as_str(),
            Self::Lift(_) => "lift",
            Self::Reset(_) => "reset",
        }
    }
}

/// How far something that somebody did to a circuit has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reach {
    /// To all who share the circuit.
    #[default]
    Fleet,
    /// It was meant for one instance.
    Here,
    /// To one instance, until the store is back and tells the others.
    Untold,
}

impl Reach {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Here => "instance",
            Self::Untold => "untold",
        }
    }

    /// What whoever did it should know; nothing where all have heard.
    pub const fn told(self) -> Option<&'static str> {
        match self {
            Self::Fleet => None,
            Self::Here => Some("This holds on the instance that was asked, and on no other."),
            Self::Untold => Some(
                "The store does not know of it yet: this holds on the instance that was asked only, \
                 and the others are told when the store can be reached.",
            ),
        }
    }
}

/// Why a wish is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No word about why.
    #[error("a reason is required: whoever finds this order later must know what it was for")]
    NoReason,
    /// Longer than it may be.
    #[error("the {0} has at most {1} characters")]
    TooLong(Part, usize),
    /// Line breaks and the like, which forge lines where they are shown.
    #[error("the {0} has a character that cannot be printed")]
    Unprintable(Part),
    /// The rules are no order.
    #[error("`auto` is no order; lift the order that is in force, or reset the circuit")]
    Auto,
    /// It would be over at once.
    #[error("an order must hold for some time; leave the ttl out for the default")]
    NoTime,
    /// Longer than it may hold.
    #[error("`{}` may hold for {} at most, not {}", .mode.as_str(), show_duration(*.most), show_duration(*.asked))]
    TooLongFor {
        /// What was wished.
        mode: Mode,
        /// For how long.
        asked: Duration,
        /// How long it may be.
        most: Duration,
    },
}

/// A text of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Why.
    Reason,
    /// Who.
    Name,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reason => "reason",
            Self::Name => "name of who orders",
        })
    }
}

impl Signature {
    /// Signs something.
    ///
    /// # Errors
    /// There is no reason, or one of the texts is too long or cannot be shown.
    pub fn new(by: Option<&str>, reason: &str) -> Result<Self, OrderError> {
        if reason.trim().is_empty() {
            return Err(OrderError::NoReason);
        }
        let by = by.map(str::trim).filter(|by| !by.is_empty()).unwrap_or(UNNAMED);
        let reason = text(Part::Reason, reason, MAX_REASON)?;
        Ok(Self { by: text(Part::Name, by, MAX_NAME)?, reason })
    }

    /// Who, in a sentence.
    pub fn who(&self) -> &str {
        who(&self.by)
    }
}

/// A name as [`Signature::by`] has it, in a sentence.
pub fn who(by: &str) -> &str {
    if by == UNNAMED { NOBODY_KNOWN } else { by }
}

impl Order {
    /// Makes an order of a wish.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn new(wish: Wish<'_>, now: Instant) -> Result<Self, OrderError> {
        let (usual, most) = match wish.mode {
            Mode::Auto => return Err(OrderError::Auto),
            Mode::Disabled | Mode::ForcedClosed => (Some(DEFAULT_TTL), MAX_TTL),
            Mode::Shadow | Mode::ForcedOpen => (None, MAX_OTHER_TTL),
        };
        let signature = Signature::new(wish.by, wish.reason)?;
        let ttl = wish.ttl.or(usual);
        match ttl {
            Some(ttl) if ttl.is_zero() => return Err(OrderError::NoTime),
            Some(asked) if asked > most => {
                return Err(OrderError::TooLongFor { mode: wish.mode, asked, most });
            }
            _ => {}
        }
        // A moment too far to be represented is one that never comes, and none of these is.
        let until = ttl.and_then(|ttl| now.checked_add(ttl));
        Ok(Self { mode: wish.mode, signature, given: now, until })
    }

    /// How the circuit is to be steered.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Who ordered it, and why.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// How long ago it was given here.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.given)
    }

    /// How long it still holds; none when it has no end, zero when it is over.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now))
    }

    /// How long it was given for; none when it has no end.
    pub fn length(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(self.given))
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// A text that can be shown on one line.
fn text(part: Part, text: &str, most: usize) -> Result<Arc<str>, OrderError> {
    if text.chars().count() > most {
        return Err(OrderError::TooLong(part, most));
    }
    let text = text.trim();
    if text.chars().any(is_unprintable) {
        return Err(OrderError::Unprintable(part));
    }
    Ok(text.into())
}

/// Whether a character is none, breaks lines or turns the text around.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, proptest};

    use super::{MAX_NAME, MAX_REASON, Order, OrderError, Part, Wish};
    use crate::{clock, domain::breaker::Mode};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn wish(mode: Mode, ttl: Option<Duration>) -> Wish<'static> {
        Wish { mode, reason: "maintenance", by: Some("ann"), ttl }
    }

    #[test]
    fn what_switches_protection_off_ends_after_an_hour_unless_it_says_so_and_a_day_at_most() {
        let now = clock::now();
        for mode in [Mode::Disabled, Mode::ForcedClosed] {
            let left = |ttl| Order::new(wish(mode, ttl), now).map(|order| order.left(now));
            assert_eq!(left(None), Ok(Some(HOUR)));
            assert_eq!(left(Some(HOUR * 24)), Ok(Some(HOUR * 24)));
            let error = left(Some(HOUR * 24 + Duration::from_secs(1))).unwrap_err();
            let told = format!("`{}` may hold for 1d at most, not 86401s", mode.as_str());
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn what_protects_may_hold_until_it_is_lifted() {
        let now = clock::now();
        for mode in [Mode::Shadow, Mode::ForcedOpen] {
            let order = Order::new(wish(mode, None), now).unwrap();
            assert_eq!((order.left(now), order.is_over(now + HOUR * 100_000)), (None, false));
            assert!(Order::new(wish(mode, Some(HOUR * 48)), now).is_ok());
            assert!(Order::new(wish(mode, Some(Duration::MAX)), now).is_err());
        }
    }

    #[test]
    fn an_order_is_over_when_its_time_is() {
        let now = clock::now();
        let order = Order::new(wish(Mode::Disabled, Some(HOUR)), now).unwrap();
        let just_before = now + HOUR - Duration::from_nanos(1);
        assert!(!order.is_over(just_before) && order.is_over(now + HOUR));
        assert_eq!(order.left(now + HOUR * 2), Some(Duration::ZERO));
        assert_eq!(order.age(now + HOUR), HOUR);
    }

    #[test]
    fn what_is_no_order_is_told_in_words() {
        let now = clock::now();
        let long = "x".repeat(MAX_REASON + 1);
        let padded = format!(" {}", "x".repeat(MAX_REASON));
        let good = wish(Mode::ForcedOpen, None);
        for (wish, says) in [
            (Wish { reason: "", ..good }, "a reason is required"),
            (Wish { reason: " \t", ..good }, "a reason is required"),
            (Wish { reason: &long, ..good }, "the reason has at most 500 characters"),
            (Wish { reason: &padded, ..good }, "the reason has at most 500 characters"),
            (Wish { reason: "a\nb", ..good }, "the reason has a character that cannot be printed"),
            (Wish { reason: "a\u{202e}b", ..good }, "cannot be printed"),
            (Wish { by: Some(&long), ..good }, "the name of who orders has at most 100"),
            (Wish { by: Some("a\u{7}"), ..good }, "the name of who orders has a character"),
            (Wish { mode: Mode::Auto, ..good }, "`auto` is no order"),
            (Wish { ttl: Some(Duration::ZERO), ..good }, "must hold for some time"),
        ] {
            let error = Order::new(wish, now).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn who_does_not_sign_is_unknown_and_texts_are_trimmed() {
        let order = |by, reason| {
            Order::new(Wish { by, reason, ..wish(Mode::Shadow, None) }, clock::now()).unwrap()
        };
        for by in [None, Some(""), Some("  ")] {
            assert_eq!(&*order(by, "x").signature().by, "unknown");
        }
        let signature = order(Some(" ann "), " a migration\n").signature().clone();
        assert_eq!((&*signature.by, &*signature.reason), ("ann", "a migration"));
    }

    proptest! {
        #[test]
        fn an_order_that_exists_has_a_reason_and_fits_its_bounds(
            mode in 0_usize..5, reason: String, by: Option<String>, seconds in any::<Option<u32>>()
        ) {
            let ttl = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
            let (mode, now) = (Mode::ALL[mode], clock::now());
            let wish = Wish { mode, reason: &reason, by: by.as_deref(), ttl };
            let Ok(order) = Order::new(wish, now) else { return Ok(()) };
            let signature = order.signature();
            assert!((1..=MAX_REASON).contains(&signature.reason.chars().count()));
            assert!((1..=MAX_NAME).contains(&signature.by.chars().count()));
            let ends = order.left(now).is_some_and(|left| left <= HOUR * 24);
            assert!(ends || matches!(mode, Mode::Shadow | Mode::ForcedOpen));
        }
    }

    #[test]
    fn a_text_that_is_too_long_names_itself() {
        assert_eq!(
            OrderError::TooLong(Part::Name, 3).to_string(),
            "the name of who orders has at most 3 characters"
        );
    }
}
