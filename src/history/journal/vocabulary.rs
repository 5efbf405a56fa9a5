//! What the numbers in a segment's records stand for.
//!
//! The names of outcomes, reasons, verdicts and states come with the segment's header; sites and
//! texts as they are met. A name that this version does not know makes the record unreadable, or,
//! for a reason, leaves it without one: the outcome still tells the most.

use std::sync::Arc;

use super::{
    bytes::{Reader, Writer},
    codec::NO_REASON,
};
use crate::domain::{
    breaker::State,
    outcome::{Outcome, Reason, Verdict},
    task::CallSite,
};

/// See the module docs.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    outcomes: Vec<Option<Outcome>>,
    reasons: Vec<Option<Reason>>,
    verdicts: Vec<Option<Verdict>>,
    states: Vec<Option<State>>,
    sites: Numbered<CallSite>,
    texts: Numbered<str>,
}

/// Names by their numbers, of which a worker gives one after the other.
#[derive(Debug)]
struct Numbered<T: ?Sized>(Vec<Option<Arc<T>>>);

impl<T: ?Sized> Clone for Numbered<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Default for Numbered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized> Numbered<T> {
    /// A number beyond all that a configuration needs is damage, and is not learnt.
    fn learn(&mut self, number: u32, name: Arc<T>) -> Option<()> {
        let at = usize::try_from(number).ok().filter(|&at| at < MAX_NUMBER)?;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        *self.0.get_mut(at)? = Some(name);
        Some(())
    }

    fn get(&self, number: u32) -> Option<Arc<T>> {
        self.0.get(usize::try_from(number).ok()?)?.clone()
    }
}

/// Writes the names of this version.
pub(super) fn put_names(out: &mut Vec<u8>) {
    let mut out = Writer(out);
    let mut list = |names: &mut dyn ExactSizeIterator<Item = &'static str>| {
        out.u8(u8::try_from(names.len()).unwrap_or(u8::MAX));
        names.for_each(|name| out.text(name));
    };
    list(&mut Outcome::ALL.iter().map(|outcome| outcome.as_str()));
    list(&mut Reason::ALL.iter().map(|reason| reason.as_str()));
    list(&mut Verdict::ALL.iter().map(|verdict| verdict.as_str()));
    list(&mut State::ALL.iter().map(|state| state.as_str()));
}

impl Vocabulary {
    /// Reads the names of the version that wrote a segment.
    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        fn list<T>(
            from: &mut Reader<'_>,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Option<Vec<Option<T>>> {
            let count = from.u8()?;
            (0..count).map(|_| from.text().map(&parse)).collect()
        }
        Some(Self {
            outcomes: list(from, Outcome::parse)?,
            reasons: list(from, Reason::parse)?,
            verdicts: list(from, Verdict::parse)?,
            states: list(from, State::parse)?,
            ..Self::default()
        })
    }

    /// Learns a site from its record.
    pub(super) fn learn_site(&mut self, record: &[u8]) -> Option<()> {
        let mut from = Reader(record);
        let number = from.u32()?;
        let mut text = || from.text().map(Box::from);
        let site = CallSite {
            listener: text()?,
            route: text()?,
            upstream: text()?,
            domain: text()?,
            action: text()?,
            path: text()?,
        };
        self.sites.learn(number, Arc::new(site))
    }

    /// Learns a text from its record.
    pub(super) fn learn_text(&mut self, record: &[u8]) -> Option<()> {
        let mut from = Reader(record);
        let number = from.u32()?;
        self.texts.learn(number, from.text()?.into())
    }

    /// A site. One whose record is damaged takes no row with it.
    pub(super) fn site(&self, number: u32) -> Arc<CallSite> {
        self.sites.get(number).unwrap_or_else(|| {
            let unknown = || Box::from(UNREADABLE);
            Arc::new(CallSite {
                listener: unknown(),
                route: unknown(),
                upstream: unknown(),
                domain: unknown(),
                action: unknown(),
                path: unknown(),
            })
        })
    }

    /// A text, likewise.
    pub(super) fn text(&self, number: u32) -> Arc<str> {
        self.texts.get(number).unwrap_or_else(|| UNREADABLE.into())
    }

    pub(super) fn outcome(&self, number: u8) -> Option<Outcome> {
        self.outcomes.get(usize::from(number)).copied().flatten()
    }

    /// A reason, or none: both where there is none and where it is not known here.
    pub(super) fn reason(&self, number: u8) -> Option<Option<Reason>> {
        if number == NO_REASON {
            return Some(None);
        }
        self.reasons.get(usize::from(number)).copied()
    }

    pub(super) fn verdict(&self, number: u8) -> Option<Verdict> {
        self.verdicts.get(usize::from(number)).copied().flatten()
    }

    pub(super) fn state(&self, number: u8) -> Option<State> {
        self.states.get(usize::from(number)).copied().flatten()
    }
}

/// Numbers stay below this: a million names.
const MAX_NUMBER: usize = 1 << 20;

/// What stands for a name whose record is damaged.
const UNREADABLE: &str = "unreadable";

/// Writes a site and its number.
pub(super) fn put_site(out: &mut Vec<u8>, number: u32, site: &CallSite) {
    let mut out = Writer(out);
    out.u32(number);
    for text in
        [&site.listener, &site.route, &site.upstream, &site.domain, &site.action, &site.path]
    {
        out.text(text);
    }
}

/// Writes a text and its number.
pub(super) fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    let mut out = Writer(out);
    out.u32(number);
    out.text(text);
}
