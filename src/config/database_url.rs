//! The URL of the store, checked as far as can be done without it.
//!
//! What TLS makes of `sslmode` and `sslrootcert` is the store's affair; here a slip of the pen is
//! found before anything starts. No message quotes the URL.

use super::{Secret, setting::Setting, shape::Shape, suggest::did_you_mean};

/// What `sslmode` may be.
const SSL_MODES: [&str; 3] = ["disable", "require", "verify-full"];

/// A Postgres URL; none when empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseUrl(pub(super) Option<Secret>);

impl Setting for DatabaseUrl {
    const WHAT: &'static str = "a Postgres URL";
    const SHAPE: Shape = Shape::Address("^(postgres(ql)?://.+)?$");

    fn read(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected `postgres://user:password@host:5432/database`";
        if text.is_empty() {
            return Ok(Self(None));
        }
        let scheme_end = text.find("://").ok_or_else(|| FORM.to_owned())?;
        if !matches!(&text[..scheme_end], "postgres" | "postgresql") {
            return Err(FORM.to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{FORM}, other characters percent-encoded"));
        }
        let rest = &text[scheme_end + 3..];
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let names_host = query.split('&').any(|pair| pair.starts_with("host="));
        if !names_host && !hosts.split(',').all(is_host) {
            return Err(format!("{FORM}; bad host or port"));
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                None => return Err("a parameter after `?` has no value".to_owned()),
                Some(("sslmode", mode)) => check_ssl_mode(mode)?,
                Some(("auth", how)) => check_auth(how, authority, query)?,
                Some(_) => {}
            }
        }
        Ok(Self(Some(Secret::new(text))))
    }
}

/// Says what is wrong with a URL that no file has: one of the environment alone.
///
/// # Errors
/// It cannot be the URL of a database. The text does not quote it.
pub fn check(text: &str) -> Result<(), String> {
    DatabaseUrl::read(text).map(drop)
}

/// Tokens of AWS in place of a password.
fn check_auth(how: &str, authority: &str, query: &str) -> Result<(), String> {
    if how != "aws-iam" {
        return Err("`auth` is `aws-iam`, or left out for a password".to_owned());
    }
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || user.is_empty() {
        return Err("`auth=aws-iam` needs a user and no password".to_owned());
    }
    if query.split('&').any(|pair| pair == "sslmode=disable") {
        return Err("`auth=aws-iam` needs TLS: `sslmode=verify-full`".to_owned());
    }
    Ok(())
}

/// Whether this is a host, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "5432"),
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    !host.is_empty() && is_number && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn check_ssl_mode(mode: &str) -> Result<(), String> {
    let known = "`sslmode` is `disable`, `require` or `verify-full`";
    match mode {
        mode if SSL_MODES.contains(&mode) => Ok(()),
        "allow" | "prefer" => {
            Err(format!("{known}; `{mode}` would fall back to plain text in silence"))
        }
        "verify-ca" => Err(format!("{known}; `verify-ca` would accept any host's certificate")),
        _ => Err(format!("{known}{}", did_you_mean(mode, SSL_MODES))),
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseUrl, Setting};

    #[test]
    fn a_url_needs_a_scheme_a_host_and_a_known_ssl_mode() {
        for text in [
            "",
            "postgres://localhost",
            "postgresql://u:p%40@a,b:5433/db?sslmode=verify-full&sslrootcert=/x.pem",
            "postgres://u@/db?host=/run/postgresql",
            "postgres://u@a/db?sslmode=verify-full&auth=aws-iam",
            "postgres://[::1]:5432/db?sslmode=disable",
        ] {
            assert!(DatabaseUrl::read(text).is_ok(), "{text}");
        }
        for (text, part) in [
            ("mysql://u:secret@a/db", "postgres://"),
            ("host=a user=secret", "postgres://"),
            ("postgres://u:secret@/db", "bad host"),
            ("postgres://u:secret@a:x/db", "bad host or port"),
            ("postgres://u:sec ret@a/db", "percent-encoded"),
            ("postgres://a/db?sslmode=verify-ful", "did you mean `verify-full`?"),
            ("postgres://a/db?sslmode=prefer", "in silence"),
            ("postgres://a/db?sslmode", "no value"),
            ("postgres://u@a/db?auth=iam", "`aws-iam`"),
            ("postgres://u:secret@a/db?auth=aws-iam", "no password"),
            ("postgres://u@a/db?auth=aws-iam&sslmode=disable", "needs TLS"),
        ] {
            let fault = DatabaseUrl::read(text).unwrap_err();
            assert!(fault.contains(part) && !fault.contains("secret"), "{text}: {fault}");
        }
    }
}
