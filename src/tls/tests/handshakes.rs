//! Who comes together with whom, and what is said to those who do not.

use std::sync::Arc;

use rustls::{
    ClientConfig, ProtocolVersion, ServerConfig, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::join;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    Agreed, MIB, Pair, answer, assert_failed,
    authority::{Authority, FUTURE, Folder, Issued, NOW, PAST, self_signed},
    der, dial, exchange, own,
};
use crate::{
    config::IdentityFiles,
    domain::outcome::{Reason, Verdict},
    tls::{Alpn, Failure, identity::Identity, provider, roots},
};

const HOST: &str = "payments.internal";
const ENDPOINT: &str = "https://payments.internal";
const LISTENER: &str = "{ certificate: DIR/server.crt, key: DIR/server.key }";
const UPSTREAM: &str = "{ ca: DIR/ca.pem }";

/// A folder with the certificate of the server and its authority.
fn folder(authority: &Authority, server: &Issued) -> Folder {
    let folder = Folder::new();
    folder.put("ca.pem", &authority.pem());
    folder.put_issued("server", server);
    folder
}

#[tokio::test]
async fn a_trusted_certificate_of_the_right_name_is_enough() {
    let authority = Authority::new("ours");
    for (names, endpoint, upstream) in [
        (&[HOST][..], ENDPOINT, UPSTREAM),
        (&["*.payments.internal"], "https://eu.payments.internal", UPSTREAM),
        (&["other", HOST], "https://Payments.Internal:8443", UPSTREAM),
        (&["10.0.0.7"], "https://10.0.0.7", UPSTREAM),
        (&["::1"], "https://[::1]:8443", UPSTREAM),
        (&[HOST], "https://10.0.0.7", "{ ca: DIR/ca.pem, server_name: payments.internal }"),
        (&["::1"], ENDPOINT, "{ ca: DIR/ca.pem, server_name: \"[::1]\" }"),
    ] {
        let server = authority.issue(names, NOW);
        let folder = folder(&authority, &server);
        let (client, accepted) = Pair::new(&folder, LISTENER, endpoint, upstream).meet().await;
        let expected = Agreed {
            version: ProtocolVersion::TLSv1_3,
            http2: true,
            resumed: false,
            peer: Some(der(&server.certificate)),
        };
        assert_eq!(client, Ok(expected), "{names:?} {endpoint}");
        assert_eq!(accepted.unwrap().peer, None, "{names:?} {endpoint}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_is_told_with_its_fault() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (server, words) in [
        (ours.issue(&[HOST], PAST), "the peer's certificate expired at 2002-01-01T00:00:00Z"),
        (ours.issue(&[HOST], FUTURE), "not valid before 2090-01-01T00:00:00Z"),
        (
            ours.issue(&["orders.internal", "10.0.0.7"], NOW),
            "is for `orders.internal`, `10.0.0.7`, not for `payments.internal`",
        ),
        (ours.issue(&["a", "b", "c", "d", "e", "f"], NOW), "`e` and others, not for"),
        (ours.issue(&[], NOW), "bears no name, and `payments.internal` was asked for"),
        (theirs.issue(&[HOST], NOW), "of an authority that is not trusted"),
        (self_signed(HOST, false), "of an authority that is not trusted"),
        (self_signed(HOST, true), "is that of an authority, which no server may show"),
    ] {
        let folder = folder(&ours, &server);
        let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
        let (client, accepted) = pair.meet().await;
        assert_failed(&client, Reason::TlsCertificate, words, words);
        assert_failed(&accepted, Reason::TlsFailure, "the peer does not accept our", words);
    }
    assert_eq!(Reason::TlsCertificate.verdict(), Verdict::Failure);
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_by_itself_unless_it_is_an_authority() {
    for (may_sign, expected) in [(false, None), (true, Some("is that of an authority, which no"))] {
        let server = self_signed(HOST, may_sign);
        let folder = Folder::new();
        folder.put("ca.pem", &server.certificate);
        folder.put_issued("server", &server);
        let (client, _) = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM).meet().await;
        match expected {
            None => assert!(client.is_ok(), "{client:?}"),
            Some(words) => assert_failed(&client, Reason::TlsCertificate, words, words),
        }
    }
}

#[tokio::test]
async fn a_caller_shows_a_certificate_where_one_is_asked_for() {
    const ASKS: &str =
        "{ certificate: DIR/server.crt, key: DIR/server.key, client_ca: DIR/clients.pem }";
    const SHOWS: &str = "{ ca: DIR/ca.pem, certificate: DIR/client.crt, key: DIR/client.key }";
    let (ours, callers) = (Authority::new("ours"), Authority::new("callers"));
    let folder = folder(&ours, &ours.issue(&[HOST], NOW));
    folder.put("clients.pem", &callers.pem());
    let good = callers.issue(&["orders"], NOW);
    folder.put_issued("client", &good);
    let (client, accepted) = Pair::new(&folder, ASKS, ENDPOINT, SHOWS).meet().await;
    assert_eq!(accepted.unwrap().peer, Some(der(&good.certificate)));
    assert!(client.is_ok(), "{client:?}");
    // Where nobody asks, nobody is shown anything.
    let (_, accepted) = Pair::new(&folder, LISTENER, ENDPOINT, SHOWS).meet().await;
    assert_eq!(accepted.unwrap().peer, None);

    let (client, accepted) = Pair::new(&folder, ASKS, ENDPOINT, UPSTREAM).meet().await;
    let words = "asks for a certificate; set `tls.certificate` and `tls.key`";
    assert_failed(&client, Reason::TlsFailure, words, "none");
    assert_failed(&accepted, Reason::TlsFailure, "the peer shows no certificate", "none");

    for (client, to_client, to_server) in [
        (ours.issue(&["orders"], NOW), "it does not trust its authority", "not trusted"),
        (callers.issue(&["orders"], PAST), "it has expired", "expired at 2002"),
    ] {
        folder.put_issued("client", &client);
        let (client, accepted) = Pair::new(&folder, ASKS, ENDPOINT, SHOWS).meet().await;
        assert_failed(&client, Reason::TlsFailure, to_client, to_client);
        assert_failed(&accepted, Reason::TlsCertificate, to_server, to_server);
    }
}

/// What the server and the client say when ours speak `least` and newer, and one of them is
/// another's that speaks one version alone.
async fn between(
    least: &str,
    server: Option<&'static SupportedProtocolVersion>,
    client: Option<&'static SupportedProtocolVersion>,
) -> [String; 2] {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let listener = format!("{}, min_version: {least} }}", LISTENER.trim_end_matches(" }"));
    let upstream = format!("{}, min_version: {least} }}", UPSTREAM.trim_end_matches(" }"));
    let pair = Pair::new(&folder, &listener, ENDPOINT, &upstream);
    let (near, far) = duplex(MIB);
    let dialled = async {
        let Some(version) = client else { return words(dial(&pair.client, Alpn::Any, near).await) };
        let roots = roots::from_file(&folder.path().join("ca.pem")).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(HOST).unwrap();
        match TlsConnector::from(Arc::new(config)).connect(name, near).await {
            Ok(mut stream) => words(exchange(&mut stream).await),
            Err(error) => Failure::of_handshake(error).words,
        }
    };
    let answered = async {
        let Some(version) = server else {
            return words(answer(&pair.server, Alpn::Any, far).await);
        };
        let files = IdentityFiles {
            certificate: folder.path().join("server.crt"),
            key: folder.path().join("server.key"),
        };
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Identity::load("here", &files).unwrap().shown);
        match TlsAcceptor::from(Arc::new(config)).accept(far).await {
            Ok(mut stream) => words(exchange(&mut stream).await),
            Err(error) => Failure::of_handshake(error).words,
        }
    };
    let (answered, dialled) = join!(answered, dialled);
    [answered, dialled]
}

fn words<T>(result: Result<T, (Reason, String)>) -> String {
    result.map_or_else(|(_, words)| words, |_| "met".to_owned())
}

#[tokio::test]
async fn versions_below_the_oldest_that_is_spoken_are_not_fallen_back_to() {
    let none = "no version of TLS in common; the oldest spoken here is `min_version`";
    for (least, server, client, expected) in [
        ("1.2", None, Some(&TLS12), "met"),
        ("1.2", Some(&TLS12), None, "met"),
        ("1.3", None, Some(&TLS13), "met"),
        ("1.3", None, Some(&TLS12), none),
        ("1.3", Some(&TLS12), None, none),
    ] {
        assert_eq!(between(least, server, client).await, [expected; 2], "{least} {server:?}");
    }
}

/// The first message of a client that knows TLS 1.1 and nothing newer.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0xc0, 0x13]);
    body.extend([1, 0]);
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let extensions = [&groups[..], &points].concat();
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn what_is_older_than_tls_1_2_or_no_tls_is_told_apart() {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    let not_tls = "the peer does not speak TLS";
    let closed = "the peer closed the connection during the handshake";
    for (bytes, words) in [
        (hello_of_tls_1_1(), "no version of TLS in common"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), not_tls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), not_tls),
        (Vec::new(), closed),
    ] {
        let (mut near, far) = duplex(MIB);
        near.write_all(&bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let accepted = answer(&pair.server, Alpn::Any, far).await;
        assert_failed(&accepted, Reason::TlsFailure, words, words);
    }
    for (bytes, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], not_tls),
        (b"SSH-2.0-OpenSSH_9.2\r\n", not_tls),
        // An alert: this version is not spoken.
        (&[21, 3, 1, 0, 2, 2, 70], "no version of TLS in common"),
        (b"", closed),
    ] {
        let (near, mut far) = duplex(MIB);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let dialled = dial(&pair.client, Alpn::Any, near).await;
        assert_failed(&dialled, Reason::TlsFailure, words, words);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_as_that() {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    let (near, mut far) = duplex(MIB);
    let (dialled, ()) = join!(dial(&pair.client, Alpn::Any, near), async {
        let mut hello = [0; 64];
        far.read_exact(&mut hello).await.unwrap();
        drop(far);
    });
    assert_failed(&dialled, Reason::TlsFailure, "during the handshake", "dropped");
}

#[tokio::test]
async fn both_sides_agree_on_the_version_of_http() {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    for (server, client, http2) in [
        (Alpn::Any, Alpn::Any, Some(true)),
        (Alpn::Any, Alpn::Http1, Some(false)),
        (Alpn::Any, Alpn::Http2, Some(true)),
        (Alpn::Http1, Alpn::Any, Some(false)),
        (Alpn::Http2, Alpn::Any, Some(true)),
        (Alpn::Http1, Alpn::Http2, None),
        (Alpn::Http2, Alpn::Http1, None),
    ] {
        let (near, far) = duplex(MIB);
        let met = join!(dial(&pair.client, client, near), answer(&pair.server, server, far));
        match http2 {
            Some(http2) => {
                assert_eq!(met.0.unwrap().http2, http2, "{server:?} {client:?}");
                assert_eq!(met.1.unwrap().http2, http2, "{server:?} {client:?}");
            }
            None => {
                let words = "no version of HTTP in common";
                assert_failed(&met.0, Reason::TlsFailure, words, "the client");
                assert_failed(&met.1, Reason::TlsFailure, words, "the server");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_speaks_does_not_speak_http2() {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    let mut silent = own(pair.server.config(Alpn::Any));
    silent.alpn_protocols.clear();
    let silent = TlsAcceptor::from(Arc::new(silent));
    let (near, far) = duplex(MIB);
    let (dialled, accepted) = join!(pair.client.connect(Alpn::Any, near), silent.accept(far));
    assert!(accepted.is_ok() && !crate::tls::is_http2(dialled.unwrap().get_ref().1));
    let (near, far) = duplex(MIB);
    let (dialled, _) = join!(pair.client.connect(Alpn::Http2, near), silent.accept(far));
    assert_eq!(dialled.unwrap_err().words, "the peer does not speak HTTP/2");
}

#[tokio::test]
async fn a_second_handshake_is_short() {
    let authority = Authority::new("ours");
    let folder = folder(&authority, &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    let resumed = [pair.meet().await, pair.meet().await].map(|(client, _)| client.unwrap().resumed);
    assert_eq!(resumed, [false, true]);
}
