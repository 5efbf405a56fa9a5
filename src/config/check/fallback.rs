//! A route's fallback: another upstream, several in turn, or a fixed answer, which may follow several.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use super::Upstreams;
use crate::{
    config::{
        Timeouts,
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
    let (is_one, are_several) =
        (fallback.has(&keys::FALLBACK_UPSTREAM), fallback.has(&keys::FALLBACK_UPSTREAMS));
    let to = match (is_one, are_several, is_fixed) {
        (true, true, _) => {
            let message = "either `upstream` or `upstreams`; this fallback has both";
            fallback.error(&keys::FALLBACK_UPSTREAM, message);
            return None;
        }
        (true, false, true) => {
            let message = "either `upstream` or a fixed answer; this fallback has both \
                           (an answer may follow `upstreams`)";
            fallback.error(&keys::FALLBACK_UPSTREAM, message);
            return None;
        }
        (false, false, false) => {
            fallback.error_here("`upstream`, `upstreams`, `status` or `body` is missing");
            return None;
        }
        (true, false, false) => Instead::Upstream(upstream(fallback, own, upstreams)?),
        (false, true, _) => {
            let answer = is_fixed.then(|| answer(fallback));
            Instead::Upstreams(in_turn(fallback, own, upstreams)?, answer)
        }
        (false, false, true) => Instead::Answer(answer(fallback)),
    };
    Some(Fallback { to, on })
}

fn upstream(
    fallback: &Mapping<'_>,
    own: Option<&str>,
    upstreams: &Upstreams<'_>,
) -> Option<Arc<str>> {
    let name = fallback.required(&keys::FALLBACK_UPSTREAM)?.0;
    if let Err(message) = other(&name, own, upstreams) {
        fallback.error(&keys::FALLBACK_UPSTREAM, &message);
        return None;
    }
    Some(Arc::from(name))
}

/// Reads those that are asked in turn. None when none of them can be.
fn in_turn(
    fallback: &Mapping<'_>,
    own: Option<&str>,
    upstreams: &Upstreams<'_>,
) -> Option<Vec<Arc<str>>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for item in fallback.list(&keys::FALLBACK_UPSTREAMS) {
        let name = item.value.0.as_str();
        if let Err(message) = other(name, own, upstreams) {
            fallback.error_at(&item, &message);
        } else if names.iter().any(|earlier| **earlier == *name) {
            fallback.error_at(&item, "is in the list twice");
        } else {
            names.push(Arc::from(name));
        }
    }
    // One that is missing among those is noted where it is wrong.
    let first = own.and_then(|own| upstreams.read.get(own)).map(|first| &first.timeouts);
    if first.is_some_and(may_use_it_all) {
        fallback.warning(
            &keys::FALLBACK_UPSTREAMS,
            "the `timeouts.total` of the route's upstream is for all of these too, and a wait there \
             may use it up: give it a shorter `first_byte` or `attempt`",
        );
    }
    (!names.is_empty()).then_some(names)
}

/// Whether an upstream that does not answer is waited for until the total timeout.
fn may_use_it_all(timeouts: &Timeouts) -> bool {
    let attempt = timeouts.attempt.unwrap_or(Duration::MAX);
    timeouts.first_byte.min(attempt) >= timeouts.total
}

/// Whether calls of a route to `own` can go to this one instead; what is wrong if they cannot.
fn other(name: &str, own: Option<&str>, upstreams: &Upstreams<'_>) -> Result<(), String> {
    if own == Some(name) {
        return Err(format!("`{}` is the route's own upstream", shown(name)));
    }
    upstreams.refer(name).map_err(|hint| format!("there is no upstream of this name{hint}"))
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
