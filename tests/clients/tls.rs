//! TLS with curl as the caller and nginx as the upstream.

use std::fs;

use crate::{
    certificates::{Authority, Identity},
    curl::curl,
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup},
    local::wait_until,
    peer::Nginx,
};

const LOCAL: &str = "DNS:localhost,IP:127.0.0.1";

/// A Fusebox that speaks TLS with its callers; `more` are further keys of that.
fn listening(upstream: &ScriptedUpstream, identity: &Identity, more: &str) -> Fusebox {
    Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    upstream: payments
    tls: {{ {}{more} }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        identity.yaml(),
        upstream.url()
    ))
    .start()
}

fn url(fusebox: &Fusebox) -> String {
    format!("https://localhost:{}/", fusebox.proxy.port())
}

/// An nginx that tells how it was spoken to, with these further lines.
fn nginx(identity: &Identity, options: &str, more: &str) -> Nginx {
    Nginx::start(&format!(
        "server {{
           listen {{listen}} ssl{options};
           ssl_protocols TLSv1.2 TLSv1.3;
           {}
           {more}
           location / {{ return 200 '$server_protocol $ssl_protocol $ssl_server_name'; }}
         }}",
        identity.nginx()
    ))
}

/// A Fusebox that speaks TLS with its upstream; `keys` say how.
fn calling(nginx: &Nginx, keys: &[&str]) -> Fusebox {
    let url = format!("https://localhost:{}", nginx.address.port());
    Setup::payments(&url, keys).start()
}

#[test]
fn callers_are_answered_in_what_both_speak() {
    let (authority, upstream) = (Authority::new(), ScriptedUpstream::start());
    let fusebox = listening(&upstream, &authority.issue(LOCAL, "2"), "");
    let (ca, url) = (authority.file(), url(&fusebox));
    for (arguments, version) in
        [(&[][..], "2"), (&["--http1.1"][..], "1.1"), (&["--tls-max", "1.2"][..], "2")]
    {
        let told = ["--cacert", &ca, "--write-out", " %{http_version}", &url];
        let seen = curl(&[arguments, &told].concat(), b"").text();
        assert_eq!(seen, format!("ok {version}"), "{arguments:?}");
    }
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn callers_that_do_not_trust_it_or_are_too_old_are_not_answered() {
    let (authority, upstream) = (Authority::new(), ScriptedUpstream::start());
    let fusebox = listening(&upstream, &authority.issue(LOCAL, "2"), "");
    let (ca, url) = (authority.file(), url(&fusebox));
    let (stranger, plain) = (Authority::new(), url.replace("https", "http"));
    let other = stranger.file();
    let old = ["--cacert", &ca, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url];
    for (arguments, code) in
        [(&["--cacert", &other, &url][..], 60), (&old, 35), (&["--http1.1", &plain], 1)]
    {
        let seen = curl(arguments, b"");
        assert_eq!(seen.code, Some(code), "{arguments:?}: {}", seen.stderr);
    }
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn callers_show_certificates_where_they_must() {
    let (authority, upstream) = (Authority::new(), ScriptedUpstream::start());
    let more = format!(", client_ca: {}", authority.file());
    let fusebox = listening(&upstream, &authority.issue(LOCAL, "2"), &more);
    let (ca, url) = (authority.file(), url(&fusebox));
    let call = |identity: Option<&Identity>| {
        let shown = identity.map(Identity::arguments).into_iter().flatten().collect::<Vec<_>>();
        let mut arguments = vec!["--cacert", &ca, &url];
        arguments.extend(shown.iter().map(String::as_str));
        curl(&arguments, b"").code
    };
    assert_eq!(call(Some(&authority.issue("DNS:caller", "2"))), Some(0));
    assert_ne!(call(None), Some(0));
    assert_ne!(call(Some(&Authority::new().issue("DNS:caller", "2"))), Some(0));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_certificate_that_is_replaced_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let (old, new, upstream) = (Authority::new(), Authority::new(), ScriptedUpstream::start());
    let identity = old.issue(LOCAL, "2");
    let fusebox = listening(&upstream, &identity, "");
    let url = url(&fusebox);
    let trusts =
        |authority: &Authority| curl(&["--cacert", &authority.file(), &url], b"").code == Some(0);
    assert!(trusts(&old));
    fs::write(&identity.certificate, "no certificate").expect("the file is written");
    fusebox.wait_for_line("it says that it is none", |line| {
        line.to_string().contains("certificate") && line["level"] != "info"
    });
    assert!(trusts(&old), "the last good one is kept");
    let renewed = new.issue(LOCAL, "2");
    fs::copy(&renewed.key, &identity.key).expect("the file is written");
    fs::copy(&renewed.certificate, &identity.certificate).expect("the file is written");
    wait_until("the new one is shown", PATIENCE, || trusts(&new).then_some(()));
}

#[test]
fn an_upstream_is_spoken_to_in_what_both_speak() {
    let authority = Authority::new();
    let identity = authority.issue(LOCAL, "2");
    let trusted = format!("tls: {{ ca: {} }}", authority.file());
    for (options, protocol, expected) in [
        ("", "auto", "HTTP/1.1 TLSv1.3 localhost"),
        (" http2", "auto", "HTTP/2.0 TLSv1.3 localhost"),
        (" http2", "http1", "HTTP/1.1 TLSv1.3 localhost"),
        (" http2", "http2", "HTTP/2.0 TLSv1.3 localhost"),
    ] {
        let nginx = nginx(&identity, options, "");
        let fusebox = calling(&nginx, &[&trusted, &format!("protocol: {protocol}")]);
        let mut connection = fusebox.connect();
        for _ in 0..3 {
            assert_eq!(connection.get("/", &[]).text(), expected, "{options} {protocol}");
        }
    }
}

#[test]
fn an_upstream_that_cannot_be_trusted_is_told_from_one_that_is_away() {
    let database = Database::new();
    let authority = Authority::new();
    let trusted = format!("ca: {}", authority.file());
    let elsewhere = authority.issue("DNS:elsewhere", "2");
    for (identity, keys, works) in [
        (authority.issue(LOCAL, "2"), trusted.as_str(), true),
        (Authority::new().issue(LOCAL, "2"), &trusted, false),
        (authority.issue("DNS:localhost", "-1"), &trusted, false),
        (authority.issue("DNS:elsewhere", "2"), &trusted, false),
        (elsewhere, &format!("{trusted}, server_name: elsewhere"), true),
    ] {
        let nginx = nginx(&identity, "", "");
        let url = format!("https://localhost:{}", nginx.address.port());
        let keys = format!("tls: {{ {keys} }}");
        let fusebox = Setup::payments(&url, &[&keys]).database(&database.url).start();
        let response = fusebox.get("/", &[]);
        assert_eq!(response.status == 200, works, "{keys}: {}", response.text());
        if !works {
            assert_eq!(response.status, 502);
            assert_eq!(response.proxy_error(), Some("tls_certificate_error"), "{keys}");
            // Nothing was sent, so it was tried once more.
            assert_eq!(fusebox.breaker("payments")["failureCount"], 2);
        }
    }
}

#[test]
fn an_upstream_is_shown_a_certificate_where_it_asks_for_one() {
    let authority = Authority::new();
    let asks = format!("ssl_verify_client on; ssl_client_certificate {};", authority.file());
    let nginx = nginx(&authority.issue(LOCAL, "2"), "", &asks);
    let own = authority.issue("DNS:fusebox", "2");
    let trusted = format!("ca: {}", authority.file());
    let shown = calling(&nginx, &[&format!("tls: {{ {trusted}, {} }}", own.yaml())]);
    assert_eq!(shown.get("/", &[]).status, 200);
    let silent = calling(&nginx, &[&format!("tls: {{ {trusted} }}")]);
    assert_eq!(silent.get("/", &[]).status, 400, "nginx says so itself");
}
