//! A route's fallback: another upstream or a fixed answer, never both.

use std::sync::Arc;

use http::StatusCode;

use super::Upstreams;
use crate::{
    config::{
        fallback::{Fallback, FixedAnswer, Instead},
        keys,
        mapping::Mapping,
        path::shown,
    },
    domain::fallback::Occasions,
};

/// Reads the fallback of a route to `own`. None when it cannot be used.
pub(super) fn read(
    fallback: &Mapping<'_>,
    own: Option<&str>,
    upstreams: &Upstreams<'_>,
) -> Option<Fallback> {
    let occasions = fallback.distinct(&keys::FALLBACK_ON);
    let on = Occasions::of(occasions);
    let is_fixed = fallback.has(&keys::FALLBACK_STATUS)
        || fallback.has(&keys::FALLBACK_CONTENT_TYPE)
        || fallback.has(&keys::FALLBACK_BODY);
    let to = match (fallback.has(&keys::FALLBACK_UPSTREAM), is_fixed) {
        (true, true) => {
            let message = "either `upstream` or a fixed answer; this fallback has both";
            fallback.error(&keys::FALLBACK_UPSTREAM, message);
            return None;
        }
        (false, false) => {
            fallback.error_here("`upstream`, `status` or `body` is missing");
            return None;
        }
        (true, false) => Instead::Upstream(upstream(fallback, own, upstreams)?),
        (false, true) => Instead::Answer(answer(fallback)),
    };
    Some(Fallback { to, on })
}

fn upstream(
    fallback: &Mapping<'_>,
    own: Option<&str>,
    upstreams: &Upstreams<'_>,
) -> Option<Arc<str>> {
    let name = fallback.required(&keys::FALLBACK_UPSTREAM)?.0;
    if own == Some(name.as_str()) {
        let message = format!("`{}` is the route's own upstream", shown(&name));
        fallback.error(&keys::FALLBACK_UPSTREAM, &message);
        return None;
    }
    if let Err(hint) = upstreams.refer(&name) {
        let message = format!("there is no upstream of this name{hint}");
        fallback.error(&keys::FALLBACK_UPSTREAM, &message);
        return None;
    }
    Some(Arc::from(name))
}

fn answer(fallback: &Mapping<'_>) -> FixedAnswer {
    let status = fallback.get(&keys::FALLBACK_STATUS).0;
    let body = fallback.get(&keys::FALLBACK_BODY).0;
    if !body.is_empty() && has_no_body(status) {
        let message = format!("an answer with status {} has no body", status.as_u16());
        fallback.error(&keys::FALLBACK_BODY, &message);
    }
    FixedAnswer { status, content_type: fallback.get(&keys::FALLBACK_CONTENT_TYPE), body }
}

fn has_no_body(status: StatusCode) -> bool {
    [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}
