//! The header fields that Fusebox acts on, found in one pass.
//!
//! A head is looked at from many sides: framing, routing, ids, tracing, hop-by-hop. Asking the map
//! once per question costs more than all the answers; here every field is looked at once.

use http::HeaderMap;

use super::{headers, twins};
use crate::domain::grpc;

/// A field that is expected once or not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// The value of the first.
    pub(super) first: Option<&'a [u8]>,
    /// There is another.
    pub(super) is_repeated: bool,
}

impl<'a> Field<'a> {
    /// The value, if there is exactly one.
    pub(super) const fn only(self) -> Option<&'a [u8]> {
        if self.is_repeated { None } else { self.first }
    }

    /// Whether a `Content-Length` with this value can be read in one way only.
    pub(super) fn is_absent_or_digits(self) -> bool {
        let is_plain = |value: &[u8]| {
            value.iter().all(u8::is_ascii_digit) && (value.len() < 2 || value[0] != b'0')
        };
        !self.is_repeated && self.first.is_none_or(is_plain)
    }

    pub(super) const fn add(&mut self, value: &'a [u8]) {
        if self.first.is_some() {
            self.is_repeated = true;
        } else {
            self.first = Some(value);
        }
    }
}

/// What the fields of a request say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Field<'a>,
    pub(super) content_length: Field<'a>,
    pub(super) transfer_encoding: Field<'a>,
    pub(super) expect: Field<'a>,
    pub(super) correlation_id: Field<'a>,
    pub(super) request_id: Field<'a>,
    pub(super) task_id: Field<'a>,
    pub(super) traceparent: Field<'a>,
    pub(super) xray: Field<'a>,
    pub(super) upgrade: Field<'a>,
    pub(super) grpc_timeout: Field<'a>,
    pub(super) expected_ms: Field<'a>,
    /// Which others there are.
    pub(super) present: Present,
}

/// Fields of which it is enough to know that they are there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Present {
    pub(super) connection: bool,
    /// `Connection` names other fields.
    pub(super) nominations: bool,
    /// `Upgrade` is among them.
    pub(super) upgrade: bool,
    pub(super) via: bool,
    /// One that is about one connection, besides `Connection` itself.
    pub(super) hop_by_hop: bool,
    pub(super) expect: bool,
    pub(super) tracestate: bool,
    /// Trailers are welcome.
    pub(super) te_trailers: bool,
    pub(super) grpc: bool,
    pub(super) idempotency_key: bool,
    /// One that another server may take for a field of ours.
    pub(super) twin: bool,
}

impl<'a> Fields<'a> {
    /// Looks at all of them.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            fields.add(name.as_str(), value.as_bytes());
        }
        fields
    }

    fn add(&mut self, name: &str, value: &'a [u8]) {
        match name {
            "host" => self.host.add(value),
            "content-length" => self.content_length.add(value),
            "expect" => {
                self.expect.add(value);
                self.present.expect = true;
            }
            "x-correlation-id" => self.correlation_id.add(value),
            "x-request-id" => self.request_id.add(value),
            "x-task-id" => self.task_id.add(value),
            "traceparent" => self.traceparent.add(value),
            "x-amzn-trace-id" => self.xray.add(value),
            "grpc-timeout" => self.grpc_timeout.add(value),
            "x-envoy-expected-rq-timeout-ms" => self.expected_ms.add(value),
            "tracestate" => self.present.tracestate = true,
            "via" => self.present.via = true,
            "connection" => {
                self.present.connection = true;
                if !headers::is_connection_word(value) {
                    self.present.nominations = true;
                    self.present.upgrade |= headers::has_token(value, b"upgrade");
                }
            }
            "content-type" => self.present.grpc |= grpc::is_grpc(value),
            "idempotency-key" => self.present.idempotency_key = true,
            "te" => {
                self.present.te_trailers |= headers::has_token(value, b"trailers");
                self.present.hop_by_hop = true;
            }
            "upgrade" => {
                self.upgrade.add(value);
                self.present.hop_by_hop = true;
            }
            "transfer-encoding" => {
                self.transfer_encoding.add(value);
                self.present.hop_by_hop = true;
            }
            "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization" => {
                self.present.hop_by_hop = true;
            }
            _ => self.present.twin |= twins::is_twin(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields};
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn a_field_that_comes_twice_has_no_only_value() {
        let mut headers = HeaderMap::new();
        let fields = |headers: &HeaderMap| Fields::of(headers).host.only().map(<[u8]>::to_vec);
        assert_eq!(fields(&headers), None);
        headers.append("host", HeaderValue::from_static("a"));
        assert_eq!(fields(&headers).as_deref(), Some(&b"a"[..]));
        headers.append("host", HeaderValue::from_static("a"));
        assert_eq!(fields(&headers), None);
        assert_eq!(Fields::of(&headers).host, Field { first: Some(b"a"), is_repeated: true });
    }

    #[test]
    fn every_field_lands_in_its_own_place() {
        let names = [
            "host",
            "content-length",
            "transfer-encoding",
            "expect",
            "x-correlation-id",
            "x-request-id",
            "x-task-id",
            "traceparent",
            "x-amzn-trace-id",
            "upgrade",
            "grpc-timeout",
            "x-envoy-expected-rq-timeout-ms",
        ];
        let value =
            |name: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(name));
        let headers: HeaderMap = names.into_iter().map(value).collect();
        let fields = Fields::of(&headers);
        let found = [
            fields.host,
            fields.content_length,
            fields.transfer_encoding,
            fields.expect,
            fields.correlation_id,
            fields.request_id,
            fields.task_id,
            fields.traceparent,
            fields.xray,
            fields.upgrade,
            fields.grpc_timeout,
            fields.expected_ms,
        ];
        assert_eq!(found.map(|field| field.only().unwrap()), names.map(str::as_bytes));
    }
}
