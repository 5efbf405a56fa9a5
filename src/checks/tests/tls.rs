//! Checks of endpoints that are `https://`.

use std::{fs, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{OK, Rig};
use crate::{
    config::{HealthCheck, Upstream},
    domain::outcome::Reason,
    tls::{
        Alpn, ServerTls, Tls,
        tests::{
            NAME,
            authority::{Authority, Folder, Issued, NOW, PAST},
            config,
        },
    },
};

const LISTENER: &str = "{ certificate: DIR/server.crt, key: DIR/server.key }";
const ASKS: &str = "{ certificate: DIR/server.crt, key: DIR/server.key, client_ca: DIR/ca.pem }";
const UPSTREAM: &str = "{ ca: DIR/ca.pem }";

/// A service that answers everybody well who shakes hands with it.
fn serve(listener: TcpListener, tls: ServerTls) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(Alpn::Any, stream).await else { continue };
            let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
            while !head.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer).await.unwrap();
                head.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
}

/// What the first check says, and the reason in its row.
async fn first_check(
    server: &Issued,
    trusted: &Authority,
    listener: &str,
    upstream: &str,
) -> (String, Option<Reason>) {
    let folder = Folder::new();
    folder.put("ca.pem", &trusted.pem());
    folder.put_issued("server", server);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", socket.local_addr().unwrap());
    let config = config(&folder, listener, &endpoint, upstream);
    let (tls, _) = Tls::new(&config).unwrap();
    // All has been read.
    fs::remove_file(folder.path().join("server.key")).unwrap();
    let service = serve(socket, tls.of_listener(NAME).unwrap().clone());
    let check = HealthCheck {
        path: "/health".to_owned(),
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
    };
    let upstream = Upstream { health_check: Some(check), ..(*config.upstreams[NAME]).clone() };
    let rig = Rig::start_with(upstream, &tls);
    let last = rig.until_check(|_| true).await;
    let rows = rig.finish().await;
    service.abort();
    assert_eq!(last.is_ok, rows[0].reason.is_none());
    (last.message, rows[0].reason)
}

#[tokio::test]
async fn a_check_of_https_trusts_and_tells_as_calls_do() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let named = "{ ca: DIR/ca.pem, server_name: payments.internal }";
    let here = ["127.0.0.1"];
    let distrust = Some(Reason::TlsCertificate);
    for (server, listener, upstream, message, reason) in [
        (ours.issue(&here, NOW), LISTENER, UPSTREAM, "200 OK", None),
        (ours.issue(&["payments.internal"], NOW), LISTENER, named, "200 OK", None),
        (ours.issue(&here, PAST), LISTENER, UPSTREAM, "expired at 2002-01-01", distrust),
        (ours.issue(&["a.b"], NOW), LISTENER, UPSTREAM, "`a.b`, not for `127.0.0.1`", distrust),
        (theirs.issue(&here, NOW), LISTENER, UPSTREAM, "is not trusted", distrust),
        (
            ours.issue(&here, NOW),
            ASKS,
            UPSTREAM,
            "asks for a certificate",
            Some(Reason::TlsFailure),
        ),
    ] {
        let (said, why) = first_check(&server, &ours, listener, upstream).await;
        assert!(said.contains(message), "{message}: {said}");
        assert_eq!(why, reason, "{message}");
    }
}

#[tokio::test]
async fn a_service_that_speaks_no_tls_is_told_as_that() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    folder.put("ca.pem", &authority.pem());
    folder.put_issued("server", &authority.issue(&["a"], NOW));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", socket.local_addr().unwrap());
    let config = config(&folder, LISTENER, &endpoint, UPSTREAM);
    let (tls, _) = Tls::new(&config).unwrap();
    let check = super::upstream(&[]).health_check;
    let upstream = Upstream { health_check: check, ..(*config.upstreams[NAME]).clone() };
    let plain = tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            // Read to the end, so that the answer is not lost in a reset.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        }
    });
    let rig = Rig::start_with(upstream, &tls);
    let last = rig.until_check(|_| true).await;
    assert_eq!((last.is_ok, &*last.message), (false, "the peer does not speak TLS"));
    plain.abort();
}
