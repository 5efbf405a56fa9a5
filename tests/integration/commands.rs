//! The commands: what they print, and the exit codes that scripts rely on.

use std::{fs, path::PathBuf};

use crate::{
    harness::{Database, ScriptedUpstream, Setup, run},
    local::free_address,
};

/// A configuration file that goes away with the test.
struct File(PathBuf);

impl File {
    fn of(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fusebox-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("a temporary file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("temporary paths are UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn version_is_the_crates_own() {
    let finished = run(&["version"], &[]);
    assert_eq!(finished.code, Some(0));
    assert!(finished.text.contains(env!("CARGO_PKG_VERSION")), "{}", finished.text);
}

#[test]
fn an_unknown_command_or_option_is_a_usage_error() {
    for args in [&["blow"][..], &["run", "--fuse"], &[]] {
        let finished = run(args, &[]);
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.text);
    }
}

#[test]
fn validate_tells_good_from_bad_and_names_every_mistake() {
    let good = "listeners: { egress: { listen: \"127.0.0.1:1\", upstream: a } }\n\
                upstreams: { a: { endpoints: [\"http://127.0.0.1:2\"] } }\n";
    let file = File::of("good.yaml", good);
    let finished = run(&["validate", "--config", file.path()], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);

    let bad = "listners: {}\nworkers: many\nupstreams:\n  a: { endpoints: [] }\n";
    let file = File::of("bad.yaml", bad);
    for command in ["validate", "run"] {
        let finished = run(&[command, "--config", file.path()], &[]);
        assert_eq!(finished.code, Some(3), "{command}: {}", finished.text);
        for word in ["listners", "listeners", "workers", "endpoints"] {
            assert!(finished.text.contains(word), "{word} in: {}", finished.text);
        }
    }
    let finished = run(&["validate", "--config", "/no/such/file.yaml"], &[]);
    assert_eq!(finished.code, Some(3), "{}", finished.text);

    let tls = "tls: { certificate: /no/such.crt, key: /no/such.key }";
    let text = good.replace("upstream: a", &format!("upstream: a, {tls}"));
    let file = File::of("tls.yaml", &text);
    for command in ["validate", "run"] {
        let finished = run(&[command, "--config", file.path()], &[]);
        assert_eq!(finished.code, Some(3), "{command}: {}", finished.text);
        for word in ["listeners.egress.tls.certificate: cannot read /no/such.crt", "/no/such.key"] {
            assert!(finished.text.contains(word), "{word} in: {}", finished.text);
        }
    }
}

/// A folder with every file of TLS that the example names; it goes away with the test.
struct TlsFiles(PathBuf);

impl TlsFiles {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("fusebox-tls-{}", std::process::id()));
        fs::create_dir(&path).expect("a temporary folder");
        let names = vec!["payments.internal".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for name in ["tls.crt", "client.crt", "ca.pem", "clients.pem"] {
            fs::write(path.join(name), &certificate).expect("a file");
        }
        for name in ["tls.key", "client.key"] {
            fs::write(path.join(name), &key).expect("a file");
        }
        Self(path)
    }
}

impl Drop for TlsFiles {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_configurations_that_are_shipped_are_valid() {
    let tls = TlsFiles::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).expect("config/") {
        let path = entry.expect("readable").path();
        let path = path.to_str().expect("UTF-8");
        let environment = [
            ("DATABASE_URL", "postgres://localhost/fusebox?sslmode=disable"),
            ("FUSEBOX_ADMIN_TOKEN", "a-token-of-more-than-thirty-two-bytes"),
            ("TLS_DIR", tls.0.to_str().expect("UTF-8")),
        ];
        let finished = run(&["validate", "--config", path], &environment);
        assert_eq!(finished.code, Some(0), "{path}: {}", finished.text);
    }
}

#[test]
fn the_health_check_of_an_image_needs_no_other_program() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let admin = fusebox.admin.to_string();
    let finished = run(&["healthcheck", "--admin", &admin], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    let nobody = free_address().to_string();
    let finished = run(&["healthcheck", "--admin", &nobody], &[]);
    assert!(matches!(finished.code, Some(4 | 5)), "{:?}: {}", finished.code, finished.text);
}

#[test]
fn status_shows_the_breakers_of_a_running_instance() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let admin = fusebox.admin.to_string();
    let finished = run(&["status", "--admin", &admin], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    assert!(finished.text.contains("payments"), "{}", finished.text);
    let finished = run(&["status", "--admin", &free_address().to_string()], &[]);
    assert_eq!(finished.code, Some(4), "{}", finished.text);
}

#[test]
fn migrations_run_once_are_reported_and_can_be_printed() {
    let database = Database::new();
    let url = [("DATABASE_URL", database.url.as_str())];
    for _ in 0..2 {
        let finished = run(&["migrate", "up"], &url);
        assert_eq!(finished.code, Some(0), "{}", finished.text);
    }
    assert_eq!(database.query("select count(*) from task_history"), "0");
    let finished = run(&["migrate", "status"], &url);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    assert!(finished.text.contains("001"), "{}", finished.text);
    let finished = run(&["migrate", "sql"], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    assert!(finished.text.to_lowercase().contains("task_history"), "{}", finished.text);
}

#[test]
fn a_database_that_is_away_or_refuses_is_a_dependency_that_cannot_be_reached() {
    let database = Database::new();
    let refused = database.url.replace(crate::postgres::PASSWORD, "wrong-canary");
    let away = format!("postgres://u:wrong-canary@{}/d?sslmode=disable", free_address());
    for url in [refused, away] {
        let finished = run(&["migrate", "up"], &[("DATABASE_URL", &url)]);
        assert_eq!(finished.code, Some(4), "{}", finished.text);
        assert!(!finished.text.contains("wrong-canary"), "{}", finished.text);
    }
}

#[test]
fn an_address_that_is_taken_is_a_clear_error() {
    let upstream = ScriptedUpstream::start();
    let taken = upstream.authority();
    let target = format!("a=http://{}", free_address());
    let admin = free_address().to_string();
    let args = ["run", "--listen", &taken, "--admin", &admin, "--upstream", &target];
    let finished = run(&args, &[("DATABASE_URL", "")]);
    assert_eq!(finished.code, Some(1), "{}", finished.text);
    assert!(finished.text.contains(&taken), "{}", finished.text);
}

#[test]
fn what_steers_a_breaker_says_what_it_needs() {
    for (args, says) in [
        (&["breaker"][..], "open"),
        (&["breaker", "open"], "<NAME>"),
        (&["breaker", "open", "payments"], "--reason"),
        (&["breaker", "reset", "payments"], "--reason"),
        (&["breaker", "auto", "payments", "--for", "1h"], "--for"),
        (&["explain"], "<NAME>"),
    ] {
        let finished = run(args, &[]);
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.text);
        assert!(finished.text.contains(says), "{args:?}: {}", finished.text);
    }
    let nobody = free_address().to_string();
    for args in [&["explain", "a"][..], &["breaker", "auto", "a"]] {
        let finished = run(&[args, &["--admin", &nobody]].concat(), &[]);
        assert_eq!(finished.code, Some(4), "{args:?}: {}", finished.text);
    }
}
