//! Where a listener is: at an address, or at a Unix socket.

use std::{
    fmt,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
};

use super::{Forwarded, Listener, address, setting::Setting, shape::Shape, snippet::is_harmless};

/// What a Unix socket's path begins with, as written and as shown.
const UNIX: &str = "unix:";

/// The bytes that the system has for the path of a socket, without the NUL behind it.
const LONGEST_PATH: usize = 107;

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket, from the working directory unless absolute.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether the system chooses the port.
    pub const fn is_any_port(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.port() == 0)
    }

    /// Whether the two cannot be bound at the same time. Paths are compared as they are written:
    /// of links nothing is known here, and binding tells.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) => address::collide(*a, *b),
            (Self::Unix(a), Self::Unix(b)) => steps(a).eq(steps(b)),
            _ => false,
        }
    }
}

/// As it is written in the file.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl Listener {
    /// Whether both are one place, where callers come in. Its name may be another by now, unless the
    /// name is all that tells it from others.
    pub fn is_where(&self, other: &Self) -> bool {
        self.listen == other.listen && (self.name == other.name || !self.listen.is_any_port())
    }

    /// Whether its calls are those that the service makes, rather than those that it gets: nothing is
    /// told of their callers.
    pub fn is_egress(&self) -> bool {
        self.forwarded == Forwarded::Off
    }
}

impl Setting for Listen {
    const WHAT: &'static str = "an address";
    const SHAPE: Shape = Shape::Address(r"^(unix:.+|[0-9\[].*:[0-9]+)$");

    fn read(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            Some(path) => socket_path(path).map(Self::Unix),
            None if text.contains('/') && !text.contains("://") => {
                Err("expected an IP address and a port, or `unix:/path` for a Unix socket".into())
            }
            None => SocketAddr::read(text).map(Self::Tcp),
        }
    }
}

/// A path that a socket can be bound to.
fn socket_path(path: &str) -> Result<PathBuf, String> {
    if path.starts_with("//") {
        return Err("expected `unix:/path`, with one slash".to_owned());
    }
    if path.starts_with('@') {
        return Err("expected `unix:/path`; a socket needs a file here".to_owned());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("expected `unix:/path`, the path of a file".to_owned());
    }
    if !path.chars().all(|char| is_harmless(char) && !char.is_whitespace()) {
        return Err("expected `unix:/path`, the path without white space".to_owned());
    }
    if path.len() > LONGEST_PATH {
        return Err(format!("the path of a socket has at most {LONGEST_PATH} bytes"));
    }
    Ok(PathBuf::from(path))
}

/// The path without the steps that stay where they are.
fn steps(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components().filter(|step| *step != Component::CurDir)
}

#[cfg(test)]
mod tests {
    use super::{Listen, Setting};

    #[test]
    fn a_listener_is_at_an_address_or_at_a_socket() {
        for text in ["127.0.0.1:8080", "[::]:80", "unix:/run/fusebox.sock", "unix:data/f.sock"] {
            assert_eq!(Listen::read(text).unwrap().to_string(), text);
        }
        assert!(Listen::read(&format!("unix:/{}", "x".repeat(106))).is_ok());
        for (text, part) in [
            ("unix:", "the path of a file"),
            ("unix:/run/", "the path of a file"),
            ("unix:///run/fusebox.sock", "with one slash"),
            ("unix:@fusebox", "needs a file"),
            ("unix:/run/a b", "white space"),
            ("unix:/run/a\u{7}", "white space"),
            (&format!("unix:/{}", "x".repeat(107)), "at most 107 bytes"),
            ("/run/fusebox.sock", "`unix:/path`"),
            ("http://127.0.0.1:8080", "an IP address and a port"),
            ("8080", "an IP address and a port"),
        ] {
            let fault = Listen::read(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn listeners_collide_at_the_same_place_only() {
        let at = |text: &str| Listen::read(text).unwrap();
        for (a, b, expected) in [
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
            ("unix:/run//a.sock", "unix:/run/./a.sock", true),
            ("unix:a.sock", "unix:./a.sock", true),
            ("unix:a.sock", "unix:/a.sock", false),
            ("unix:/run/a.sock", "unix:/run/b.sock", false),
            ("unix:/run/a.sock", "127.0.0.1:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
        ] {
            assert_eq!(at(a).collides(&at(b)), expected, "{a} {b}");
            assert_eq!(at(b).collides(&at(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn what_no_other_machine_reaches_is_local() {
        for (text, expected) in
            [("unix:/run/a.sock", true), ("[::1]:80", true), ("0.0.0.0:80", false)]
        {
            assert_eq!(Listen::read(text).unwrap().is_local(), expected, "{text}");
        }
    }
}
