//! An admin port on a free port, and a client that sends exactly what it is told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fusebox::{
    admin::{self, Sources, timeline::Timeline},
    config,
    learning::{Advisor, warnings::Board},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{learning::waits, sample::Sample};

/// Everything in these tests is over long before; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running admin port.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) sample: Arc<Sample>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) warnings: Arc<Board>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Port {
    /// Without a token.
    pub(crate) async fn open() -> Self {
        Self::start(Sample::default(), None, "127.0.0.1:0").await
    }

    pub(crate) async fn with_token(token: &str) -> Self {
        Self::start(Sample::default(), Some(token), "127.0.0.1:0").await
    }

    pub(crate) async fn start(sample: Sample, token: Option<&str>, listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let settings = config::Admin {
            listen: address,
            token: token.map(config::Secret::new),
            allowed_hosts: vec!["ops.example".to_owned()],
        };
        let (sample, timeline) = (Arc::new(sample), Arc::new(Timeline::default()));
        let warnings = Arc::new(Board::new(sample.clone()));
        let sources = Sources {
            view: sample.clone(),
            control: sample.clone(),
            breakers: Arc::clone(&sample.circuits.0),
            timeline: timeline.clone(),
            state: sample.clone(),
            history: sample.clone(),
            intake: sample.clone(),
            advisor: Arc::new(Advisor::new(sample.clone())),
            warnings: warnings.clone(),
            waits: Arc::new(waits()),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            admin::serve(listener, &settings, sources, shutdown).await;
        });
        Self { address, sample, timeline, warnings, stop, served }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[]).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(&format!("{request}\r\n")).await
    }

    /// Sends a JSON body.
    pub(crate) async fn send_json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    /// Sends these bytes and reads until the other side closes.
    pub(crate) async fn raw(&self, request: &str) -> Answer {
        let exchange = async {
            let mut stream = self.connect().await;
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("an answer");
            Answer::parse(&bytes)
        };
        timeout(DEADLINE, exchange).await.expect("an answer in time")
    }

    /// The status of a GET that may be cut off before it is sent or answered.
    pub(crate) async fn try_get(&self, path: &str) -> Option<u16> {
        let exchange = async {
            let mut stream = self.connect().await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            drop(stream.write_all(request.as_bytes()).await);
            let mut bytes = Vec::new();
            drop(stream.read_to_end(&mut bytes).await);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.split(' ').nth(1).and_then(|code| code.parse().ok())
        };
        timeout(DEADLINE, exchange).await.expect("an end in time")
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Asks for the port to stop and waits until it did; a panic on the way fails the test.
    pub(crate) async fn finish(self) {
        self.stop.send(()).expect("still serving");
        timeout(DEADLINE, self.served).await.expect("stopped in time").expect("no panic");
    }
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a complete head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The `data` of a success.
    pub(crate) fn data(&self) -> Value {
        let json = self.json();
        assert_eq!((self.status, &json["success"]), (200, &Value::Bool(true)), "{json}");
        json["data"].clone()
    }

    /// The status and the code of an error, whose envelope must be complete.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["success"], Value::Bool(false), "{json}");
        assert!(json["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        let code = json["error"]["code"].as_str().expect("a code").to_owned();
        (self.status, code)
    }
}

/// Reads from a stream until the text has come.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let looking = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let got = stream.read_buf(&mut read).await.expect("readable");
            assert_ne!(got, 0, "closed before `{text}`: {}", String::from_utf8_lossy(&read));
        }
    };
    timeout(DEADLINE, looking).await.expect("in time");
    String::from_utf8_lossy(&read).into_owned()
}
