//! nginx as the upstream, with files, ranges, compression and its own ideas about connections.

use crate::{
    curl::{curl, url},
    harness::{Fusebox, Setup},
    peer::Nginx,
};

const FILES: &str = "
  server {
    listen {listen};
    root {home}/files;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    # It sends nothing compressed to a proxy, which Fusebox tells that it is, unless told to.
    gzip_proxied any;
    location /refused { return 403; }
    location /redirect { return 301 /text; }
    location /upload { client_max_body_size 1k; proxy_pass http://{listen}/text; }
  }";

fn start(http: &str) -> (Nginx, Fusebox) {
    let nginx = Nginx::start(http);
    let files = nginx.home.path().join("files");
    std::fs::create_dir_all(&files).expect("a directory for its files");
    std::fs::write(files.join("text"), "0123456789".repeat(100_000)).expect("a file");
    let fusebox = Setup::payments(&nginx.url(), &[]).start();
    (nginx, fusebox)
}

#[test]
fn a_file_arrives_whole_and_in_parts() {
    let (_nginx, fusebox) = start(FILES);
    let mut connection = fusebox.connect();
    let whole = connection.get("/text", &[]);
    assert_eq!((whole.status, whole.body.len()), (200, 1_000_000));
    let part = connection.get("/text", &[("range", "bytes=10-14")]);
    assert_eq!((part.status, part.text()), (206, "01234"));
    assert_eq!(part.headers.one("content-range"), Some("bytes 10-14/1000000"));
    let parts = connection.get("/text", &[("range", "bytes=0-1,-2")]);
    assert_eq!(parts.status, 206);
    let kind = parts.headers.one("content-type").expect("several parts have a type");
    assert!(kind.starts_with("multipart/byteranges"), "{kind}");
    let beyond = connection.get("/text", &[("range", "bytes=1000000-")]);
    assert_eq!(beyond.status, 416);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_file_that_has_not_changed_is_not_sent_again() {
    let (_nginx, fusebox) = start(FILES);
    let mut connection = fusebox.connect();
    let first = connection.call("HEAD", "/text", &[], b"");
    assert_eq!(first.headers.one("content-length"), Some("1000000"));
    let etag = first.headers.one("etag").expect("it has a version");
    for _ in 0..3 {
        let again = connection.get("/text", &[("if-none-match", etag)]);
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.headers.one("etag"), Some(etag));
    }
}

#[test]
fn what_is_compressed_stays_compressed() {
    let (_nginx, fusebox) = start(FILES);
    let mut connection = fusebox.connect();
    for _ in 0..2 {
        let zipped = connection.get("/text", &[("accept-encoding", "gzip")]);
        assert_eq!(zipped.headers.one("content-encoding"), Some("gzip"));
        assert!(zipped.body.starts_with(&[0x1f, 0x8b]), "it is what gzip makes");
        assert!(zipped.body.len() < 10_000);
    }
}

#[test]
fn redirects_and_refusals_are_the_callers_business() {
    let (nginx, fusebox) = start(FILES);
    let mut connection = fusebox.connect();
    let redirect = connection.get("/redirect", &[]);
    assert_eq!(redirect.status, 301);
    let target = format!("http://{}/text", nginx.address);
    assert_eq!(redirect.headers.one("location"), Some(target.as_str()));
    assert_eq!(connection.get("/refused", &[]).status, 403);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn an_upload_that_nginx_refuses_at_its_head_is_answered() {
    let (_nginx, fusebox) = start(FILES);
    for _ in 0..5 {
        let mut connection = fusebox.connect();
        let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n";
        connection.send(head);
        connection.try_send(vec![b'x'; 5_000_000]);
        assert_eq!(connection.response("POST").status, 413);
        assert_eq!(fusebox.get("/text", &[]).status, 200);
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn connections_that_nginx_ends_after_some_calls_are_nobodys_failure() {
    let (_nginx, fusebox) = start(&FILES.replace("gzip on;", "keepalive_requests 3;"));
    let mut connection = fusebox.connect();
    for _ in 0..50 {
        assert_eq!(connection.call("POST", "/refused", &[], b"body").status, 403);
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn connections_that_nginx_ends_just_when_they_are_used_cost_no_call() {
    // It ends them after as long as a caller waits between two calls.
    let (_nginx, fusebox) = start(&FILES.replace("gzip on;", "keepalive_timeout 50ms;"));
    let call = || {
        let calls = url(&fusebox, "/redirect?[1-60]");
        let told = ["--output", "/dev/null", "--write-out", "%{http_code}\n"];
        curl(&[&told[..], &["--rate", "20/s", &calls]].concat(), b"").text()
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        for caller in callers {
            assert_eq!(caller.join().expect("it ends"), "301\n".repeat(60));
        }
    });
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}
