//! The commands that ask an admin port.

use std::time::Duration;

use fusebox::{
    cli::{
        client::{Address, Client, Error},
        exit::Exit,
        healthcheck::{self, Probe},
        status,
    },
    config::Secret,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{harness::Port, sample::Sample};

fn client(address: Address, token: Option<&str>) -> Client {
    Client::new(address, token.map(Secret::new), Duration::from_secs(5))
}

async fn check(client: &Client, probe: Probe) -> Result<String, Exit> {
    let mut out = Vec::new();
    healthcheck::run(client, probe, false, &mut out).await.map_err(|error| error.exit())?;
    Ok(String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn a_health_check_says_alive_not_ready_or_unreachable() {
    let sample = Sample { not_ready: Some("draining"), ..Sample::default() };
    let port = Port::start(sample, Some("t"), "127.0.0.1:0").await;
    let client = client(Address::of(port.address), None);
    assert_eq!(check(&client, Probe::Live).await, Ok("live\n".to_owned()));
    assert_eq!(check(&client, Probe::Ready).await, Err(Exit::Unhealthy));
    let mut out = Vec::new();
    let error = healthcheck::run(&client, Probe::Ready, false, &mut out).await.unwrap_err();
    assert_eq!(error.to_string(), "unhealthy: not ready: draining");
    port.finish().await;
    assert_eq!(check(&client, Probe::Live).await, Err(Exit::Unreachable), "nobody listens now");
}

#[tokio::test]
async fn a_silent_port_is_unreachable_after_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::of(silent.local_addr().unwrap());
    let client = Client::new(address, None, Duration::from_millis(50));
    assert_eq!(check(&client, Probe::Live).await, Err(Exit::Unreachable));
}

#[tokio::test]
async fn an_answer_that_is_no_fusebox_is_a_runtime_error() {
    for (answer, says) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "cannot be understood"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", "is no admin port of a Fusebox"),
    ] {
        let error = answered(answer).await;
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit(), Exit::Runtime);
    }
}

/// What becomes of a question that gets this answer.
async fn answered(answer: &'static str) -> Error {
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::of(other.local_addr().expect("a bound port"));
    let served = tokio::spawn(async move {
        let (mut stream, _) = other.accept().await.expect("asked");
        let mut request = [0; 1024];
        assert_ne!(stream.read(&mut request).await.expect("a request"), 0);
        stream.write_all(answer.as_bytes()).await.expect("answered");
    });
    let error =
        status::run(&client(address, None), false, &mut Vec::new()).await.expect_err("no Fusebox");
    served.await.expect("answered");
    error
}

#[tokio::test]
async fn status_prints_a_line_for_each_breaker() {
    let port = Port::with_token("t").await;
    let client = client(Address::of(port.address), Some("t"));
    let mut out = Vec::new();
    status::run(&client, false, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("orders (production) on ip-10-0-3-7, Fusebox 0.1.0, up 1h 2m\n"));
    assert!(text.contains("store      postgres, listen, 3 instances\n"), "{text}");
    assert!(text.contains("rows       120345 written, 41 waiting, 0 lost\n"), "{text}");
    let payments = text.lines().find(|line| line.starts_with("payments ")).unwrap();
    let words: Vec<_> = payments.split_whitespace().collect();
    let expected =
        "payments OPEN 14.0 100.0% - - consecutive_failures, 5 in a row, next probe in 42s";
    assert_eq!(words.join(" "), expected);
    port.finish().await;
}

#[tokio::test]
async fn status_as_json_is_what_the_api_says() {
    let port = Port::open().await;
    let mut out = Vec::new();
    status::run(&client(Address::of(port.address), None), true, &mut out).await.unwrap();
    let json: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["status"]["service"], "orders");
    assert_eq!(json["circuitBreakers"]["payments"]["state"], "OPEN");
    port.finish().await;
}

#[tokio::test]
async fn a_refused_token_is_named() {
    let port = Port::with_token("t").await;
    let client = client(Address::of(port.address), Some("wrong"));
    let error = status::run(&client, false, &mut Vec::new()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Runtime);
    assert_eq!(error.to_string(), "the token in FUSEBOX_ADMIN_TOKEN is not that of this Fusebox");
    let client = self::client(Address::of(port.address), None);
    let error = status::run(&client, false, &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("wants a token: set FUSEBOX_ADMIN_TOKEN"), "{error}");
    port.finish().await;
}
