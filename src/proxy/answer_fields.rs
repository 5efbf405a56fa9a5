//! The header fields of an answer that Fusebox acts on, found in one pass.
//!
//! The length of a name comes first: hardly any field of an answer is one of these, and most are
//! told apart by it.

use http::HeaderMap;

use super::{
    fields::{Field, Present},
    headers,
};
use crate::domain::grpc;

/// See the module's text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AnswerFields<'a> {
    pub(super) retry_after: Field<'a>,
    pub(super) upgrade: Field<'a>,
    pub(super) grpc_status: Field<'a>,
    /// Which others there are.
    pub(super) present: Present,
}

impl<'a> AnswerFields<'a> {
    /// Looks at all of them.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            fields.add(name.as_str(), value.as_bytes());
        }
        fields
    }

    fn add(&mut self, name: &str, value: &'a [u8]) {
        let is_hop_by_hop = match name.len() {
            2 => name == "te",
            7 if name == "upgrade" => {
                self.upgrade.add(value);
                true
            }
            10 if name == "connection" => {
                self.present.connection = true;
                self.present.nominations |= !headers::is_connection_word(value);
                false
            }
            10 => name == "keep-alive",
            11 if name == "retry-after" => {
                self.retry_after.add(value);
                false
            }
            11 if name == "grpc-status" => {
                self.grpc_status.add(value);
                false
            }
            12 if name == "content-type" => {
                self.present.grpc |= grpc::is_grpc(value);
                false
            }
            14 => name == "http2-settings",
            16 => name == "proxy-connection",
            17 => name == "transfer-encoding",
            18 => name == "proxy-authenticate",
            19 => name == "proxy-authorization",
            _ => false,
        };
        self.present.hop_by_hop |= is_hop_by_hop;
    }
}

#[cfg(test)]
mod tests {
    use super::AnswerFields;
    use crate::proxy::headers::HOP_BY_HOP;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn every_field_lands_in_its_own_place() {
        let map = headers(&[
            ("retry-after", "7"),
            ("upgrade", "websocket"),
            ("grpc-status", "14"),
            ("content-type", "application/grpc"),
            ("connection", "upgrade"),
        ]);
        let fields = AnswerFields::of(&map);
        let found = [fields.retry_after, fields.upgrade, fields.grpc_status];
        assert_eq!(found.map(|field| field.only().unwrap()), [&b"7"[..], b"websocket", b"14"]);
        let present = fields.present;
        assert!(present.connection && present.nominations && present.grpc && present.hop_by_hop);
        assert!(!AnswerFields::of(&headers(&[("server", "te")])).present.hop_by_hop);
    }

    #[test]
    fn every_field_of_one_hop_is_noticed() {
        for name in &HOP_BY_HOP {
            let map: HeaderMap =
                [(name.clone(), HeaderValue::from_static("x"))].into_iter().collect();
            assert!(AnswerFields::of(&map).present.hop_by_hop, "{name}");
        }
    }
}
