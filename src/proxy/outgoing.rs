//! The request as the upstream gets it.

use http::{
    HeaderValue, Request, Uri, Version, header,
    uri::{Parts, PathAndQuery},
};

use super::{
    connection::Connection,
    exchange::Exchange,
    fields::Present,
    headers::{self, TRACESTATE},
    message::Ask,
    own,
    received::Received,
    routes::Route,
    twins,
    upgrade::Upgrade,
    upload::{Bounds, RequestBody},
};

/// What is to be done with a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// What its fields are.
    pub(super) present: Present,
    pub(super) route: &'a Route,
    /// How much of its path goes.
    pub(super) prefix: usize,
    /// How much of its body is kept for another attempt, in bytes.
    pub(super) kept: usize,
    /// What it asks the connection to become.
    pub(super) upgrade: Option<&'a Upgrade>,
    /// The route has rules about the ids of calls.
    pub(super) has_ids: bool,
}

/// The request as the upstream sees it, but for what Fusebox says of itself (see [`own`]), and the
/// time that is left.
pub(super) fn outgoing(
    request: Ask<Received>,
    wish: Wish<'_>,
    exchange: &Exchange,
    connection: &Connection,
) -> Ask<RequestBody> {
    let Wish { present, route, prefix, kept, upgrade, has_ids } = wish;
    let rules = connection.terms.rules();
    let bounds = Bounds {
        idle: route.upstream.timeouts.body_idle,
        bytes: rules.limits.body_bytes.unwrap_or(u64::MAX),
        kept,
    };
    let Ask { mut head, body } = request;
    let version = head.version();
    if version == Version::HTTP_2 {
        from_http2(&mut head);
    }
    let headers = head.headers_mut();
    headers::strip_hop_by_hop(headers, present);
    if present.twin {
        twins::strip(headers);
    }
    if let Some(upgrade) = upgrade {
        upgrade.put(headers);
    } else if present.te_trailers {
        headers.insert(header::CONNECTION, HeaderValue::from_static("TE"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let held = present.expect && headers.remove(header::EXPECT).is_some();
    exchange.upload().is_on_hold.set(held);
    headers::add_via(headers, version);
    let (mode, port) = (rules.forwarded, connection.terms.local_port);
    headers::forward(headers, mode, connection.peer, port, connection.terms.scheme());
    if present.ids {
        own::remove_ids(headers);
    }
    if has_ids {
        exchange.ids().put(headers);
    }
    if present.tracestate && exchange.trace().is_new {
        headers.remove(TRACESTATE);
    }
    twins::strip_by(headers, &route.request_headers);
    headers::apply(headers, &route.request_headers);
    retarget(head.uri_mut(), prefix);
    *head.version_mut() = Version::HTTP_11;
    let body = RequestBody::new(body, exchange.upload(), bounds, exchange.started());
    Ask { head, body }
}

/// A head of HTTP/2 as HTTP/1.1 has it: the host in its field, the cookies in one (RFC 9113 §8.2.3).
fn from_http2(head: &mut Request<()>) {
    let host = head.uri().authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok());
    let headers = head.headers_mut();
    host.map(|host| headers.insert(header::HOST, host));
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(|c| c.as_bytes()).collect();
    if crumbs.len() > 1
        && let Ok(cookies) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookies);
    }
}

/// Makes the target one in origin form: path and query as received, less the prefix. Nothing of the
/// authority that the caller named is left in it.
fn retarget(uri: &mut Uri, prefix: usize) {
    let origin_form = uri.scheme().is_none();
    if prefix == 0 && origin_form {
        return;
    }
    let received = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = received.get(prefix..).unwrap_or("/");
    let rest = match rest.as_bytes().first() {
        Some(b'/' | b'*') => PathAndQuery::try_from(rest),
        _ => PathAndQuery::try_from(format!("/{rest}")),
    };
    let mut parts = Parts::default();
    parts.path_and_query = rest.ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::retarget;
    use http::Uri;

    #[test]
    fn the_target_keeps_its_bytes_and_loses_prefix_and_authority() {
        for (received, prefix, expected) in [
            ("/music/a%2Fb?x=1", 6, "/a%2Fb?x=1"),
            ("/music", 6, "/"),
            ("/music?x=1", 6, "/?x=1"),
            ("/a", 0, "/a"),
            ("http://evil:1/a?b", 0, "/a?b"),
            ("http://evil:1", 0, "/"),
            ("*", 0, "*"),
        ] {
            let mut sent = received.parse::<Uri>().unwrap();
            retarget(&mut sent, prefix);
            assert_eq!(sent.to_string(), expected, "{received}");
            assert_eq!(sent.authority(), None);
        }
    }
}
