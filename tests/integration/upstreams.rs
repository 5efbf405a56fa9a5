//! Upstreams with several endpoints, few connections, and sockets that are files.

use std::{
    fs,
    io::{BufReader, Read, Write},
    os::unix::net::UnixListener,
    thread,
    time::Duration,
};

use crate::{
    harness::{
        Connection, Fusebox, Gate, HeldUpstream, PATIENCE, ScriptedUpstream, Setup, Step, ending,
        pass, raw, stall, status,
    },
    local::wait_until,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Far more failures than any test makes, so that the breaker stays out of it.
const PATIENT: &str = "breaker: { consecutive_failures: 1000 }";

fn start(count: usize, keys: &[&str]) -> (Vec<ScriptedUpstream>, Fusebox) {
    let endpoints: Vec<_> = (0..count).map(|_| ScriptedUpstream::start()).collect();
    let urls: Vec<_> = endpoints.iter().map(ScriptedUpstream::url).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let keys = [&[PATIENT, "retry: { attempts: 1 }"], keys].concat();
    (endpoints, Setup::payments_at(&urls, &keys).with("workers: 2").start())
}

#[test]
fn several_endpoints_share_the_calls() {
    let (endpoints, fusebox) = start(3, &[]);
    for _ in 0..90 {
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    for endpoint in &endpoints {
        assert!((10..=50).contains(&endpoint.hits()), "{} of 90", endpoint.hits());
        let host = endpoint.last().headers.one("host").map(str::to_owned);
        assert_eq!(host, Some(endpoint.authority()));
    }
}

#[test]
fn the_less_busy_of_two_gets_the_call_whichever_thread_it_meets() {
    let (endpoints, fusebox) = start(2, &[]);
    for endpoint in &endpoints {
        endpoint.answer_on("/slow", stall());
    }
    let mut slow = fusebox.connect();
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    let busy = wait_until("one is busy", PATIENCE, || {
        endpoints.iter().position(|endpoint| endpoint.hits() == 1)
    });
    for _ in 0..20 {
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    assert_eq!((endpoints[busy].hits(), endpoints[1 - busy].hits()), (1, 20));
}

#[test]
fn an_endpoint_that_keeps_failing_gets_no_calls_for_a_while() {
    let (endpoints, fusebox) = start(2, &["ejection: { consecutive_failures: 3, for: 1s }"]);
    endpoints[0].answer(status(500));
    wait_until("it has failed three times", PATIENCE, || {
        fusebox.get("/", &[]);
        (endpoints[0].hits() == 3).then_some(())
    });
    let line = fusebox.wait_for_line("it is left out", |line| line["ejectedForMs"].is_number());
    assert_eq!(line["endpoint"], endpoints[0].authority(), "{line}");
    for _ in 0..20 {
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    assert_eq!(endpoints[0].hits(), 3);
    endpoints[0].answer(status(200));
    wait_until("it gets calls again", PATIENCE, || {
        assert_eq!(fusebox.get("/", &[]).status, 200);
        (endpoints[0].hits() > 3).then_some(())
    });
}

#[test]
fn no_more_than_the_share_is_ever_left_out_and_an_only_one_never() {
    let ejection =
        |share| format!("ejection: {{ consecutive_failures: 1, for: 1h, max_share: {share} }}");
    for (count, share, staying) in [(4, "50%", 2), (4, "100%", 1), (2, "0%", 2), (1, "100%", 1)] {
        let (endpoints, fusebox) = start(count, &[&ejection(share)]);
        for endpoint in &endpoints {
            endpoint.answer(status(500));
        }
        for _ in 0..60 {
            assert_eq!(fusebox.get("/", &[]).status, 500);
        }
        let before: Vec<_> = endpoints.iter().map(ScriptedUpstream::hits).collect();
        for _ in 0..60 {
            assert_eq!(fusebox.get("/", &[]).status, 500);
        }
        let used = endpoints.iter().zip(before).filter(|(now, then)| now.hits() > *then).count();
        assert_eq!(used, staying, "of {count} at most {share} are out");
    }
}

#[test]
fn an_endpoint_may_be_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("fusebox-up-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("the path is free");
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream);
        let mut heads = Vec::new();
        for _ in 0..2 {
            let head = crate::harness::read_head(&mut reader).expect("a request");
            let mut body = vec![0; head.headers.one("content-length").map_or(0, |_| 4)];
            reader.read_exact(&mut body).expect("its body");
            reader.get_mut().write_all(OK.as_bytes()).expect("it reads");
            heads.push((head.line, head.headers, body));
        }
        heads
    });
    let fusebox = Setup::payments(&format!("unix:{}", path.display()), &[]).start();
    let mut caller = fusebox.connect();
    let id = [("x-correlation-id", "req-socket")];
    assert_eq!(caller.call("POST", "/pay?a=b", &id, b"body").text(), "ok");
    assert_eq!(caller.get("/again", &[]).text(), "ok", "the connection is kept");
    let heads = serving.join().expect("it served");
    drop(fs::remove_file(&path));
    let (line, headers, body) = &heads[0];
    assert_eq!((line.as_str(), body.as_slice()), ("POST /pay?a=b HTTP/1.1", &b"body"[..]));
    assert_eq!(headers.one("host"), Some("localhost"));
    let row = fusebox.row("req-socket");
    assert_eq!(row["endpoint"], format!("unix:{}", path.display()), "{row}");
    assert_eq!(fusebox.get("/", &[]).proxy_error(), Some("connection_refused"), "it is gone");
}

/// Calls from so many callers at once, and says whether all were answered with 200.
fn call_together(fusebox: &Fusebox, callers: usize, each: usize) -> bool {
    thread::scope(|scope| {
        let call = || {
            let mut caller = fusebox.connect();
            (0..each).all(|_| caller.get("/", &[]).status == 200)
        };
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        callers.into_iter().all(|caller| caller.join().is_ok_and(|all| all))
    })
}

#[test]
fn a_cap_of_one_connection_holds_over_all_threads_and_every_call_is_answered() {
    const CALLS: usize = 20 * 5;
    let upstream = HeldUpstream::start();
    let keys = ["limits: { connections: 1 }", "timeouts: { connect: 10s }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).with("workers: 2").start();
    let served = thread::scope(|scope| {
        let calling = scope.spawn(|| call_together(&fusebox, 20, CALLS / 20));
        // One connection after the other: a second one beside it would not be served.
        let mut open = upstream.accept();
        let mut served = 0;
        while served < CALLS {
            if open.try_request().is_none() {
                open = upstream.accept();
                continue;
            }
            let second = upstream.try_accept();
            assert!(second.is_none(), "while a call is under way on the one connection");
            open.send(OK);
            served += 1;
        }
        assert!(calling.join().expect("the callers"), "some call was not answered");
        served
    });
    assert_eq!(served, CALLS);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

/// One connection, in use by a call, and so many calls that wait for it.
fn one_busy(
    pending: usize,
    connect: &str,
) -> (ScriptedUpstream, Fusebox, [Connection; 1], std::sync::Arc<Gate>) {
    let upstream = ScriptedUpstream::start();
    let limits = format!("limits: {{ connections: 1, pending: {pending} }}");
    let timeouts = format!("timeouts: {{ connect: {connect} }}");
    let keys = [limits.as_str(), &timeouts, "retry: { attempts: 3 }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).with("workers: 2").start();
    let gate = Gate::new();
    upstream.answer_on("/slow", vec![Step::ReadBody, Step::WaitFor(gate.clone()), raw(OK)]);
    let mut busy = fusebox.connect();
    busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it is under way", PATIENCE, || (upstream.hits() == 1).then_some(()));
    (upstream, fusebox, [busy], gate)
}

#[test]
fn more_calls_than_may_wait_for_a_connection_are_refused_at_once() {
    let (upstream, fusebox, [mut busy], gate) = one_busy(0, "10s");
    let began = fusebox::clock::now();
    let response = fusebox.get("/", &[("x-correlation-id", "req-many")]);
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < Duration::from_secs(8), "{took:?}");
    let error = response.proxy_error();
    assert_eq!((response.status, error), (503, Some("connection_limit_reached")));
    assert_eq!(ending(&fusebox.row("req-many")), "refused no_connection 503");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    gate.open();
    assert_eq!(busy.response("GET").status, 200);
    assert_eq!(busy.get("/", &[]).status, 200, "it is free again");
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn a_call_waits_for_a_connection_no_longer_than_for_a_connect() {
    let (upstream, fusebox, [mut busy], gate) = one_busy(9, "200ms");
    let response = fusebox.get("/", &[("x-correlation-id", "req-waits")]);
    let error = response.proxy_error();
    assert_eq!((response.status, error), (503, Some("connection_limit_reached")));
    assert_eq!(ending(&fusebox.row("req-waits")), "refused no_connection 503");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    gate.open();
    assert_eq!(busy.response("GET").status, 200);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_caller_with_less_time_than_a_connect_waits_no_longer_than_it_said() {
    let (upstream, fusebox, [mut busy], gate) = one_busy(9, "10s");
    let headers = [("x-envoy-expected-rq-timeout-ms", "200"), ("x-correlation-id", "req-brief")];
    let response = fusebox.get("/", &headers);
    assert_eq!((response.status, response.proxy_error()), (504, Some("http_response_timeout")));
    assert_eq!(ending(&fusebox.row("req-brief")), "timeout caller_deadline 504");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    gate.open();
    assert_eq!(busy.response("GET").status, 200);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn who_waits_gets_the_connection_when_it_is_free() {
    let (upstream, fusebox, [mut busy], gate) = one_busy(9, "10s");
    let mut waiting: Vec<_> = (0..4).map(|_| fusebox.connect()).collect();
    for caller in &mut waiting {
        caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    wait_until("five are in flight", PATIENCE, || {
        (fusebox.ask("/api/v1/status")["inFlight"] == 5).then_some(())
    });
    assert_eq!(upstream.hits(), 1);
    gate.open();
    assert_eq!(busy.response("GET").status, 200);
    for caller in &mut waiting {
        assert_eq!(caller.response("GET").status, 200);
    }
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_not_used_any_more() {
    let keys = ["pool: { idle_timeout: 300ms }"];
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    let mut caller = fusebox.connect();
    let mut call = |kept: Option<Connection>| {
        caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut kept = kept.unwrap_or_else(|| upstream.accept());
        kept.request();
        kept.send(OK);
        assert_eq!(caller.response("GET").status, 200);
        kept
    };
    let kept = call(None);
    let mut kept = call(Some(kept));
    pass(Duration::from_millis(400));
    let _fresh = call(None);
    assert!(kept.is_closed());
}

#[test]
fn a_connection_that_is_too_old_carries_no_other_call() {
    let keys = ["pool: { idle_timeout: 1m, max_age: 1s }"];
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    let mut caller = fusebox.connect();
    let mut call = || {
        caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut made = upstream.accept();
        made.request();
        made.send(OK);
        assert_eq!(caller.response("GET").status, 200);
        made
    };
    let mut old = call();
    pass(Duration::from_secs(1));
    let _fresh = call();
    assert!(old.is_closed());
}

#[test]
fn no_connection_is_kept_where_none_may_be_idle() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &["pool: { idle: 0 }"]).start();
    let mut caller = fusebox.connect();
    for call in 0..3 {
        assert_eq!(caller.get("/", &[]).status, 200);
        assert_eq!(upstream.last().connection, call);
    }
}
