//! A kept connection that the upstream closes in the moment when the next call comes.

use crate::harness::{Connection, Fusebox, HeldUpstream, Setup, ending};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// After one call, whose connection is kept on both sides.
fn start(keys: &[&str]) -> (HeldUpstream, Fusebox, Connection, Connection) {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    let mut caller = fusebox.connect();
    caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut kept = upstream.accept();
    kept.request();
    kept.send(OK);
    assert_eq!(caller.response("GET").status, 200);
    (upstream, fusebox, caller, kept)
}

const PUT: &str =
    "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nx-correlation-id: req-race\r\n";
const POST: &str =
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nx-correlation-id: req-race\r\n";

#[test]
fn a_call_that_may_come_twice_is_sent_over_a_new_connection_and_nobody_failed() {
    for is_reset in [true, false] {
        let (upstream, fusebox, mut caller, mut kept) = start(&[]);
        caller.send(format!("{PUT}\r\nbody"));
        let line = kept.request().line;
        assert_eq!((line.as_str(), kept.bytes(4).as_slice()), ("PUT / HTTP/1.1", &b"body"[..]));
        if is_reset {
            kept.abort();
        } else {
            drop(kept);
        }
        let mut fresh = upstream.accept();
        assert_eq!((fresh.request().line, fresh.bytes(4)), (line, b"body".to_vec()));
        fresh.send(OK);
        assert_eq!(caller.response("PUT").status, 200);
        let row = fusebox.row("req-race");
        assert_eq!((ending(&row).as_str(), &row["attempts"]), ("success 200", &1.into()));
        assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    }
}

#[test]
fn it_is_sent_again_once_and_not_for_ever() {
    let (upstream, fusebox, mut caller, mut kept) = start(&[]);
    caller.send(format!("{PUT}\r\nbody"));
    kept.request();
    drop(kept);
    let mut fresh = upstream.accept();
    fresh.request();
    drop(fresh);
    assert_eq!(caller.response("PUT").status, 502);
    assert!(upstream.try_accept().is_none());
    assert_eq!(ending(&fusebox.row("req-race")), "failure reset_before_headers 502");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

#[test]
fn a_call_that_may_have_been_processed_is_never_sent_twice() {
    let keys = ["retry: { attempts: 5, on: [unsent, reset, timeout], statuses: [503] }"];
    let (upstream, fusebox, mut caller, mut kept) = start(&keys);
    caller.send(format!("{POST}\r\nbody"));
    kept.request();
    kept.abort();
    let response = caller.response("POST");
    assert_eq!((response.status, response.proxy_error()), (502, Some("connection_terminated")));
    assert!(upstream.try_accept().is_none());
    assert_eq!(ending(&fusebox.row("req-race")), "failure reset_before_headers 502");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

#[test]
fn an_upload_of_which_the_beginning_is_gone_is_not_sent_again() {
    let (upstream, _fusebox, mut caller, mut kept) = start(&[]);
    caller.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    caller.send(vec![b'a'; 600_000]);
    kept.request();
    kept.bytes(600_000);
    kept.abort();
    caller.try_send(vec![b'a'; 400_000]);
    assert_eq!(caller.response("PUT").status, 502);
    assert!(upstream.try_accept().is_none());
}

#[test]
fn a_post_that_finds_its_connection_closed_already_goes_over_a_new_one() {
    for is_reset in [true, false] {
        let (upstream, fusebox, mut caller, kept) = start(&[]);
        if is_reset {
            kept.abort();
        } else {
            drop(kept);
        }
        caller.send(format!("{POST}\r\nbody"));
        let mut fresh = upstream.accept();
        fresh.request();
        fresh.send(OK);
        assert_eq!(caller.response("POST").status, 200);
        assert_eq!(ending(&fusebox.row("req-race")), "success 200");
        assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    }
}
