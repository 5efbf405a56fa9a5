//! What is too much, and what is no HTTP at all.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::{Port, read_until},
    sample::Sample,
};

#[tokio::test]
async fn an_oversized_request_is_refused_by_what_is_too_large() {
    let port = Port::open().await;
    let long = "x".repeat(9 * 1024);
    let headers = port.send("GET", "/live", &[("X-Long", &long)]).await;
    assert_eq!(headers.error(), (431, "headers_too_large".to_owned()));
    let many: Vec<_> = (0..70).map(|n| (format!("X-{n}"), "1")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let fields = port.send("GET", "/live", &many).await;
    assert_eq!(fields.error(), (431, "headers_too_large".to_owned()));
    let target = port.get(&format!("/live?{long}")).await;
    assert_eq!(target.error(), (414, "uri_too_long".to_owned()));
    let body = port.send("POST", "/live", &[("Content-Length", "600000")]).await;
    assert_eq!(body.error(), (413, "body_too_large".to_owned()));
    assert_eq!(port.get("/live").await.status, 200);
    port.finish().await;
}

#[tokio::test]
async fn beyond_the_parsers_limits_there_is_a_bare_431() {
    let port = Port::open().await;
    let endless = "x".repeat(70 * 1024);
    let answer = port.send("GET", "/live", &[("X-Endless", &endless)]).await;
    assert_eq!(answer.status, 431);
    port.finish().await;
}

#[tokio::test]
async fn what_is_not_http_gets_400_and_a_closed_connection() {
    let port = Port::open().await;
    for request in [
        "\u{16}\u{3}\u{1} hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /live HTTP/1.1\r\nHost localhost\r\n\r\n",
    ] {
        assert_eq!(port.raw(request).await.status, 400, "{request:?}");
    }
    port.finish().await;
}

#[tokio::test]
async fn one_connection_may_ask_again_and_again() {
    let port = Port::open().await;
    let mut stream = port.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_until(&mut stream, r#"{"live":true}"#).await;
    }
    port.finish().await;
}

#[tokio::test]
async fn streams_are_few_so_that_probes_always_find_room() {
    let port = Port::open().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        let mut stream = port.connect().await;
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_until(&mut stream, "event: state").await;
        streams.push(stream);
    }
    let refused = port.get("/api/v1/events").await;
    assert_eq!(refused.error(), (503, "too_many_streams".to_owned()));
    assert_eq!(port.get("/live").await.status, 200);
    port.finish().await;
    for mut stream in streams {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("ended, not cut");
        assert!(rest.ends_with(b"0\r\n\r\n"), "the last chunk says that the stream is over");
    }
}

/// Each would hold megabytes, and nobody had to show a token.
#[tokio::test]
async fn scrapes_that_nobody_reads_are_few_and_leave_room_for_everything_else() {
    let sample = Sample { padding: 32 << 20, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let mut lazy = Vec::new();
    for _ in 0..4 {
        let mut stream = port.connect().await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_until(&mut stream, "# EOF").await;
        lazy.push(stream);
    }
    let refused = port.get("/metrics").await;
    assert_eq!(refused.error(), (503, "too_many_scrapes".to_owned()));
    assert_eq!(port.get("/live").await.status, 200);
    let mut one = lazy.pop().unwrap();
    one.shutdown().await.unwrap();
    drop((one, lazy));
    assert_eq!(port.get("/metrics").await.status, 200, "places are given back");
    port.finish().await;
}

/// Each read tells the kernel that somebody is there.
#[cfg(feature = "long-tests")]
#[tokio::test]
async fn a_scrape_that_is_read_too_slowly_is_cut_off_and_gives_its_place_back() {
    use std::time::Duration;

    let sample = Sample { padding: 32 << 20, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let trickles = (0..4).map(async |_| {
        let mut stream = port.connect().await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut read = 0;
        let mut sips = tokio::time::interval(Duration::from_millis(500));
        loop {
            sips.tick().await;
            match stream.read(&mut [0; 64 * 1024]).await {
                Ok(0) | Err(_) => return read,
                Ok(count) => read += count,
            }
        }
    });
    let trickles = futures_util::future::join_all(trickles);
    let read =
        tokio::time::timeout(Duration::from_secs(60), trickles).await.expect("cut off in time");
    assert!(read.iter().all(|read| *read < 32 << 20), "{read:?}");
    assert_eq!(port.get("/metrics").await.status, 200, "places are given back");
    port.finish().await;
}

/// The kernel gives the connection up some ten seconds after it could send no more.
#[cfg(feature = "long-tests")]
#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_off_and_gives_its_place_back() {
    use std::time::Duration;

    use fusebox::{
        admin::timeline::Moment,
        domain::breaker::{Cause, State},
    };

    use crate::sample::{NOON_US, transition};

    let port = Port::open().await;
    let mut lazy = Vec::new();
    for _ in 0..16 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(port.address).await.unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        lazy.push(stream);
    }
    let opened = transition(State::Closed, State::Open, Cause::FailureRate);
    let told = async {
        loop {
            // More than every buffer on the way holds, in less than the backlog at a time.
            for _ in 0..200 {
                let (name, task_ids) = ("music".into(), Vec::new());
                port.timeline.note(Moment {
                    name,
                    at_us: NOON_US,
                    transition: opened.clone(),
                    task_ids,
                });
            }
            let answer = port.try_get("/api/v1/status").await;
            assert_eq!(answer, Some(200), "slow readers are nobody else's trouble");
            if is_free(&port).await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("cut off in time");
    drop(lazy);
    port.finish().await;
}

/// Whether a stream may be opened.
#[cfg(feature = "long-tests")]
async fn is_free(port: &Port) -> bool {
    let mut stream = port.connect().await;
    stream
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("sent");
    let head = read_until(&mut stream, "\r\n\r\n").await;
    head.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn a_half_sent_head_does_not_delay_the_stop_for_long() {
    let port = Port::open().await;
    let mut stream = port.connect().await;
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: local").await.unwrap();
    port.finish().await;
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "closed without an answer");
}
