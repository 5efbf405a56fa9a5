//! The database's URL: what `tokio-postgres` understands, and TLS, which we read ourselves.
//!
//! | `sslmode`     | meaning                                                          |
//! | ------------- | ---------------------------------------------------------------- |
//! | `disable`     | no TLS; the default on loopback and Unix sockets                 |
//! | `require`     | as `verify-full`: encryption to a stranger protects from nothing |
//! | `verify-full` | TLS, certificate and name checked; the default everywhere else   |
//!
//! `allow` and `prefer` fall back to plain text in silence, and `verify-ca` leaves the name
//! unchecked, so they are refused. `sslrootcert` names a file of authorities; without it, or with
//! `system`, the system's count.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

/// Where to connect, and how.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// Who signs in with tokens of AWS in place of a password, and where.
    pub(super) iam: Option<IamUser>,
}

/// A user that signs in with tokens of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IamUser {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
}

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// By the authorities in this file.
    File(PathBuf),
    /// By the system's authorities.
    System,
}

/// Why a URL cannot be used. Never shows the password.
#[derive(Debug, thiserror::Error)]
pub(super) enum UrlError {
    #[error("the database's URL must begin with postgres:// or postgresql://")]
    Scheme,
    #[error("the database's URL is malformed")]
    Syntax(#[source] tokio_postgres::Error),
    #[error("sslmode={0} is not supported: use disable, require or verify-full")]
    SslMode(String),
    #[error("the database's URL names no host")]
    NoHost,
    #[error("auth={0} is not supported: use aws-iam, or leave it out for a password")]
    Auth(String),
    #[error("auth=aws-iam needs {0}")]
    Iam(&'static str),
}

/// Reads a URL.
pub(super) fn parse(url: &str) -> Result<Target, UrlError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(UrlError::Scheme);
    }
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = None;
    let mut authorities = Tls::System;
    let (mut is_iam, mut others) = (false, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", "system")) => authorities = Tls::System,
            Some(("sslrootcert", file)) => authorities = Tls::File(decoded(file).into()),
            Some(("auth", "aws-iam")) => is_iam = true,
            Some(("auth", other)) => return Err(UrlError::Auth(other.to_owned())),
            _ => others.push(parameter),
        }
    }
    let plain =
        if others.is_empty() { rest.to_owned() } else { [rest, &others.join("&")].join("?") };
    let mut config: Config = plain.parse().map_err(UrlError::Syntax)?;
    if config.get_hosts().is_empty() {
        return Err(UrlError::NoHost);
    }
    let tls = match mode {
        Some("disable") => Tls::Off,
        Some("require" | "verify-full") => authorities,
        None if config.get_hosts().iter().all(is_here) => Tls::Off,
        None => authorities,
        Some(other) => return Err(UrlError::SslMode(other.to_owned())),
    };
    config.ssl_mode(if tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
    set_defaults(&mut config, &others);
    let iam = if is_iam { Some(iam_user(&config, &tls)?) } else { None };
    Ok(Target { config, tls, iam })
}

/// A token is good for one user at one place, and worth as much as a password on the way there.
fn iam_user(config: &Config, tls: &Tls) -> Result<IamUser, UrlError> {
    let needs = |what| Err(UrlError::Iam(what));
    if *tls == Tls::Off {
        return needs("TLS: sslmode=verify-full");
    }
    if config.get_password().is_some() {
        return needs("no password");
    }
    let [Host::Tcp(host)] = config.get_hosts() else { return needs("one host") };
    let Some(user) = config.get_user() else { return needs("a user") };
    let port = config.get_ports().first().copied().unwrap_or(POSTGRES_PORT);
    Ok(IamUser { host: host.clone(), port, user: user.to_owned() })
}

/// What a URL rarely says: find a dead peer in seconds and the writable one of several hosts.
fn set_defaults(config: &mut Config, said: &[&str]) {
    let says = |name: &str| said.iter().any(|parameter| parameter.starts_with(name));
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if !says("keepalives_idle") {
        config.keepalives_idle(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("fusebox");
    }
    if !says("target_session_attrs") {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

/// Whether a host cannot be listened to on the way.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// A value with its percent signs resolved; a broken one stays as it is.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where Postgres is unless a URL says otherwise.
const POSTGRES_PORT: u16 = 5432;
/// How long a TCP connection to one host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a peer may be silent before it is asked, and then before it is given up.
const SILENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::{IamUser, Tls, parse};

    #[test]
    fn the_url_decides_on_tls() {
        let file = || Tls::File("/etc/ca.pem".into());
        for (url, tls) in [
            ("postgres://u:p@localhost/d", Tls::Off),
            ("postgres://u@127.0.0.1:1/d", Tls::Off),
            ("postgres://u@[::1]/d", Tls::Off),
            ("postgresql:///d?host=/run/postgresql", Tls::Off),
            ("postgres://u@db/d", Tls::System),
            ("postgres://u@localhost,db/d", Tls::System),
            ("postgres://u@db/d?sslmode=disable", Tls::Off),
            ("postgres://u@db/d?sslmode=require", Tls::System),
            ("postgres://u@localhost/d?sslmode=verify-full", Tls::System),
            ("postgres://u@db/d?sslrootcert=/etc/ca.pem", file()),
            ("postgres://u@db/d?sslrootcert=%2Fetc%2fca.pem&sslmode=verify-full", file()),
            ("postgres://u@db/d?sslmode=require&sslrootcert=system", Tls::System),
        ] {
            assert_eq!(parse(url).unwrap().tls, tls, "{url}");
        }
    }

    #[test]
    fn what_would_be_weaker_than_it_looks_is_refused() {
        for (url, message) in [
            ("mysql://db/d", "must begin with postgres://"),
            ("postgres:///d", "names no host"),
            ("postgres://db/d?sslmode=prefer", "sslmode=prefer is not supported"),
            ("postgres://db/d?sslmode=verify-ca", "use disable, require or verify-full"),
            ("postgres://db:port/d", "malformed"),
            ("postgres://db/d?colour=red", "malformed"),
            ("postgres://u@db/d?auth=kerberos", "auth=kerberos is not supported"),
            ("postgres://u@db/d?auth=aws-iam&sslmode=disable", "needs TLS"),
            ("postgres://u:p@db/d?auth=aws-iam", "needs no password"),
            ("postgres://db/d?auth=aws-iam", "needs a user"),
            ("postgres://u@a,b/d?auth=aws-iam", "needs one host"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(message), "{url}: {error}");
        }
    }

    #[test]
    fn tokens_are_for_one_user_at_one_place() {
        let iam = |url| parse(url).unwrap().iam;
        let user = |port| Some(IamUser { host: "db".to_owned(), port, user: "u".to_owned() });
        assert_eq!(iam("postgres://u@db/d?auth=aws-iam"), user(5432));
        assert_eq!(iam("postgres://u@db:5433/d?sslmode=verify-full&auth=aws-iam"), user(5433));
        assert_eq!(iam("postgres://u:p@db/d"), None);
    }

    #[test]
    fn other_parameters_are_kept() {
        let config =
            parse("postgres://u@db/d?sslmode=disable&application_name=x&connect_timeout=7")
                .unwrap()
                .config;
        assert_eq!(config.get_application_name(), Some("x"));
        assert_eq!(config.get_connect_timeout().unwrap().as_secs(), 7);
        assert!(config.get_tcp_user_timeout().is_some());
    }
}
