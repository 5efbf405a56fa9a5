//! Routes: which calls they take, where those go, and what they mean.

use std::{sync::Arc, time::Duration};

use super::{
    Upstreams, breaker, fallback, header_rules,
    task::{self, Task},
};
use crate::{
    config::{
        HeaderRules, Route, RouteBreaker, key::Key, keys, mapping::Mapping, path::shown, text::Name,
    },
    domain::{learn::contrast::Goal, route::Match},
};

/// The one route of a listener that has an upstream in place of routes.
pub(super) fn to_upstream(listener: &Mapping<'_>, upstreams: &Upstreams<'_>) -> Option<Route> {
    let upstream = upstream(listener, &keys::LISTENER_UPSTREAM, upstreams)?;
    let matches = Match { path_prefix: "/".to_owned(), ..Match::default() };
    let name = name_of(&matches);
    Some(Route {
        matches,
        domain: upstream.0.clone(),
        action: name.clone(),
        name,
        upstream: Arc::from(upstream.0),
        strip_prefix: false,
        preserve_host: false,
        request_headers: HeaderRules::default(),
        response_headers: HeaderRules::default(),
        breaker: None,
        fallback: None,
        actions: None,
        plan: None,
        goal: Goal::Success,
        advice_header: false,
    })
}

/// Reads the routes of a listener, of which no two may have the same name or take the same calls.
pub(super) fn read_all(mappings: &[Mapping<'_>], upstreams: &Upstreams<'_>) -> Vec<Route> {
    let mut routes: Vec<(Route, Option<usize>)> = Vec::new();
    for mapping in mappings {
        let before = mapping.problems();
        let matches = read_match(&mapping.mapping(&keys::MATCH));
        let is_match_good = mapping.problems() == before;
        let Some(route) = read(mapping, matches, upstreams) else { continue };
        if is_match_good {
            note_double(mapping, &route, &routes);
        }
        routes.push((route, mapping.line()));
    }
    routes.into_iter().map(|(route, _)| route).collect()
}

/// Notes that an earlier route takes the same calls or has the same name.
fn note_double(mapping: &Mapping<'_>, route: &Route, earlier: &[(Route, Option<usize>)]) {
    let on_line = |line: &Option<usize>| line.map_or_else(String::new, |l| format!(" on line {l}"));
    if let Some((other, line)) =
        earlier.iter().find(|(other, _)| overlap(&other.matches, &route.matches))
    {
        let message =
            format!("takes the same calls as the route `{}`{}", other.name, on_line(line));
        mapping.error(&keys::MATCH, &message);
    } else if let Some((_, line)) = earlier.iter().find(|(other, _)| other.name == route.name) {
        let message = format!("the route{} has this name already", on_line(line));
        mapping.error(&keys::ROUTE_NAME, &message);
    }
}

/// Reads one route. None when its upstream is missing or wrong.
fn read(route: &Mapping<'_>, matches: Match, upstreams: &Upstreams<'_>) -> Option<Route> {
    let name = route.optional(&keys::ROUTE_NAME).map(|name| name.0);
    let name = name.unwrap_or_else(|| name_of(&matches));
    let strip_prefix = route.get(&keys::STRIP_PREFIX);
    if strip_prefix && matches.path_prefix == "/" {
        route.warning(&keys::STRIP_PREFIX, "without a `path_prefix` there is nothing to strip");
    }
    let preserve_host = route.get(&keys::PRESERVE_HOST);
    let request = route.mapping(&keys::REQUEST_HEADERS);
    let mut request_headers =
        header_rules::read(&request, &keys::REQUEST_HEADERS_SET, &keys::REQUEST_HEADERS_REMOVE);
    let response = route.mapping(&keys::RESPONSE_HEADERS);
    let response_headers =
        header_rules::read(&response, &keys::RESPONSE_HEADERS_SET, &keys::RESPONSE_HEADERS_REMOVE);
    let Task { domain, action, actions, plan, goal, advice_header } =
        task::read(&route.mapping(&keys::TASK), &matches.path_prefix);
    if plan.as_ref().is_some_and(|plan| plan.meter.is_some()) {
        header_rules::ask_for_plain(&mut request_headers);
    }
    let upstream = upstream(route, &keys::ROUTE_UPSTREAM, upstreams);
    let own = upstream.as_ref().map(|name| name.0.as_str());
    let fallback = route.optional_mapping(&keys::FALLBACK);
    let fallback = fallback.and_then(|fallback| fallback::read(&fallback, own, upstreams));
    let own_breaker = route.optional_mapping(&keys::ROUTE_BREAKER);
    let breaker =
        own_breaker.and_then(|breaker| read_breaker(route, &breaker, &name, own, upstreams));
    let upstream = upstream?;
    Some(Route {
        domain: domain.unwrap_or_else(|| upstream.0.clone()),
        action: action.unwrap_or_else(|| name.clone()),
        name,
        matches,
        upstream: Arc::from(upstream.0),
        strip_prefix,
        preserve_host,
        request_headers,
        response_headers,
        breaker,
        fallback,
        actions,
        plan,
        goal,
        advice_header,
    })
}

/// Reads the circuit of a route, of which no two may have the same name or key. None when its
/// upstream is missing or wrong.
fn read_breaker(
    route: &Mapping<'_>,
    breaker: &Mapping<'_>,
    name: &str,
    upstream: Option<&str>,
    upstreams: &Upstreams<'_>,
) -> Option<RouteBreaker> {
    // One that is missing among those is noted where it is wrong.
    let read = upstream.and_then(|upstream| upstreams.read.get(upstream));
    let total = read.map_or_else(Duration::default, |upstream| upstream.timeouts.total);
    let policy = breaker::read(breaker, total);
    let (key, upstream) = (breaker.optional(&keys::BREAKER_KEY).map(|key| key.0), upstream?);
    let route_name = name.trim_start_matches('/');
    let circuit: Arc<str> = format!("{upstream}/{route_name}").into();
    let mut circuits = upstreams.circuits.borrow_mut();
    if !circuits.of_routes.insert(Arc::clone(&circuit)) {
        let message = format!(
            "another route has a circuit of this name, `{}`; give one of them another `name`",
            shown(&circuit)
        );
        route.error(&keys::ROUTE_BREAKER, &message);
    }
    let of_upstream = read.map_or(upstream, |upstream| &upstream.breaker_key);
    let key = key.unwrap_or_else(|| format!("{of_upstream}/{route_name}"));
    let other = circuits.keys.insert(key.clone(), circuit.to_string());
    if let Some(other) = other.filter(|other| **other != *circuit) {
        let message = format!("the circuit `{}` has this key already", shown(&other));
        breaker.error(&keys::BREAKER_KEY, &message);
    }
    Some(RouteBreaker { name: circuit, key, policy })
}

fn upstream(mapping: &Mapping<'_>, key: &Key<Name>, upstreams: &Upstreams<'_>) -> Option<Name> {
    let name = mapping.required(key)?;
    if let Err(hint) = upstreams.refer(&name.0) {
        mapping.error(key, &format!("there is no upstream of this name{hint}"));
        return None;
    }
    Some(name)
}

fn read_match(matches: &Mapping<'_>) -> Match {
    Match {
        host: matches.optional(&keys::MATCH_HOST).map(|host| host.0),
        path_prefix: matches.get(&keys::MATCH_PATH_PREFIX).0,
        methods: matches.distinct(&keys::MATCH_METHODS),
    }
}

/// The name of a route that has none: `payments.internal`, `/music/beats:POST`, `all`.
fn name_of(matches: &Match) -> String {
    let host = matches.host.as_deref().unwrap_or_default();
    let mut name = format!("{host}{}", matches.path_prefix.trim_end_matches('/'));
    if name.is_empty() {
        name.push_str("all");
    }
    for (index, method) in matches.methods.iter().enumerate() {
        name.push(if index == 0 { ':' } else { '+' });
        name.push_str(method.as_str());
    }
    name
}

/// Whether a call can fit both equally well. A route with methods goes before one without.
fn overlap(a: &Match, b: &Match) -> bool {
    let same_methods = (a.methods.is_empty() && b.methods.is_empty())
        || a.methods.iter().any(|method| b.methods.contains(method));
    let prefix = |path: &str| path.trim_end_matches('/').len();
    let (a_prefix, b_prefix) = (&a.path_prefix, &b.path_prefix);
    let same_prefix = a_prefix[..prefix(a_prefix)] == b_prefix[..prefix(b_prefix)];
    a.host == b.host && same_prefix && same_methods
}
