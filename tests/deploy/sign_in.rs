//! Signing in to Postgres on AWS: a token for each connection, over TLS that is checked, and one
//! clear line where that cannot be.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use serde_json::json;

use crate::{
    harness::{ScriptedUpstream, run},
    identity::answers,
    local::free_address,
    peer::{Home, PATIENCE},
};

const UNREACHABLE: Option<i32> = Some(4);

/// What a server says to the question whether it speaks TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Spoken,
    Refused,
}

/// A server that asks for the password in plain text, as RDS does for IAM users, takes note of it, and
/// refuses it.
struct Rds {
    at: SocketAddr,
    home: Home,
    passwords: Receiver<String>,
}

impl Rds {
    fn start(tls: Tls) -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let home = Home::new("rds");
        home.file("ca.pem", made.cert.pem().as_bytes());
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("it speaks them")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("they belong together");
        let (at, config) = (free_address(), Arc::new(config));
        let listener = TcpListener::bind(at).expect("the port is free");
        let (sender, passwords) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever breaks off has seen enough.
                drop(serve(stream, tls, &config, &sender));
            }
        });
        Self { at, home, passwords }
    }

    /// Its URL for a user without a password.
    fn url(&self, parameters: &str) -> String {
        let (port, ca) = (self.at.port(), self.home.path().join("ca.pem"));
        let ca = ca.display();
        format!("postgres://app@localhost:{port}/orders?sslrootcert={ca}&{parameters}")
    }
}

fn serve(
    mut stream: TcpStream,
    tls: Tls,
    config: &Arc<ServerConfig>,
    passwords: &Sender<String>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = [0; 8];
    stream.read_exact(&mut request)?;
    if tls == Tls::Refused {
        return stream.write_all(b"N");
    }
    stream.write_all(b"S")?;
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    drop(message(&mut stream)?);
    // AuthenticationCleartextPassword.
    stream.get_mut().write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3])?;
    stream.read_exact(&mut [0])?;
    let password = message(&mut stream)?;
    let text = String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned();
    passwords.send(text).map_err(std::io::Error::other)?;
    let fields = b"SFATAL\0C28P01\0MPAM authentication failed for user \"app\"\0\0";
    let length = u32::try_from(fields.len() + 4).expect("it is short").to_be_bytes();
    let refusal = [&b"E"[..], &length, fields].concat();
    stream.get_mut().write_all(&refusal)
}

/// The rest of a message, whose length comes first.
fn message(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).expect("it fits");
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body)?;
    Ok(body)
}

/// An endpoint that lends keys, in the form that the documentation shows.
fn lender() -> ScriptedUpstream {
    let lender = ScriptedUpstream::start();
    lender.answer_on(
        "/v2/credentials/1",
        answers(&json!({
            "RoleArn": "arn:aws:iam::111122223333:role/orders-task",
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "lent-secret",
            "Token": "lent/session+token==",
            "Expiration": "2026-11-23T06:00:00Z",
        })),
    );
    lender
}

fn migrate(url: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut environment = vec![("DATABASE_URL", url)];
    environment.extend(variables);
    let finished = run(&["migrate", "up"], &environment);
    (finished.code, finished.text)
}

#[test]
fn each_connection_signs_in_with_a_token_made_of_keys_that_are_lent() {
    let (rds, lender) = (Rds::start(Tls::Spoken), lender());
    let url = rds.url("sslmode=verify-full&auth=aws-iam");
    let lends = format!("{}/v2/credentials/1", lender.url());
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", lends.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "shown"),
    ];
    for times in 1..=2 {
        let (code, said) = migrate(&url, &variables);
        assert_eq!(code, UNREACHABLE, "{said}");
        assert!(said.contains("PAM authentication failed"), "{said}");
        assert!(!said.contains("lent"), "{said}");
        let token = rds.passwords.recv_timeout(PATIENCE).expect("a password");
        let place =
            format!("localhost:{}/?Action=connect&DBUser=app&X-Amz-Algorithm=", rds.at.port());
        assert!(token.starts_with(&place), "{token}");
        for part in [
            "X-Amz-Credential=ASIAEXAMPLE%2F",
            "%2Feu-central-1%2Frds-db%2Faws4_request",
            "X-Amz-Expires=900",
            "X-Amz-Security-Token=lent%2Fsession%2Btoken%3D%3D",
        ] {
            assert!(token.contains(part), "{token}");
        }
        let signature = token.rsplit("&X-Amz-Signature=").next().expect("a signature");
        assert!(signature.len() == 64 && signature.bytes().all(|it| it.is_ascii_hexdigit()));
        assert_eq!(lender.hits(), times, "keys are asked for anew");
        assert_eq!(lender.last().headers.one("authorization"), Some("shown"));
    }
}

#[test]
fn keys_in_the_environment_need_nobody() {
    let rds = Rds::start(Tls::Spoken);
    let url = rds.url("sslmode=verify-full&auth=aws-iam");
    let keys = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "own-secret"),
    ];
    let (code, said) = migrate(&url, &keys);
    assert_eq!(code, UNREACHABLE, "{said}");
    let token = rds.passwords.recv_timeout(PATIENCE).expect("a password");
    assert!(token.contains("X-Amz-Credential=AKIDEXAMPLE%2F"), "{token}");
    assert!(!token.contains("own-secret") && !said.contains("own-secret"));
}

#[test]
fn what_keeps_one_from_signing_in_is_told_in_a_line() {
    let (rds, deaf) = (Rds::start(Tls::Spoken), Rds::start(Tls::Refused));
    let iam = "sslmode=verify-full&auth=aws-iam";
    let region = ("AWS_REGION", "eu-central-1");
    let nobody = format!("http://{}/keys", free_address());
    for (url, variables, code, why) in [
        (rds.url(iam), vec![region], 4, "no keys of AWS: the task has no role"),
        (rds.url(iam), vec![], 4, "set AWS_REGION"),
        (
            rds.url(iam),
            vec![region, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", nobody.as_str())],
            4,
            "the container credentials endpoint does not lend keys",
        ),
        (
            rds.url(iam),
            vec![region, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/keys")],
            4,
            "must be http:// at an address of this machine",
        ),
        (deaf.url("sslmode=verify-full"), vec![], 4, "server does not support TLS"),
        (
            rds.url("sslmode=verify-full").replace("localhost", "127.0.0.1"),
            vec![],
            4,
            "not valid for",
        ),
    ] {
        let (ended, said) = migrate(&url, &variables);
        assert_eq!(ended, Some(code), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains(why), "{said} has no: {why}");
    }
}
