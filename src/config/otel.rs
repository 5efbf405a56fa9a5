//! What OpenTelemetry's variables can be: a collector's URL, header fields, a share of traces.

use std::str::FromStr;

use http::{HeaderName, HeaderValue, uri::PathAndQuery};

use super::{
    Endpoint,
    environment::decoded,
    setting::Setting,
    telemetry::{Collector, Compression, SamplerKind},
};
use crate::domain::sampling::Share;

/// Where spans are posted to; none where it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(pub(super) Option<Collector>);

impl Setting for Target {
    const WHAT: &'static str = "a URL";

    /// No fault quotes the text: it may hold a password.
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let form = "expected a URL such as `http://localhost:4318/v1/traces`";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| form.to_owned())?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        // A path is shown where the configuration is, and what stands behind it is often a key.
        if path.contains(['?', '#']) {
            return Err(format!("{form}; it has no query and no fragment: `headers` are for keys"));
        }
        let endpoint = Endpoint::read(&format!("{scheme}://{authority}"))?;
        let path = PathAndQuery::from_str(path).map_err(|_| format!("{form}; bad path"))?;
        Ok(Self(Some(Collector { endpoint, path })))
    }
}

/// Header fields, `name=value` with commas between them, percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields(pub(super) Vec<(HeaderName, HeaderValue)>);

impl Setting for Fields {
    const WHAT: &'static str = "a list such as `name=value,other=value`";

    /// No fault quotes the text: it holds secrets.
    fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').enumerate().filter(|(_, part)| !part.trim().is_empty());
        let field = |(index, part): (usize, &str)| {
            let read = || {
                let (name, value) = part.split_once('=')?;
                let name = HeaderName::from_str(&decoded(name.trim())?).ok()?;
                let mut value = HeaderValue::from_str(&decoded(value.trim())?).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            };
            read().ok_or_else(|| format!("part {} is not `name=value`, percent-encoded", index + 1))
        };
        parts.map(field).collect::<Result<_, _>>().map(Self)
    }
}

impl Setting for Share {
    const WHAT: &'static str = "a share";

    fn read(text: &str) -> Result<Self, String> {
        let form = "expected a share such as `10%` or `0.1`, of at least a millionth";
        Self::parse(text).map_err(|_| form.to_owned())
    }

    fn is_outside(&self, least: &Self, most: &Self) -> bool {
        self < least || self > most
    }
}

super::setting::choices! {
    Compression, "`none` or `gzip`", ["none" => Self::None, "gzip" => Self::Gzip];
    SamplerKind, "a sampler: `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                  `parentbased_always_off` or `parentbased_traceidratio`", [
        "always_on" => Self::AlwaysOn, "always_off" => Self::AlwaysOff,
        "traceidratio" => Self::Ratio, "parentbased_always_on" => Self::ParentOrOn,
        "parentbased_always_off" => Self::ParentOrOff,
        "parentbased_traceidratio" => Self::ParentOrRatio
    ];
}

#[cfg(test)]
mod tests {
    use super::{Fields, Target};
    use crate::config::setting::Setting;

    #[test]
    fn a_collector_is_a_url_with_a_path() {
        let Target(Some(read)) = Target::read("http://otel:4318/v1/traces").unwrap() else {
            panic!("a collector")
        };
        assert_eq!((&*read.endpoint.authority, read.path.as_str()), ("otel:4318", "/v1/traces"));
        let Target(Some(bare)) = Target::read("https://otel").unwrap() else {
            panic!("a collector")
        };
        assert_eq!((&*bare.endpoint.authority, bare.path.as_str()), ("otel:443", "/"));
        assert_eq!(Target::read(""), Ok(Target(None)));
        for bad in ["otel:4318", "ftp://otel", "http://", "http://a b/"] {
            assert!(Target::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_not_taken_where_it_would_be_shown() {
        for bad in ["/v1/traces?api-key=s3cret", "?api-key=s3cret", "?a=/s3cret", "/v1#s3cret"] {
            let fault = Target::read(&format!("https://otel{bad}")).unwrap_err();
            assert!(fault.contains("no query") && !fault.contains("s3cret"), "{bad}: {fault}");
        }
        let fault = Target::read("https://u:s3cret@otel/v1/traces").unwrap_err();
        assert!(!fault.contains("s3cret"), "{fault}");
    }

    #[test]
    fn header_fields_are_decoded_and_never_shown() {
        let Fields(fields) = Fields::read("api-key=s%3Dcret, x-tenant=shop").unwrap();
        assert_eq!(fields[0].1, "s=cret");
        assert_eq!(fields[1].0, "x-tenant");
        assert!(!format!("{fields:?}").contains("cret"));
        let fault = Fields::read("a=b,s3cret").unwrap_err();
        assert!(fault.contains("part 2") && !fault.contains("s3cret"), "{fault}");
    }
}
