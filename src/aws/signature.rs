//! AWS's signature, version 4, as far as a presigned GET needs it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{config::Keys, domain::hex};

/// The moment of a signature in both of its spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// `20150830`.
    pub(super) day: String,
    /// `20150830T123600Z`.
    pub(super) second: String,
}

impl Moment {
    /// The moment so many microseconds after 1970 began.
    pub(super) fn at(wall_us: i64) -> Self {
        let at = jiff::Timestamp::from_microsecond(wall_us).unwrap_or_default();
        let second = at.strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { day: second[..8].to_owned(), second }
    }
}

/// What is signed: a GET of `/` with these parameters, for so many seconds.
pub(super) struct Presigned<'a> {
    /// With its port.
    pub(super) host: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) parameters: &'a [(&'a str, &'a str)],
    pub(super) valid_s: u32,
}

impl Presigned<'_> {
    /// The host, the path and the query with its signature: the URL without its scheme.
    pub(super) fn sign(&self, keys: &Keys, at: &Moment) -> String {
        let scope = format!("{}/{}/{}/aws4_request", at.day, self.region, self.service);
        let credential = format!("{}/{scope}", keys.id);
        let valid = self.valid_s.to_string();
        let mut parameters = self.parameters.to_vec();
        parameters.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", credential.as_str()),
            ("X-Amz-Date", at.second.as_str()),
            ("X-Amz-Expires", valid.as_str()),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        if let Some(session) = &keys.session {
            parameters.push(("X-Amz-Security-Token", session.expose()));
        }
        parameters.sort_unstable();
        let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let request = format!("GET\n/\n{query}\nhost:{}\n\nhost\n{}", self.host, digest(b""));
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", at.second, digest(request.as_bytes()));
        let key = signing_key(keys.secret.expose(), &at.day, self.region, self.service);
        let signature = hexadecimal(&mac(&key, text.as_bytes()));
        format!("{}/?{query}&X-Amz-Signature={signature}", self.host)
    }
}

/// The key of one day, region and service.
fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let first = mac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    let words = [region, service, "aws4_request"];
    words.iter().fold(first, |key, word| mac(&key, word.as_bytes()))
}

fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| hex::digits_of_byte(*byte)).map(char::from).collect()
}

/// HMAC with SHA-256, RFC 2104.
fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// As RFC 3986 has it: everything but the unreserved characters.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "%{byte:02X}");
        }
        text
    })
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[cfg(test)]
mod tests {
    use super::{Moment, hexadecimal, mac, signing_key};

    #[test]
    fn the_code_is_that_of_rfc_4231() {
        for (key, message, code) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hexadecimal(&mac(key, message)), code);
        }
    }

    #[test]
    fn the_signing_key_is_that_of_the_documentation() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = signing_key(secret, "20150830", "us-east-1", "iam");
        let documented = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hexadecimal(&key), documented);
    }

    #[test]
    fn a_moment_has_two_spellings() {
        let moment = Moment::at(1_440_938_160_000_000);
        assert_eq!(moment.day, "20150830");
        assert_eq!(moment.second, "20150830T123600Z");
    }
}
