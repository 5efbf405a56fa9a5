//! Where in a table the routes of a place are, a place being a host and a path prefix.
//!
//! A look-up takes as many steps as the longest prefix has segments, however many routes there are.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::Match;

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    hosts: HashMap<String, Places>,
    /// Those of routes without a host.
    anywhere: Places,
}

/// The places of one host, by prefix without trailing slash.
#[derive(Debug, Clone, Default)]
struct Places {
    prefixes: HashMap<String, Range<usize>>,
    /// The most segments of a prefix.
    depth: usize,
}

impl Index {
    /// Indexes routes in the order of a table, in which those of a place are neighbours.
    pub(super) fn of<'a>(rules: impl Iterator<Item = &'a Match>) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.enumerate() {
            let places = match &rule.host {
                Some(host) => index.hosts.entry(host.to_ascii_lowercase()).or_default(),
                None => &mut index.anywhere,
            };
            let prefix = rule.prefix();
            places.depth = places.depth.max(prefix.matches('/').count());
            places.prefixes.entry(prefix.to_owned()).or_insert(at..at).end = at + 1;
        }
        index
    }

    /// The routes of the most specific place that takes a host and a path.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<Range<usize>> {
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let of_host = self.hosts.get(&*host).and_then(|places| places.find(path));
        of_host.or_else(|| self.anywhere.find(path))
    }
}

impl Places {
    /// The routes of the longest prefix of a path.
    fn find(&self, path: &str) -> Option<Range<usize>> {
        let deepest = path.match_indices('/').nth(self.depth);
        let mut prefix = &path[..deepest.map_or(path.len(), |(at, _)| at)];
        loop {
            if let Some(routes) = self.prefixes.get(prefix) {
                return Some(routes.clone());
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }
}
