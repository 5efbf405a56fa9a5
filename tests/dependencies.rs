//! The lock file against the versions that known advisories ask for.
//!
//! A floor rather than a scan: it needs no network and no advisory database, and says why.

use std::{fs, path::Path};

/// The lowest version of a crate that may be locked, and what is wrong below.
const FLOORS: [(&str, [u64; 3], &str); 13] = [
    ("anyhow", [1, 0, 103], "fixed there"),
    ("aws-lc-sys", [0, 39, 0], "RUSTSEC-2026-0044 to 0048"),
    ("bytes", [1, 11, 1], "RUSTSEC-2026-0007: overflow in reserve"),
    ("h2", [0, 4, 16], "RUSTSEC-2026-0258: unbounded empty DATA frames"),
    ("hyper", [1, 11, 0], "Content-Length before Transfer-Encoding, buffer limits"),
    ("postgres-protocol", [0, 6, 12], "RUSTSEC-2026-0179: unbounded SCRAM iterations"),
    ("ring", [0, 17, 12], "RUSTSEC-2025-0009"),
    ("rustls", [0, 23, 18], "RUSTSEC-2024-0399: panic in accept"),
    ("rustls-webpki", [0, 103, 13], "RUSTSEC-2026-0049, 0098, 0099, 0104"),
    ("time", [0, 3, 47], "RUSTSEC-2026-0009"),
    ("tokio", [1, 44, 2], "RUSTSEC-2025-0023"),
    ("tokio-postgres", [0, 7, 18], "RUSTSEC-2026-0178: panic on a short row"),
    ("tracing-subscriber", [0, 3, 20], "RUSTSEC-2025-0055: escapes from callers in logs"),
];

/// What may not come in at all.
const REFUSED: [(&str, &str); 4] = [
    ("rustls-pemfile", "unmaintained, RUSTSEC-2025-0134"),
    ("serde_yml", "unsound, RUSTSEC-2025-0068"),
    ("yaml-rust", "unmaintained, RUSTSEC-2024-0320"),
    ("backoff", "unmaintained, RUSTSEC-2025-0012"),
];

/// The packages of a lock file: name and version.
fn packages(lock: &str) -> Vec<(&str, [u64; 3])> {
    let field = |package: &'_ str, key: &str| -> Option<(usize, usize)> {
        let from = package.find(&format!("{key} = \""))? + key.len() + 4;
        Some((from, from + package[from..].find('"')?))
    };
    lock.split("[[package]]")
        .filter_map(|package| {
            let name = field(package, "\nname")?;
            let version = field(package, "\nversion")?;
            Some((&package[name.0..name.1], version_of(&package[version.0..version.1])))
        })
        .collect()
}

/// The three numbers of a version; what follows a `-` or `+` does not count.
fn version_of(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['-', '+']).next().unwrap_or_default().split('.');
    [(); 3].map(|()| numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// What is wrong with a lock file, a line each.
fn faults(lock: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, version) in packages(lock) {
        for (_, floor, why) in FLOORS.iter().filter(|floor| floor.0 == name) {
            if version < *floor {
                found.push(format!("{name} {version:?} is below {floor:?}: {why}"));
            }
        }
        for (_, why) in REFUSED.iter().filter(|refused| refused.0 == name) {
            found.push(format!("{name} may not be used: {why}"));
        }
    }
    found
}

fn lock_file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    fs::read_to_string(path).expect("Cargo.lock is committed")
}

#[test]
fn nothing_is_locked_below_its_floor() {
    assert_eq!(faults(&lock_file()), [""; 0]);
}

#[test]
fn the_lock_file_is_read_at_all() {
    let lock = lock_file();
    let packages = packages(&lock);
    for name in ["hyper", "tokio-postgres", "postgres-protocol", "rustls", "rustls-webpki"] {
        assert!(packages.iter().any(|(found, _)| *found == name), "{name} is not locked");
    }
}

#[test]
fn a_version_below_its_floor_is_found_and_one_at_it_is_not() {
    let lock = |name: &str, version: &str| {
        format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    };
    for (name, [major, minor, patch], _) in FLOORS {
        let floor = format!("{major}.{minor}.{patch}");
        assert_eq!(faults(&lock(name, &floor)), [""; 0]);
        assert_eq!(faults(&lock(name, &format!("{floor}+1.2.3"))), [""; 0]);
        assert_eq!(faults(&lock(name, "0.0.1")).len(), 1, "{name}");
    }
    assert_eq!(faults(&lock("hyper", "1.10.99")).len(), 1);
    assert_eq!(faults(&lock("serde_yml", "9.0.0")).len(), 1);
    assert_eq!(faults(&lock("hyperlocal", "0.0.1")), [""; 0]);
}
