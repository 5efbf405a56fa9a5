//! The numbers that a worker gives to sites and texts, so that each stands once in a segment.
//!
//! Found by their address, which costs less than their words and is theirs as long as they are held
//! here. What nobody else holds any more, as after a change of configuration, is forgotten when a
//! segment is full.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use super::codec::Refer;
use crate::domain::task::CallSite;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: u32,
    sites: Numbered<CallSite>,
    texts: Numbered<str>,
    /// What has a number and is not in the segment yet.
    pub(super) news: Vec<New>,
}

type Numbered<T> = HashMap<usize, (u32, Arc<T>), BuildHasherDefault<ByAddress>>;

/// A number that was just given.
#[derive(Debug, Clone)]
pub(super) enum New {
    Site(u32, Arc<CallSite>),
    Text(u32, Arc<str>),
}

impl Names {
    /// Forgets what is held by nobody else, and returns the rest, for the next segment.
    pub(super) fn all(&mut self) -> Vec<New> {
        self.news.clear();
        self.sites.retain(|_, (_, site)| Arc::strong_count(site) > 1);
        self.texts.retain(|_, (_, text)| Arc::strong_count(text) > 1);
        let sites = self.sites.values().map(|(number, site)| New::Site(*number, Arc::clone(site)));
        let texts = self.texts.values().map(|(number, text)| New::Text(*number, Arc::clone(text)));
        sites.chain(texts).collect()
    }
}

impl Refer for Names {
    fn site(&mut self, site: &Arc<CallSite>) -> u32 {
        let (last, news) = (&mut self.last, &mut self.news);
        let known = self.sites.entry(Arc::as_ptr(site).addr()).or_insert_with(|| {
            *last += 1;
            news.push(New::Site(*last, Arc::clone(site)));
            (*last, Arc::clone(site))
        });
        known.0
    }

    fn text(&mut self, text: &Arc<str>) -> u32 {
        let (last, news) = (&mut self.last, &mut self.news);
        let known = self.texts.entry(Arc::as_ptr(text).addr()).or_insert_with(|| {
            *last += 1;
            news.push(New::Text(*last, Arc::clone(text)));
            (*last, Arc::clone(text))
        });
        known.0
    }
}

/// Spreads addresses: one multiplication, for they are distinct already and nobody chooses them.
#[derive(Debug, Default)]
pub(super) struct ByAddress(u64);

impl Hasher for ByAddress {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_usize(usize::from(byte)));
    }

    fn write_usize(&mut self, address: usize) {
        // 2^64 divided by the golden ratio, made odd (Knuth, TAOCP vol. 3, §6.4).
        let mixed = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
