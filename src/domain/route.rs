//! Which route takes a call: host before longest path prefix before method.
//!
//! Prefixes match whole segments: `/music` takes `/music` and `/music/x`, never `/musical`. The
//! table is built once per listener and never changes while a call uses it.

mod index;

use std::borrow::Cow;

use http::Method;

use index::Index;

/// What a call must look like for a route to take it. Empty means anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// The host without its port, lower case.
    pub host: Option<String>,
    /// Begins with `/`; a trailing slash says nothing.
    pub path_prefix: String,
    /// The methods; empty for all of them.
    pub methods: Vec<Method>,
}

impl Match {
    /// The prefix without its trailing slashes: `/` is the empty prefix.
    fn prefix(&self) -> &str {
        self.path_prefix.trim_end_matches('/')
    }

    fn takes_path(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.prefix());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn takes_host(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(host))
    }

    fn takes_method(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }
}

/// Tables with more routes are indexed; up to here, trying them in turn is faster.
const FEW: usize = 8;

/// Routes in the order in which they are tried, each with what it leads to.
#[derive(Debug, Clone)]
pub struct Table<T> {
    routes: Vec<(Match, T)>,
    /// None for a few routes.
    index: Option<Index>,
}

/// What the table says about a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a, T> {
    /// This route takes it; the prefix that `strip_prefix` would remove comes with it.
    Route(&'a T, &'a str),
    /// A route takes the host and the path, but none with this method. Holds what is allowed.
    MethodNotAllowed(Vec<Method>),
    /// Nothing matches.
    Nothing,
}

impl<T> Table<T> {
    /// Orders the routes: with a host first, then the longer prefix, then those with methods, then
    /// as written.
    pub fn new(mut routes: Vec<(Match, T)>) -> Self {
        for (rule, _) in &mut routes {
            rule.path_prefix = normal(&rule.path_prefix).into_owned();
        }
        routes.sort_by_cached_key(|(rule, _)| {
            let length = usize::MAX - rule.prefix().len();
            let (host, prefix) = (rule.host.clone(), rule.prefix().to_owned());
            (rule.host.is_none(), length, host, prefix, rule.methods.is_empty())
        });
        let is_large = routes.len() > FEW;
        let index = is_large.then(|| Index::of(routes.iter().map(|(rule, _)| rule)));
        Self { routes, index }
    }

    /// The route for a call. `host` is without its port, `path` is [`normal`].
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Found<'_, T> {
        let place = match &self.index {
            Some(index) => index.find(host, path),
            None => self.first(host, path).map(|at| at..self.routes.len()),
        };
        let Some(place) = place else { return Found::Nothing };
        let mut allowed: Option<(&Match, Vec<Method>)> = None;
        for (rule, target) in &self.routes[place] {
            // A wrong method at a more specific place must not fall through to a less specific one.
            let same_place =
                |first: &Match| first.host == rule.host && first.prefix() == rule.prefix();
            match &mut allowed {
                Some((first, methods)) if same_place(first) => {
                    if rule.takes_method(method) {
                        return Found::Route(target, rule.prefix());
                    }
                    methods.extend(rule.methods.iter().cloned());
                }
                Some(_) => break,
                None if rule.takes_method(method) => return Found::Route(target, rule.prefix()),
                None => allowed = Some((rule, rule.methods.clone())),
            }
        }
        allowed.map_or(Found::Nothing, |(_, methods)| Found::MethodNotAllowed(methods))
    }

    /// The first route that takes a host and a path, found by asking each.
    fn first(&self, host: &str, path: &str) -> Option<usize> {
        self.routes.iter().position(|(rule, _)| rule.takes_host(host) && rule.takes_path(path))
    }

    /// The routes in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &(Match, T)> {
        self.routes.iter()
    }
}

/// A path as routes compare it: characters that need no percent-encoding are without it (RFC 3986
/// §6.2.2.2), so that `/%6dusic` is no way around `/music`. Slashes stay as they are.
pub fn normal(path: &str) -> Cow<'_, str> {
    let mut rest = path;
    let mut text = String::new();
    while let Some(at) = rest.find('%') {
        let (before, encoded) = rest.split_at(at);
        let byte = encoded.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let plain = byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
        text.push_str(before);
        text.push(plain.map_or('%', char::from));
        rest = &encoded[if plain.is_some() { 3 } else { 1 }..];
    }
    if text.is_empty() { Cow::Borrowed(path) } else { Cow::Owned(text + rest) }
}

/// How much of a path as received is the prefix that its normal form has: as many segments.
pub fn prefix_length(received: &str, prefix: &str) -> usize {
    let segments = prefix.matches('/').count();
    received.match_indices('/').nth(segments).map_or(received.len(), |(at, _)| at)
}

/// The host of an authority: without its port, brackets of IPv6 kept.
pub fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Index, Match, Table, host_of, normal, prefix_length};
    use http::Method;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn rule(host: &str, path_prefix: &str, methods: &[Method]) -> Match {
        let host = (!host.is_empty()).then(|| host.to_owned());
        Match { host, path_prefix: path_prefix.to_owned(), methods: methods.to_vec() }
    }

    fn table() -> Table<&'static str> {
        Table::new(vec![
            (rule("", "/", &[]), "all"),
            (rule("", "/music", &[]), "music"),
            (rule("", "/music/beats/", &[Method::POST]), "beats"),
            (rule("", "/music/beats", &[Method::PUT]), "beats-put"),
            (rule("payments.internal", "/", &[]), "payments"),
        ])
    }

    #[test]
    fn host_comes_before_the_longest_prefix_of_whole_segments() {
        let table = table();
        for (host, path, expected) in [
            ("payments.internal", "/music/x", "payments"),
            ("PAYMENTS.internal", "/", "payments"),
            ("other", "/music", "music"),
            ("other", "/music/", "music"),
            ("other", "/musical", "all"),
            ("other", "/music/beats", "beats"),
            ("other", "/", "all"),
        ] {
            let Found::Route(name, _) = table.find(host, path, &Method::POST) else {
                panic!("{path}")
            };
            assert_eq!(*name, expected, "{host}{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_apart_from_an_unknown_path() {
        let table = table();
        let found = table.find("other", "/music/beats/1", &Method::GET);
        assert_eq!(found, Found::MethodNotAllowed(vec![Method::POST, Method::PUT]));
        let hosts_only = Table::new(vec![(rule("a", "/", &[]), ())]);
        assert_eq!(hosts_only.find("b", "/", &Method::GET), Found::Nothing);
    }

    proptest! {
        #[test]
        fn an_index_finds_what_asking_each_route_finds(
            rules in proptest::collection::vec((0_usize..4, "(/[ab]{1,2}){0,3}/?", 0_usize..3), 0..24),
            calls in proptest::collection::vec((0_usize..5, "(/[ab]{1,2}){0,5}/?", 0_usize..3), 1..24),
        ) {
            const HOSTS: [&str; 5] = ["", "a.internal", "b.internal", "c", "B.Internal"];
            let methods = [vec![], vec![Method::GET], vec![Method::PUT, Method::POST]];
            let numbered = rules.iter().enumerate().map(|(number, (host, prefix, method))| {
                (rule(HOSTS[*host], &format!("{prefix}/"), &methods[*method]), number)
            });
            let mut table = Table::new(numbered.collect());
            for (host, path, method) in calls {
                let path = format!("/{}", path.trim_start_matches('/'));
                let method = [Method::GET, Method::POST, Method::DELETE][method].clone();
                table.index = Some(Index::of(table.routes.iter().map(|(rule, _)| rule)));
                let indexed = format!("{:?}", table.find(HOSTS[host], &path, &method));
                table.index = None;
                let asked = format!("{:?}", table.find(HOSTS[host], &path, &method));
                prop_assert_eq!(indexed, asked, "{} {}", HOSTS[host], path);
            }
        }
    }

    #[test]
    fn the_matched_prefix_is_given_without_its_slash() {
        let table = table();
        assert_eq!(table.find("x", "/music/a", &Method::GET), Found::Route(&"music", "/music"));
        assert_eq!(table.find("x", "/a", &Method::GET), Found::Route(&"all", ""));
    }

    #[test]
    fn a_path_is_compared_without_needless_encoding_and_stripped_as_received() {
        for (received, compared, rest) in [
            ("/music/a", "/music/a", "/a"),
            ("/%6Dusic/%7ea%2fb", "/music/~a%2fb", "/%7ea%2fb"),
            ("/m%75sic", "/music", ""),
            ("/music/%", "/music/%", "/%"),
            ("/music/%zz%e2%82%ac", "/music/%zz%e2%82%ac", "/%zz%e2%82%ac"),
        ] {
            assert_eq!(normal(received), compared);
            assert_eq!(&received[prefix_length(received, "/music")..], rest, "{received}");
        }
        assert_eq!(prefix_length("/a/b", ""), 0);
        let table = Table::new(vec![(rule("", "/%7eme", &[]), ())]);
        assert_eq!(table.find("a", "/~me/x", &Method::GET), Found::Route(&(), "/~me"));
    }

    #[test]
    fn the_host_of_an_authority_loses_its_port() {
        for (authority, host) in
            [("a.b:80", "a.b"), ("a.b", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(host_of(authority), host);
        }
    }
}
