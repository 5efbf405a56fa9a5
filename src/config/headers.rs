//! Header names and values that a rule may name.

use http::{HeaderName, HeaderValue};

use super::setting::Setting;

/// Headers that frame a message or belong to one connection. Fusebox manages them itself; a rule
/// about them would break the message, or nothing at all.
const MANAGED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 4_096;

impl Setting for HeaderName {
    const WHAT: &'static str = "the name of a header";

    fn read(text: &str) -> Result<Self, String> {
        let name = Self::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= 128);
        let Some(name) = name else {
            return Err("no valid name of a header, such as `x-team`".to_owned());
        };
        match name.as_str() {
            "host" => Err("`host` follows the endpoint; see `preserve_host`".to_owned()),
            managed if MANAGED.contains(&managed) => {
                let why = "it belongs to one connection or to how a message is framed";
                Err(format!("`{managed}` is managed by Fusebox: {why}"))
            }
            _ => Ok(name),
        }
    }
}

impl Setting for HeaderValue {
    const WHAT: &'static str = "the value of a header";

    fn read(text: &str) -> Result<Self, String> {
        let is_visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let value = Self::from_str(text).ok();
        value
            .filter(|_| is_visible && text.trim() == text && text.len() <= MAX_VALUE_BYTES)
            .ok_or_else(|| {
                "no valid value of a header: up to 4096 visible ASCII characters".to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderName, HeaderValue, MANAGED, Setting};

    #[test]
    fn headers_that_fusebox_manages_are_refused_in_any_case() {
        for name in MANAGED {
            assert!(HeaderName::read(&name.to_uppercase()).is_err(), "{name}");
        }
        assert_eq!(HeaderName::read("X-Team").unwrap(), "x-team");
        for name in ["", "x team", "x:team", "é", "x\n"] {
            assert!(HeaderName::read(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn values_cannot_smuggle_anything() {
        assert!(HeaderValue::read("a b").is_ok());
        for value in ["a\r\nx: y", "a\0", " a", "a\t", "é"] {
            assert!(HeaderValue::read(value).is_err(), "{value:?}");
        }
    }
}
