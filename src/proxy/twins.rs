//! Twins: names with `_` where a name of ours has `-`.
//!
//! What came after CGI knows a field as `HTTP_X_TASK_ID` and the like, and no longer tells with which
//! of the two it came. A caller could say so to the upstream what Fusebox alone has to say; hence
//! twins end here. All other names with `_` go through.

use http::{HeaderMap, HeaderName};

use crate::config::HeaderRules;

/// Names that Fusebox sets, frames or routes by, as far as they have a `-`.
const OURS: [&str; 17] = [
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
    "x-correlation-id",
    "x-request-id",
    "x-task-id",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "grpc-timeout",
    "x-envoy-expected-rq-timeout-ms",
];

/// The lengths that they have, a bit for each.
const LENGTHS: u64 = {
    let (mut lengths, mut at) = (0, 0);
    while at < OURS.len() {
        lengths |= 1 << OURS[at].len();
        at += 1;
    }
    lengths
};

/// The letters that they begin with, a bit for each.
const INITIALS: u32 = {
    let (mut initials, mut at) = (0, 0);
    while at < OURS.len() {
        initials |= 1 << (OURS[at].as_bytes()[0] - b'a');
        at += 1;
    }
    initials
};

/// Whether a name is the twin of one of ours. Costs a few instructions for nearly every other.
pub(super) fn is_twin(name: &str) -> bool {
    let initial = name.as_bytes().first().map_or(u8::MAX, |byte| byte.wrapping_sub(b'a'));
    name.len() < 64
        && LENGTHS >> name.len() & 1 == 1
        && initial < 26
        && INITIALS >> initial & 1 == 1
        && OURS.iter().any(|own| is_twin_of(own, name))
}

/// Removes the twins of our names.
pub(super) fn strip(headers: &mut HeaderMap) {
    remove(headers, is_twin);
}

/// Removes the twins of names that a route sets or removes.
pub(super) fn strip_by(headers: &mut HeaderMap, rules: &HeaderRules) {
    let set = rules.set.iter().map(|(name, _)| name);
    let ruled: Vec<&HeaderName> = set.chain(&rules.remove).collect();
    if !ruled.is_empty() {
        remove(headers, |name| ruled.iter().any(|own| is_twin_of(own.as_str(), name)));
    }
}

fn remove(headers: &mut HeaderMap, is_twin: impl Fn(&str) -> bool) {
    let twins: Vec<HeaderName> =
        headers.keys().filter(|name| is_twin(name.as_str())).cloned().collect();
    for name in twins {
        headers.remove(name);
    }
}

fn is_twin_of(own: &str, name: &str) -> bool {
    let folded = |byte| if byte == b'_' { b'-' } else { byte };
    own != name && name.contains('_') && own.bytes().map(folded).eq(name.bytes().map(folded))
}

#[cfg(test)]
mod tests {
    use super::{OURS, is_twin, strip, strip_by};
    use crate::config::HeaderRules;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn map(names: &[&str]) -> HeaderMap {
        let field = |name: &&str| (name.parse().unwrap(), HeaderValue::from_static("1"));
        names.iter().map(field).collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect()
    }

    #[test]
    fn every_name_of_ours_has_twins_and_is_none() {
        for own in OURS {
            assert!(!is_twin(own), "{own}");
            assert!(is_twin(&own.replace('-', "_")), "{own}");
            assert!(is_twin(&own.replacen('-', "_", 1)), "{own}");
        }
        for other in ["", "_", "x_custom", "x_request_ids", "user_agent", "x_tracking_id", "1_2"] {
            assert!(!is_twin(other), "{other}");
        }
    }

    #[test]
    fn twins_go_and_all_else_stays() {
        let mut headers = map(&["x_task-id", "x-task-id", "x_custom", "content_length"]);
        strip(&mut headers);
        assert_eq!(headers, map(&["x-task-id", "x_custom"]));
    }

    #[test]
    fn what_a_route_sets_or_removes_has_no_twins_either() {
        let name = HeaderName::from_static;
        let rules = HeaderRules {
            set: vec![(name("x-tenant"), HeaderValue::from_static("1"))],
            remove: vec![name("x-inner-user"), name("x_correlation_id")],
        };
        let mut headers = map(&["x_tenant", "x-inner_user", "x-correlation-id", "x_other"]);
        strip_by(&mut headers, &rules);
        assert_eq!(headers, map(&["x-correlation-id", "x_other"]));
        strip_by(&mut headers, &HeaderRules::default());
        assert_eq!(headers.len(), 2);
    }
}
