//! What may not be written where, and how it is found.
//!
//! Two kinds of rules: layers, by the names of crates and of this crate's top modules that a
//! folder may not mention; and places, by token sequences that belong to one file only.

use crate::source::{Token, tokens};

/// Crates and top modules that the sources under a folder may not name.
pub(crate) struct Layer {
    pub(crate) folder: &'static str,
    pub(crate) never: &'static [&'static str],
}

/// `main → cli → app → {proxy, checks, fleet, history, admin} → {breakers, upstreams, store, tls,
/// aws, capture, config, telemetry, clock} → domain`, and what each may not name at its own height.
pub(crate) const LAYERS: [Layer; 20] = [
    Layer {
        folder: "src/domain",
        never: &[
            "aws",
            "clock",
            "config",
            "breakers",
            "upstreams",
            "capture",
            "telemetry",
            "store",
            "tls",
            "proxy",
            "checks",
            "fleet",
            "history",
            "learning",
            "admin",
            "app",
            "cli",
        ],
    },
    Layer { folder: "src/clock", never: ABOVE_THE_SHELL },
    Layer { folder: "src/config", never: ABOVE_THE_SHELL },
    Layer { folder: "src/aws", never: ABOVE_THE_SHELL },
    Layer { folder: "src/aws", never: &["capture", "clock", "store", "telemetry", "tls"] },
    Layer { folder: "src/tls", never: ABOVE_THE_SHELL },
    Layer { folder: "src/tls", never: &["store", "telemetry"] },
    Layer { folder: "src/capture", never: ABOVE_THE_SHELL },
    Layer { folder: "src/capture", never: &["clock", "config", "store", "telemetry", "tls"] },
    Layer { folder: "src/store", never: ABOVE_THE_SHELL },
    Layer { folder: "src/telemetry", never: ABOVE_THE_SHELL },
    Layer {
        folder: "src/breakers",
        never: &["store", "proxy", "checks", "fleet", "history", "learning", "admin", "app", "cli"],
    },
    Layer {
        folder: "src/upstreams",
        never: &[
            "breakers",
            "telemetry",
            "store",
            "proxy",
            "checks",
            "fleet",
            "history",
            "learning",
            "admin",
            "app",
            "cli",
        ],
    },
    Layer {
        folder: "src/proxy",
        never: &["aws", "store", "fleet", "learning", "admin", "checks", "app", "cli"],
    },
    Layer { folder: "src/checks", never: &["store", "fleet", "learning", "admin", "app", "cli"] },
    Layer {
        folder: "src/fleet",
        never: &["proxy", "checks", "history", "learning", "admin", "app", "cli"],
    },
    Layer {
        folder: "src/history",
        never: &["proxy", "checks", "fleet", "learning", "admin", "app", "cli"],
    },
    Layer {
        folder: "src/learning",
        never: &["proxy", "checks", "fleet", "history", "admin", "breakers", "app", "cli"],
    },
    Layer { folder: "src/admin", never: &["app", "cli"] },
    Layer { folder: "src/app", never: &["cli"] },
];

const ABOVE_THE_SHELL: &[&str] = &[
    "proxy",
    "checks",
    "fleet",
    "history",
    "learning",
    "admin",
    "app",
    "cli",
    "breakers",
    "upstreams",
];

/// A crate that only some folders may name.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) inside: &'static [&'static str],
}

/// Every SQL statement is in `store`; what is encrypted how is chosen in `tls`; the admin port's
/// router stays off the data path; errors keep their types until they leave the program.
pub(crate) const KEPT: [Kept; 9] = [
    Kept { name: "tokio_postgres", inside: &["src/store"] },
    Kept { name: "deadpool_postgres", inside: &["src/store"] },
    Kept { name: "rusqlite", inside: &["src/store"] },
    Kept { name: "rustls", inside: &["src/tls", "src/store"] },
    Kept { name: "tokio_rustls", inside: &["src/tls"] },
    Kept { name: "rustls_native_certs", inside: &["src/tls"] },
    Kept { name: "x509_cert", inside: &["src/tls"] },
    Kept { name: "axum", inside: &["src/admin"] },
    Kept { name: "anyhow", inside: &["src/cli", "src/main.rs"] },
];

/// Something that is written in some places only.
pub(crate) struct Place {
    pub(crate) code: &'static str,
    pub(crate) inside: &'static [&'static str],
    pub(crate) reason: &'static str,
}

const ONE_CLOCK: &str = "only clock.rs reads clocks; take `now` as an argument";
const BOUNDED: &str = "every queue has a bound";
const NO_HOLES: &str = "nothing is left for later";

/// The places, by token sequence. An empty `inside` means nowhere.
pub(crate) const PLACES: [Place; 18] = [
    Place { code: "Instant::now", inside: &["src/clock.rs"], reason: ONE_CLOCK },
    Place { code: "SystemTime::now", inside: &["src/clock.rs"], reason: ONE_CLOCK },
    Place { code: "Timestamp::now", inside: &["src/clock.rs"], reason: ONE_CLOCK },
    Place { code: "Zoned::now", inside: &["src/clock.rs"], reason: ONE_CLOCK },
    Place { code: ".elapsed()", inside: &["src/clock.rs"], reason: ONE_CLOCK },
    Place { code: "env::var", inside: &["src/config"], reason: "settings come from config/" },
    Place { code: "env::var_os", inside: &["src/config"], reason: "settings come from config/" },
    Place { code: "env::vars", inside: &["src/cli"], reason: "settings come from config/" },
    Place { code: "env::vars_os", inside: &["src/cli"], reason: "settings come from config/" },
    Place {
        code: "unsafe",
        inside: &["src/history/journal/map.rs"],
        reason: "only mapping a file needs it",
    },
    Place { code: "#[allow", inside: &[], reason: "write #[expect(.., reason)]" },
    Place { code: "#![allow", inside: &[], reason: "write #[expect(.., reason)]" },
    Place { code: "todo!", inside: &[], reason: NO_HOLES },
    Place { code: "unimplemented!", inside: &[], reason: NO_HOLES },
    Place { code: ".unwrap()", inside: &[], reason: "say what happens instead" },
    Place { code: "unbounded_channel", inside: &[], reason: BOUNDED },
    Place { code: "mpsc::unbounded", inside: &[], reason: BOUNDED },
    // std's unbounded channel; the bounded ones take a capacity.
    Place { code: "mpsc::channel()", inside: &[], reason: BOUNDED },
];

/// The same for the tests of this folder: they wait for a condition, in one place, and all run.
pub(crate) const PLACES_OF_TESTS: [Place; 3] = [
    Place { code: "sleep(", inside: &["tests/support/local"], reason: "wait for a condition" },
    Place { code: "#[ignore", inside: &[], reason: "long tests have a feature of their own" },
    Place { code: "#[allow", inside: &[], reason: "write #[expect(.., reason)]" },
];

/// Crates that the pure core may name.
pub(crate) const CRATES_OF_DOMAIN: [&str; 2] = ["http", "thiserror"];

/// The crates of a manifest's `[dependencies]`, as the code writes them.
pub(crate) fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, _)| name.replace('-', "_"))
        .collect()
}

/// What a file names that it may not, as `path:line: …`.
pub(crate) fn layering(path: &str, code: &[Token<'_>], crates: &[String]) -> Vec<String> {
    let mut never: Vec<&str> = Vec::new();
    for layer in LAYERS.iter().filter(|layer| is_inside(path, &[layer.folder])) {
        never.extend(layer.never);
    }
    let mut never_crates: Vec<&str> = Vec::new();
    if is_inside(path, &["src/domain"]) {
        let pure = |name: &&str| !CRATES_OF_DOMAIN.contains(name);
        never_crates.extend(crates.iter().map(String::as_str).filter(pure));
    }
    never_crates
        .extend(KEPT.iter().filter(|kept| !is_inside(path, kept.inside)).map(|kept| kept.name));
    named(code)
        .into_iter()
        .filter(|(name, token)| match name {
            Name::Module => never.contains(&token.text),
            Name::Crate => never_crates.contains(&token.text),
        })
        .map(|(_, token)| format!("{path}:{}: `{}` may not be named here", token.line, token.text))
        .collect()
}

/// What a file holds that belongs elsewhere, as `path:line: …`.
pub(crate) fn misplaced(path: &str, code: &[Token<'_>]) -> Vec<String> {
    let places: &[Place] = if is_inside(path, &["tests"]) { &PLACES_OF_TESTS } else { &PLACES };
    let mut found = Vec::new();
    for place in places.iter().filter(|place| !is_inside(path, place.inside)) {
        let wanted: Vec<&str> = tokens(place.code).iter().map(|token| token.text).collect();
        for window in code.windows(wanted.len()) {
            if window.iter().map(|token| token.text).eq(wanted.iter().copied()) {
                let (line, code, reason) = (window[0].line, place.code, place.reason);
                found.push(format!("{path}:{line}: `{code}` may not be written here: {reason}"));
            }
        }
    }
    found
}

/// Whether a path is one of these files, or in one of these folders (`src/app` is `src/app.rs`
/// too).
fn is_inside(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        path.strip_prefix(place)
            .is_some_and(|rest| matches!(rest, "" | ".rs") || rest.starts_with('/'))
    })
}

enum Name {
    /// A top module of this crate: `crate::store`, `use crate::{store, …}`.
    Module,
    /// What begins a path: `tokio::spawn`, `use tokio::…`.
    Crate,
}

/// Every mention of a top module or of a crate.
fn named<'a>(code: &[Token<'a>]) -> Vec<(Name, Token<'a>)> {
    let text = |at: Option<usize>| at.and_then(|at| code.get(at)).map_or("", |token| token.text);
    let is_root = |at: Option<usize>| matches!(text(at), "crate" | "fusebox");
    let mut found = Vec::new();
    // For each open brace of a `use`: whether it follows `crate::` directly.
    let mut groups: Vec<bool> = Vec::new();
    let mut in_use = false;
    for (at, token) in code.iter().enumerate() {
        let before = |steps: usize| at.checked_sub(steps);
        match token.text {
            "use" => (in_use, groups) = (true, Vec::new()),
            ";" => in_use = false,
            "{" if in_use => groups.push(text(before(1)) == "::" && is_root(before(2))),
            "}" if in_use => drop(groups.pop()),
            _ => {}
        }
        let begins_element = in_use && matches!(text(before(1)), "{" | ",");
        let follows_root = text(before(1)) == "::" && is_root(before(2));
        if follows_root || (begins_element && groups.last() == Some(&true)) {
            found.push((Name::Module, *token));
        } else if text(before(1)) == "use"
            || (text(Some(at + 1)) == "::" && !matches!(text(before(1)), "::" | "."))
        {
            let nested = begins_element && !groups.is_empty();
            if !nested {
                found.push((Name::Crate, *token));
            }
        }
    }
    found
}
