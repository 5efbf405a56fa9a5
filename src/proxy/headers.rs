//! Headers on their way through: what belongs to one hop is removed, then ours are added.
//!
//! The order matters: were ours added first, a caller could name them in `Connection` and have them
//! removed again.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use super::fields::Present;
use crate::config::{Credentials, Forwarded, HeaderRules};

/// The id that ties the calls of one action together.
pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The task's id on the response; the causing task's id on a request.
pub(super) const TASK_ID: HeaderName = HeaderName::from_static("x-task-id");
/// What is recommended for such a task, on the response.
pub(super) const TASK_ADVICE: HeaderName = HeaderName::from_static("x-task-advice");
/// W3C Trace Context.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Belongs to `traceparent`.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// RFC 9209.
pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// How many of them there are.
const HOPS: usize = 8;
/// Headers that are about one connection (RFC 9110 §7.6.1) and end here.
pub(super) static HOP_BY_HOP: [HeaderName; HOPS] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    HTTP2_SETTINGS,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How Fusebox calls itself in `Via`.
const VIA_NAME: &str = "fusebox";
const VIA: HeaderValue = HeaderValue::from_static("1.1 fusebox");
const VIA_HTTP2: HeaderValue = HeaderValue::from_static("2 fusebox");
/// A call passes a sidecar when it leaves a service and one when it enters the next; a chain deeper
/// than this is a loop.
const MAX_PASSES: usize = 16;

/// The most entries of an `X-Forwarded-For` that this hop adds itself to, its own included.
const MAX_FORWARDED: usize = 10;
/// The longest such value, in bytes.
const MAX_FORWARDED_BYTES: usize = 1 << 10;

/// Removes what belongs to one hop, and everything that `Connection` names.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap, present: Present) {
    if present.nominations {
        for name in nominated(headers) {
            headers.remove(name);
        }
    }
    if present.connection {
        headers.remove(header::CONNECTION);
    }
    if present.hop_by_hop {
        let mut found = [false; HOPS];
        for name in headers.keys() {
            if let Some(at) = HOP_BY_HOP.iter().position(|hop| hop == name) {
                found[at] = true;
            }
        }
        for (name, _) in HOP_BY_HOP.iter().zip(found).filter(|(_, found)| *found) {
            headers.remove(name);
        }
    }
}

/// Removes from trailers what decides about the message, its route or its caller (RFC 9110 §6.5.1):
/// whoever merges them into the head must not be led astray.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    const HEADS_ONLY: [HeaderName; 20] = [
        X_FORWARDED_FOR,
        X_FORWARDED_PROTO,
        X_FORWARDED_HOST,
        X_FORWARDED_PORT,
        header::FORWARDED,
        header::MAX_FORWARDS,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::EXPECT,
        header::HOST,
        header::RANGE,
        header::SET_COOKIE,
        header::TRAILER,
        header::WWW_AUTHENTICATE,
    ];
    for name in HEADS_ONLY.iter().chain(&HOP_BY_HOP) {
        trailers.remove(name);
    }
}

/// Whether `Connection` names a header that must not be removed from the message.
pub(super) fn nominates_framing(headers: &HeaderMap) -> bool {
    const KEPT: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    nominated(headers).iter().any(|name| KEPT.contains(name))
}

/// The headers that `Connection` names, besides its own two words.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let names = tokens.map(<[u8]>::trim_ascii).filter(|token| !is_connection_word(token));
    names.filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// Whether this is one of the two words of `Connection` that name no header.
pub(super) fn is_connection_word(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close")
}

/// Whether a list of tokens has this one. What follows a semicolon is about the token.
pub(super) fn has_token(list: &[u8], token: &[u8]) -> bool {
    let tokens = list.split(|&byte| byte == b',');
    let names = tokens.filter_map(|entry| entry.split(|&byte| byte == b';').next());
    names.map(<[u8]>::trim_ascii).any(|name| name.eq_ignore_ascii_case(token))
}

/// Whether the call has come through here too often.
pub(super) fn is_loop(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    let entries = values.flat_map(|value| value.split(','));
    let own = |entry: &&str| entry.split_ascii_whitespace().nth(1) == Some(VIA_NAME);
    entries.filter(own).count() >= MAX_PASSES
}

/// Adds this hop to `Via` (RFC 9110 §7.6.3), with the version in which the message came.
pub(super) fn add_via(headers: &mut HeaderMap, version: Version) {
    headers.append(header::VIA, if version == Version::HTTP_2 { VIA_HTTP2 } else { VIA });
}

/// Sets `X-Forwarded-*` by the listener's rule. The Host is the caller's still.
pub(super) fn forward(
    headers: &mut HeaderMap,
    mode: Forwarded,
    peer: Option<SocketAddr>,
    local_port: Option<u16>,
    scheme: &'static str,
) {
    if mode == Forwarded::Off {
        return;
    }
    let mut chain = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_string());
    if mode == Forwarded::Append {
        chain = appended(headers, &chain);
    }
    if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(X_FORWARDED_FOR, chain);
    }
    let keep = mode == Forwarded::Append;
    let host = headers.get(header::HOST).cloned();
    let mut set = |name: HeaderName, value: HeaderValue| {
        if !(keep && headers.contains_key(&name)) {
            headers.insert(name, value);
        }
    };
    set(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some(host) = host {
        set(X_FORWARDED_HOST, host);
    }
    match local_port {
        Some(port) => set(X_FORWARDED_PORT, HeaderValue::from(port)),
        None if keep => {}
        // A Unix socket has no port, and the caller's word is not taken for one.
        None => drop(headers.remove(&X_FORWARDED_PORT)),
    }
    if !keep {
        headers.remove(header::FORWARDED);
    }
}

/// The received `X-Forwarded-For` with the peer behind it. Where that is too long the first entries
/// go: whoever is nearest said the last ones, and anybody can put others before them.
fn appended(headers: &HeaderMap, peer: &str) -> String {
    let received = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let entries = received.flat_map(|value| value.split(',')).map(str::trim);
    let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).chain([peer]).collect();
    let mut length = 0;
    let fits = |entry: &&&str| {
        length += entry.len() + ", ".len();
        length - ", ".len() <= MAX_FORWARDED_BYTES
    };
    let kept = entries.iter().rev().take(MAX_FORWARDED).take_while(fits).count();
    entries[entries.len() - kept..].join(", ")
}

/// Puts the key of a provider in place of whatever the caller sends to say who it is.
pub(super) fn identify(headers: &mut HeaderMap, credentials: &Credentials) {
    const KEYS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    for name in KEYS {
        headers.remove(name);
    }
    headers.insert(credentials.header.clone(), credentials.value.clone());
}

/// Applies configured rules: removes, then sets.
pub(super) fn apply(headers: &mut HeaderMap, rules: &HeaderRules) {
    for name in &rules.remove {
        headers.remove(name);
    }
    for (name, value) in &rules.set {
        headers.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::{HOP_BY_HOP, add_via, forward, is_loop, strip_hop_by_hop};
    use crate::{config::Forwarded, proxy::fields::Fields};
    use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        headers.iter().map(pair).collect()
    }

    #[test]
    fn what_connection_names_goes_with_it_whatever_the_case_and_line() {
        let mut headers = map(&[
            ("connection", ", close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("x-kept", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
        ]);
        let present = Fields::of(&headers).present;
        strip_hop_by_hop(&mut headers, present);
        assert_eq!(headers, map(&[("x-kept", "3")]));
    }

    #[test]
    fn every_header_that_belongs_to_one_hop_is_noticed_and_goes() {
        for name in HOP_BY_HOP.iter().chain([&header::CONNECTION]) {
            let mut headers = map(&[(name.as_str(), "close"), ("x-kept", "3")]);
            let present = Fields::of(&headers).present;
            strip_hop_by_hop(&mut headers, present);
            assert_eq!(headers, map(&[("x-kept", "3")]), "{name}");
        }
    }

    #[test]
    fn via_grows_by_one_and_a_loop_is_seen() {
        let mut headers = map(&[("via", "1.0 fred, 1.1 fusebox")]);
        add_via(&mut headers, Version::HTTP_2);
        assert_eq!(headers.get_all("via").iter().count(), 2);
        assert!(!is_loop(&headers));
        (0..16).for_each(|_| add_via(&mut headers, Version::HTTP_11));
        assert!(is_loop(&headers));
    }

    #[test]
    fn forwarded_headers_follow_the_listeners_rule() {
        let received = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")];
        let host = HeaderValue::from_static("shop.example");
        let seen = |mode| {
            let mut headers = map(&received);
            let peer = "10.0.0.9:55".parse().ok();
            headers.insert(header::HOST, host.clone());
            forward(&mut headers, mode, peer, Some(8080), "http");
            let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
            (
                text("x-forwarded-for").unwrap(),
                text("x-forwarded-proto").unwrap(),
                text("x-forwarded-host"),
            )
        };
        let shop = Some("shop.example".to_owned());
        assert_eq!(seen(Forwarded::Off), ("1.2.3.4".into(), "https".into(), None));
        assert_eq!(seen(Forwarded::Replace), ("10.0.0.9".into(), "http".into(), shop.clone()));
        assert_eq!(seen(Forwarded::Append), ("1.2.3.4, 10.0.0.9".into(), "https".into(), shop));
    }

    #[test]
    fn of_a_chain_that_is_too_long_the_nearest_entries_are_kept() {
        let appended = |received: &[&str]| {
            let fields: Vec<_> = received.iter().map(|value| ("x-forwarded-for", *value)).collect();
            super::appended(&map(&fields), "10.0.0.9")
        };
        assert_eq!(appended(&[]), "10.0.0.9");
        assert_eq!(appended(&["a,b", " , c"]), "a, b, c, 10.0.0.9");
        let hops: Vec<String> = (0..12).map(|hop| format!("10.1.1.{hop}")).collect();
        let last = format!("{}, 10.0.0.9", hops[3..].join(", "));
        assert_eq!(appended(&[&hops.join(",")]), last);
        let rest = "x".repeat(1024 - "b, , 10.0.0.9".len());
        let full = format!("b, {rest}, 10.0.0.9");
        assert_eq!(full.len(), 1024);
        assert_eq!(appended(&["a, b", &rest]), full);
        assert_eq!(appended(&["a", &format!("bb, {rest}")]), full[3..]);
        assert_eq!(appended(&["a", &"x".repeat(2_000)]), "10.0.0.9");
    }
}
