//! Attempts: the tries of one call, of which there is nearly always one.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::outcome::{Reason, Verdict};

/// One try at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The upstream, where it is another than the call's own: the one that stood in for it.
    pub instead: Option<Arc<str>>,
    /// The authority that was tried.
    pub endpoint: Arc<str>,
    /// What the breaker counted.
    pub verdict: Verdict,
    /// Why it did not succeed.
    pub reason: Option<Reason>,
    /// How long it took, up to the response head.
    pub duration_us: u64,
}

/// The attempts of a call, in order. A single one is kept in place: a list would be made for every
/// call on one thread and freed on another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts(Repr);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Repr {
    #[default]
    None,
    One([Attempt; 1]),
    Many(Vec<Attempt>),
}

impl Attempts {
    /// Adds the latest.
    pub fn push(&mut self, attempt: Attempt) {
        self.0 = match mem::take(&mut self.0) {
            Repr::None => Repr::One([attempt]),
            Repr::One([first]) => Repr::Many(vec![first, attempt]),
            Repr::Many(mut list) => {
                list.push(attempt);
                Repr::Many(list)
            }
        };
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        match &self.0 {
            Repr::None => &[],
            Repr::One(one) => one,
            Repr::Many(list) => list,
        }
    }
}

impl DerefMut for Attempts {
    fn deref_mut(&mut self) -> &mut [Attempt] {
        match &mut self.0 {
            Repr::None => &mut [],
            Repr::One(one) => one,
            Repr::Many(list) => list,
        }
    }
}

impl FromIterator<Attempt> for Attempts {
    fn from_iter<I: IntoIterator<Item = Attempt>>(attempts: I) -> Self {
        let mut collected = Self::default();
        attempts.into_iter().for_each(|attempt| collected.push(attempt));
        collected
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Attempts};
    use crate::domain::outcome::Verdict;

    #[test]
    fn attempts_keep_their_order_however_many_there_are() {
        let attempt = |duration_us| Attempt {
            instead: None,
            endpoint: "a:1".into(),
            verdict: Verdict::Success,
            reason: None,
            duration_us,
        };
        for count in 0..4 {
            let attempts: Attempts = (0..count).map(attempt).collect();
            assert_eq!(
                attempts.iter().map(|a| a.duration_us).collect::<Vec<_>>(),
                (0..count).collect::<Vec<_>>()
            );
        }
    }
}
