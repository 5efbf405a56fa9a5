//! Requests that an upstream of HTTP/2 answers while they come, and takes no more of: its window for
//! the stream stays shut.

use crate::harness::{
    Connection, Fusebox, HeldUpstream, Setup,
    frames::{self, Frames},
};

const CANCEL: u32 = 8;

/// A caller in the middle of its upload, and the upstream that has had some of it.
fn upload_under_way() -> (Fusebox, Connection, Frames) {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &["protocol: http2"]).start();
    let mut caller = fusebox.connect();
    let (length, some) = (1_000_000, "x".repeat(200_000));
    caller.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{some}"));
    let mut server = Frames::server(upstream.accept(), 100);
    server.next_of(frames::DATA);
    (fusebox, caller, server)
}

#[test]
fn after_the_whole_answer_the_rest_is_given_up_in_the_end() {
    let (_fusebox, mut caller, mut server) = upload_under_way();
    server.answer(1, 200);
    assert_eq!(caller.response("POST").status, 200);
    assert_eq!(server.code_of_reset(), CANCEL);
    assert!(caller.is_closed());
}

#[test]
fn when_the_caller_goes_away_in_the_middle_of_the_answer_it_is_given_up_at_once() {
    let (fusebox, mut caller, mut server) = upload_under_way();
    server.begin_answer(1);
    assert_eq!(caller.head().0, 200);
    caller.abort();
    // That it has gone shows when it is written to.
    for _ in 0..2 {
        server.send(frames::DATA, 0, 1, b"more");
    }
    assert_eq!(server.code_of_reset(), CANCEL);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn so_is_an_upload_of_which_nothing_was_taken() {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &["protocol: http2"]).start();
    let mut caller = fusebox.connect();
    // What is set counts once it is known: after the first call.
    caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut server = Frames::server_with(upstream.accept(), (frames::WINDOW, 0));
    server.next_of(frames::HEADERS);
    server.answer(1, 200);
    assert_eq!(caller.response("GET").status, 200);
    caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
    assert_eq!(server.next_of(frames::HEADERS).stream, 3);
    server.answer(3, 200);
    assert_eq!(caller.response("POST").status, 200);
    assert_eq!(server.code_of_reset(), CANCEL);
}
