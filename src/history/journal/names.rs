//! The numbers that a worker gives to sites and texts, so that each stands once in a segment.
//!
//! Found by their address, which costs less than their words and is theirs as long as they are held
//! here; at a new address, by their words. What nobody else holds any more, as after a change of
//! configuration, is forgotten when a segment is full.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::Arc,
};

use super::codec::Refer;
use crate::domain::task::CallSite;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: u32,
    sites: Numbers<CallSite>,
    texts: Numbers<str>,
    /// What has a number and is not in the segment yet.
    pub(super) news: Vec<New>,
}

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
        let sites = self.sites.all().into_iter().map(|(number, site)| New::Site(number, site));
        let texts = self.texts.all().into_iter().map(|(number, text)| New::Text(number, text));
        sites.chain(texts).collect()
    }
}

impl Refer for Names {
    fn site(&mut self, site: &Arc<CallSite>) -> u32 {
        let (number, is_new) = self.sites.number(site, &mut self.last);
        if is_new {
            self.news.push(New::Site(number, Arc::clone(site)));
        }
        number
    }

    fn text(&mut self, text: &Arc<str>) -> u32 {
        let (number, is_new) = self.texts.number(text, &mut self.last);
        if is_new {
            self.news.push(New::Text(number, Arc::clone(text)));
        }
        number
    }
}

/// The numbers of one kind of name.
#[derive(Debug)]
struct Numbers<T: ?Sized> {
    /// Each address is that of what is held beside its number.
    by_address: HashMap<usize, (u32, Arc<T>), BuildHasherDefault<ByAddress>>,
    by_words: HashMap<Arc<T>, u32>,
}

impl<T: ?Sized> Default for Numbers<T> {
    fn default() -> Self {
        Self { by_address: HashMap::default(), by_words: HashMap::new() }
    }
}

impl<T: ?Sized + Eq + Hash> Numbers<T> {
    /// The number of a name, and whether it was given just now.
    fn number(&mut self, name: &Arc<T>, last: &mut u32) -> (u32, bool) {
        let address = Arc::as_ptr(name).addr();
        if let Some((number, _)) = self.by_address.get(&address) {
            return (*number, false);
        }
        let before = *last;
        let number = *self.by_words.entry(Arc::clone(name)).or_insert_with(|| {
            *last += 1;
            *last
        });
        if self.by_address.len() < MAX_ADDRESSES {
            self.by_address.insert(address, (number, Arc::clone(name)));
        }
        (number, *last > before)
    }

    /// Forgets what is held by nobody else, and returns the rest.
    fn all(&mut self) -> Vec<(u32, Arc<T>)> {
        let Self { by_address, by_words } = self;
        // Held here by its address, and by its words if it was the first with these.
        by_address.retain(|_, (_, name)| {
            let is_first =
                by_words.get_key_value(name).is_some_and(|(first, _)| Arc::ptr_eq(first, name));
            Arc::strong_count(name) > 1 + usize::from(is_first)
        });
        let in_use: HashSet<u32> = by_address.values().map(|(number, _)| *number).collect();
        by_words.retain(|name, number| Arc::strong_count(name) > 1 || in_use.contains(number));
        self.by_words.iter().map(|(name, number)| (*number, Arc::clone(name))).collect()
    }
}

/// Addresses that are remembered. A name has one, unless its owner makes it again and again.
const MAX_ADDRESSES: usize = 1 << 14;

/// Spreads addresses: one multiplication, for they are distinct already and nobody chooses them.
#[derive(Debug, Default)]
struct ByAddress(u64);

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Numbers;

    #[test]
    fn a_name_is_remembered_as_long_as_anybody_has_its_words() {
        let (mut names, mut last) = (Numbers::<str>::default(), 0);
        let (first, second): (Arc<str>, Arc<str>) = ("payments:80".into(), "payments:80".into());
        assert_eq!(names.number(&first, &mut last), (1, true));
        assert_eq!(names.number(&second, &mut last), (1, false));
        drop(first);
        assert_eq!(names.all(), [(1, Arc::clone(&second))]);
        assert_eq!(names.number(&second, &mut last), (1, false));
        drop(second);
        assert_eq!(names.all(), []);
    }
}
