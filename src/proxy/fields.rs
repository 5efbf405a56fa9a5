//! The header fields that Fusebox acts on, found in one pass.
//!
//! A head is looked at from many sides: framing, routing, ids, tracing, hop-by-hop. Asking the map
//! once per question costs more than all the answers; here every field is looked at once.

use http::HeaderMap;

use super::{h1::number, headers, twins};
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
    /// One that says what the call is known by.
    pub(super) ids: bool,
    /// Trailers are welcome.
    pub(super) te_trailers: bool,
    pub(super) grpc: bool,
    pub(super) idempotency_key: bool,
    /// A stream of events is asked for.
    pub(super) accepts_events: bool,
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

    /// How long the body is, where that is told.
    pub(super) fn declared_length(&self) -> Option<u64> {
        self.content_length.only().and_then(number)
    }

    /// The length of a name comes first: most fields are told apart by it.
    fn add(&mut self, name: &str, value: &'a [u8]) {
        let present = &mut self.present;
        match name.len() {
            2 if name == "te" => {
                present.te_trailers |= headers::has_token(value, b"trailers");
                present.hop_by_hop = true;
            }
            3 if name == "via" => present.via = true,
            4 if name == "host" => self.host.add(value),
            6 if name == "accept" => {
                present.accepts_events |= value.starts_with(b"text/event-stream");
            }
            6 if name == "expect" => {
                self.expect.add(value);
                present.expect = true;
            }
            7 if name == "upgrade" => {
                self.upgrade.add(value);
                present.hop_by_hop = true;
            }
            9 if name == "x-task-id" => {
                self.task_id.add(value);
                present.ids = true;
            }
            10 if name == "connection" => {
                present.connection = true;
                if !headers::is_connection_word(value) {
                    present.nominations = true;
                    present.upgrade |= headers::has_token(value, b"upgrade");
                }
            }
            10 if name == "keep-alive" => present.hop_by_hop = true,
            10 if name == "tracestate" => present.tracestate = true,
            11 if name == "traceparent" => {
                self.traceparent.add(value);
                present.ids = true;
            }
            12 if name == "content-type" => present.grpc |= grpc::is_grpc(value),
            12 if name == "grpc-timeout" => self.grpc_timeout.add(value),
            12 if name == "x-request-id" => self.request_id.add(value),
            14 if name == "content-length" => self.content_length.add(value),
            14 if name == "http2-settings" => present.hop_by_hop = true,
            15 if name == "x-amzn-trace-id" => self.xray.add(value),
            15 if name == "idempotency-key" => present.idempotency_key = true,
            16 if name == "x-correlation-id" => {
                self.correlation_id.add(value);
                present.ids = true;
            }
            16 if name == "proxy-connection" => present.hop_by_hop = true,
            17 if name == "transfer-encoding" => {
                self.transfer_encoding.add(value);
                present.hop_by_hop = true;
            }
            18 if name == "proxy-authenticate" => present.hop_by_hop = true,
            19 if name == "proxy-authorization" => present.hop_by_hop = true,
            30 if name == "x-envoy-expected-rq-timeout-ms" => self.expected_ms.add(value),
            _ => present.twin |= twins::is_twin(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields};
    use crate::proxy::headers::HOP_BY_HOP;
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
    fn every_field_of_one_hop_is_noticed() {
        for name in &HOP_BY_HOP {
            let value = HeaderValue::from_static("x");
            let map: HeaderMap = [(name.clone(), value)].into_iter().collect();
            assert!(Fields::of(&map).present.hop_by_hop, "{name}");
        }
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
