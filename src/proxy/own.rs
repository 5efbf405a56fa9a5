//! What Fusebox itself says in the head of a request: to whom it goes, and what the call is known by.
//!
//! HTTP/1.1 gets it as lines, written straight into the head: fields that nobody looks at again are
//! not worth their places in a map. HTTP/2 gets it as fields.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::headers::{CORRELATION_ID, TASK_ID, TRACEPARENT};
use crate::{
    config::HeaderRules,
    domain::{
        correlation::{CorrelationId, TraceContext},
        task::TaskId,
    },
};

/// What is said in one attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own<'a> {
    /// The endpoint, in place of the Host that the caller named.
    pub(super) host: Option<&'a HeaderValue>,
    /// None where the route has rules about them: then they are among the request's fields.
    pub(super) ids: Option<Ids<'a>>,
}

/// What a call is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids<'a> {
    pub(super) correlation_id: &'a CorrelationId,
    pub(super) task_id: TaskId,
    pub(super) trace: &'a TraceContext,
}

const NAMES: [HeaderName; 3] = [CORRELATION_ID, TASK_ID, TRACEPARENT];

/// Whether a route has rules about the ids.
pub(super) fn is_ruled(rules: &HeaderRules) -> bool {
    rules.set.iter().map(|(name, _)| name).chain(&rules.remove).any(|name| NAMES.contains(name))
}

/// Removes the ids that a message has.
pub(super) fn remove_ids(headers: &mut HeaderMap) {
    for name in NAMES {
        headers.remove(name);
    }
}

impl Own<'_> {
    /// As fields.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        if let Some(host) = self.host {
            headers.insert(header::HOST, host.clone());
        }
        if let Some(ids) = self.ids {
            ids.put(headers);
        }
    }

    /// Takes the ids out again, for an attempt that says them in its own way.
    pub(super) fn take_back(self, headers: &mut HeaderMap) {
        if self.ids.is_some() {
            remove_ids(headers);
        }
    }
}

impl Ids<'_> {
    /// As fields of a request. What the upstream does for this call has the task's id as its parent.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        self.echo(headers);
        if let Ok(traceparent) = HeaderValue::from_bytes(&self.trace.traceparent()) {
            headers.insert(TRACEPARENT, traceparent);
        }
    }

    /// As fields of an answer.
    pub(super) fn echo(self, headers: &mut HeaderMap) {
        // Made for each message: a value that is shared costs more than these few bytes.
        if let Ok(value) = HeaderValue::from_bytes(self.correlation_id.as_bytes()) {
            headers.insert(CORRELATION_ID, value);
        }
        if let Ok(value) = HeaderValue::from_bytes(&self.task_id.encode()) {
            headers.insert(TASK_ID, value);
        }
    }

    /// As lines of a request's head.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        self.write_echo(out);
        out.extend_from_slice(b"traceparent: ");
        out.extend_from_slice(&self.trace.traceparent());
        out.extend_from_slice(b"\r\n");
    }

    /// As lines of an answer's head.
    pub(super) fn write_echo(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"x-correlation-id: ");
        out.extend_from_slice(self.correlation_id.as_bytes());
        out.extend_from_slice(b"\r\nx-task-id: ");
        out.extend_from_slice(&self.task_id.encode());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, NAMES, Own, is_ruled, remove_ids};
    use crate::{
        config::HeaderRules,
        domain::{
            correlation::{CorrelationId, TraceContext},
            task::TaskId,
        },
    };
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn lines_and_fields_say_the_same() {
        let correlation_id = CorrelationId::mint(7);
        let trace = TraceContext::next_hop(None, None, (8, 9));
        let ids =
            Ids { correlation_id: &correlation_id, task_id: TaskId::mint(1, 2), trace: &trace };
        let (mut fields, mut lines) = (HeaderMap::new(), Vec::new());
        Own { host: None, ids: Some(ids) }.put(&mut fields);
        ids.write(&mut lines);
        let written = NAMES.map(|name| format!("{name}: {}\r\n", fields[&name].to_str().unwrap()));
        assert_eq!(String::from_utf8(lines).unwrap(), written.concat());
        remove_ids(&mut fields);
        assert!(fields.is_empty());
    }

    #[test]
    fn a_rule_about_any_of_them_is_one_about_the_ids() {
        for name in NAMES {
            let set = vec![(name.clone(), HeaderValue::from_static("x"))];
            assert!(is_ruled(&HeaderRules { set, remove: Vec::new() }));
            assert!(is_ruled(&HeaderRules { set: Vec::new(), remove: vec![name] }));
        }
        let remove = vec![HeaderName::from_static("x-request-id")];
        assert!(!is_ruled(&HeaderRules { set: Vec::new(), remove }));
    }
}
