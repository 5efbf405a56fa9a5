//! What can be set from outside: the seed, and how long the long forms are.

/// The seed of what happens: given, or new.
pub(crate) fn seed() -> u64 {
    number("FUSEBOX_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..))
}

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
