//! What is said about files that cannot be used, and about those that better were not.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use super::{
    Pair,
    authority::{Authority, Folder, NOW, PAST},
    config,
};
use crate::tls::{Faults, Remark, Tls};

const ENDPOINT: &str = "https://payments.internal";
const LISTENER: &str = "{ certificate: DIR/server.crt, key: DIR/server.key }";

/// A folder with everything good, and some that is not.
fn folder() -> Folder {
    let authority = Authority::new("ours");
    let folder = Folder::new();
    folder.put("ca.pem", &authority.pem());
    folder.put_issued("server", &authority.issue(&["payments.internal"], NOW));
    folder.put_issued("other", &authority.issue(&["payments.internal"], NOW));
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    folder.put("encrypted.key", encrypted);
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    folder.put("no-der.crt", no_der);
    folder.put("no-der.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    folder.put("empty", "");
    folder.put("large", &"x".repeat((1 << 20) + 1));
    fs::create_dir(folder.path().join("folder")).unwrap();
    folder
}

/// What is wrong, a line each, with the folder as `DIR`.
fn told(folder: &Folder, faults: &Faults) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(folder.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let folder = folder();
    for (certificate, key, expected) in [
        ("none.crt", "server.key", "certificate: cannot read DIR/none.crt: No such file"),
        ("server.crt", "none.key", "key: cannot read DIR/none.key: No such file"),
        ("folder", "server.key", "certificate: DIR/folder is no file"),
        ("empty", "server.key", "certificate: DIR/empty holds no certificate"),
        ("server.key", "server.key", "certificate: DIR/server.key holds no certificate"),
        ("large", "server.key", "certificate: DIR/large is larger than 1 MiB"),
        ("no-der.crt", "server.key", "certificate: DIR/no-der.crt holds a certificate that"),
        ("server.crt", "server.crt", "key: DIR/server.crt holds no private key"),
        ("server.crt", "encrypted.key", "key: DIR/encrypted.key holds no private key; one that"),
        ("server.crt", "no-der.key", "key: DIR/no-der.key holds a key that cannot be used"),
        (
            "server.crt",
            "other.key",
            "key: the key in DIR/other.key is not that of the certificate in DIR/server.crt",
        ),
    ] {
        let listener = format!("{{ certificate: DIR/{certificate}, key: DIR/{key} }}");
        let faults = Tls::new(&config(&folder, &listener, ENDPOINT, "{ ca: DIR/ca.pem }"));
        let told = told(&folder, &faults.unwrap_err());
        let expected = format!("listeners.payments.tls.{expected}");
        assert!(told.starts_with(&expected) && told.lines().count() == 1, "{expected}\n{told}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let folder = folder();
    let listener = "{ certificate: DIR/empty, key: DIR/none, client_ca: DIR/none }";
    let upstream = "{ ca: DIR/empty, certificate: DIR/server.crt, key: DIR/other.key }";
    let faults = Tls::new(&config(&folder, listener, ENDPOINT, upstream)).unwrap_err();
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let expected = [
        "listeners.payments.tls.certificate",
        "listeners.payments.tls.key",
        "listeners.payments.tls.client_ca",
        "upstreams.payments.tls.ca",
        "upstreams.payments.tls.key",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_name_that_no_certificate_can_bear_is_told_before_the_first_call() {
    let folder = folder();
    let refused = "upstreams.payments.tls.server_name: `-a..b` can be no name of a certificate";
    for (endpoint, upstream) in [
        ("https://-a..b", "{ ca: DIR/ca.pem }"),
        (ENDPOINT, "{ ca: DIR/ca.pem, server_name: \"-a..b\" }"),
    ] {
        let faults = Tls::new(&config(&folder, LISTENER, endpoint, upstream)).unwrap_err();
        assert!(told(&folder, &faults).starts_with(refused), "{faults}");
    }
}

#[test]
fn a_key_that_others_can_read_and_a_certificate_of_the_past_are_odd() {
    let folder = folder();
    let remarks = || -> Vec<Remark> {
        let pair = Pair::new(&folder, LISTENER, ENDPOINT, "{ ca: DIR/ca.pem }");
        pair.tls.remarks()
    };
    let set_mode = |mode| {
        fs::set_permissions(folder.path().join("server.key"), Permissions::from_mode(mode))
            .unwrap();
    };
    set_mode(0o640);
    assert_eq!(remarks(), []);
    set_mode(0o644);
    let odd = remarks();
    assert_eq!(odd[0].path, "listeners.payments.tls.key");
    assert!(odd[0].text.contains("can be read by every user"), "{odd:?}");
    folder.put_issued("server", &Authority::new("ours").issue(&["a"], PAST));
    set_mode(0o600);
    let odd = remarks();
    assert_eq!(odd[0].path, "listeners.payments.tls.certificate");
    assert!(odd[0].text.contains("expired at 2002-01-01T00:00:00Z"), "{odd:?}");
}

#[test]
fn plain_text_needs_no_files() {
    let folder = folder();
    let config = config(&folder, LISTENER, "http://payments", "null");
    let (tls, _) = Tls::new(&config).unwrap();
    assert!(tls.of_endpoint("payments", &config.upstreams["payments"].endpoints[0]).is_none());
    assert!(tls.of_listener("payments").is_some() && tls.of_listener("other").is_none());
}
