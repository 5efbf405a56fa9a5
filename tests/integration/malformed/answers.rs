//! What upstreams send. What is wrong counts against them, and is never passed on as if it were whole.

use super::table::{Row, read};
use crate::{
    harness::{Fusebox, Headers, PATIENCE, ScriptedUpstream, Setup, Step, raw},
    local::wait_until,
};

/// What `tests/data/malformed/answers.txt` says of a row:
/// - `call`: the method, GET without;
/// - `then: closes` or `then: resets` behind what the upstream sent; else it waits;
/// - `status`: what the caller gets; 502 is Fusebox's own, and the upstream's failure;
/// - `error`: of that, what Proxy-Status says; `http_protocol_error` without;
/// - `body`: what the caller gets as the body, or `cut`, which is the upstream's failure too;
/// - `with` and `without`: a field that the caller gets, and one that it does not;
/// - `te: trailers`: the caller says that trailers are welcome;
/// - `trailers`: the names of those that it gets; none without;
/// - `next: the same connection` or `next: a new connection`: on which the upstream gets the call
///   that follows; a new one after a failure.
const KEYS: [&str; 10] =
    ["call", "te", "then", "status", "error", "body", "with", "without", "trailers", "next"];

#[test]
fn answers_are_passed_on_or_refused_as_the_table_says() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(vec![Step::ReadBody, raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext")]);
    let keys = ["breaker: { consecutive_failures: 1000 }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    let rows = read("answers", &KEYS);
    let faults: Vec<String> = rows
        .iter()
        .enumerate()
        .flat_map(|(number, row)| {
            let found = check(row, &format!("/row/{number}"), &fusebox, &upstream);
            found.into_iter().map(|fault| format!("{}: {fault}", row.what))
        })
        .collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// What is not as the row says.
fn check(row: &Row, path: &str, fusebox: &Fusebox, upstream: &ScriptedUpstream) -> Vec<String> {
    let mut steps = vec![Step::ReadBody, Step::Send(row.sent.clone())];
    steps.extend(match row.get("then") {
        Some("closes") => Some(Step::Close),
        Some("resets") => Some(Step::Reset),
        _ => None,
    });
    upstream.answer_on(path, steps);
    let method = row.get("call").unwrap_or("GET");
    let mut connection = fusebox.connect();
    let te = row.get("te").map(|te| format!("te: {te}\r\n")).unwrap_or_default();
    let ids = format!("{te}x-correlation-id: of-the-caller");
    connection.send(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{ids}\r\n\r\n"));
    let Some((status, headers)) = connection.try_head() else {
        return vec!["the caller gets nothing".to_owned()];
    };
    let body = connection.framed(method, status, &headers);
    let is_cut = body.is_err();
    let body = body.unwrap_or_default();
    let mut faults = Vec::new();
    if row.get("status") != Some(&status.to_string()) {
        faults.push(format!("the caller gets {status}"));
    }
    if status == 502 {
        faults.extend(not_ours(row, &headers));
    } else {
        let text = String::from_utf8_lossy(&body.bytes);
        let got = if is_cut { "cut" } else { &text };
        if row.get("body") != Some(got) {
            faults.push(format!("the caller gets this body: {got:?}"));
        }
        faults.extend(differences(row, &headers));
        let trailers: Vec<&str> = body.trailers.names().collect();
        if trailers.join(" ") != row.get("trailers").unwrap_or_default() {
            faults.push(format!("the caller gets these trailers: {trailers:?}"));
        }
    }
    let before = upstream.last().connection;
    let is_failure = status == 502 || is_cut;
    faults.extend(blame(fusebox, u64::from(is_failure)));
    if is_cut {
        connection = fusebox.connect();
    }
    let next = connection.get("/next", &[]);
    if (next.status, next.text()) != (200, "next") {
        faults.push(format!("the next call gets {} {:?}", next.status, next.text()));
    }
    let is_kept = upstream.last().connection == before;
    if is_kept != (row.get("next") == Some("the same connection")) && !ends(row) {
        faults.push(format!("that the connection is kept is {is_kept}"));
    }
    faults
}

/// Whether the upstream itself ends the connection, which then cannot be the same.
fn ends(row: &Row) -> bool {
    row.get("then").is_some()
}

/// The circuit has seen so many failures. That a body was cut is told a moment after the caller
/// saw it; that nothing failed, at once.
fn blame(fusebox: &Fusebox, failures: u64) -> Option<String> {
    let count = || fusebox.breaker("payments")["failureCount"].as_u64().expect("a number");
    if failures > 0 {
        wait_until("the failure is counted", PATIENCE, || (count() == failures).then_some(()));
    }
    let counted = count();
    (counted != failures).then(|| format!("{counted} failures are counted"))
}

/// Why this is no 502 of ours.
fn not_ours(row: &Row, headers: &Headers) -> Option<String> {
    let error = row.get("error").unwrap_or("http_protocol_error");
    let said = headers.proxy_error();
    (said != Some(error)).then(|| format!("Proxy-Status says {said:?}"))
}

/// What the caller should have got otherwise.
fn differences(row: &Row, headers: &Headers) -> Vec<String> {
    let mut faults = Vec::new();
    for field in row.all("with") {
        let (name, value) = field.split_once(": ").expect("a field has a name");
        if headers.all(name) != [value] {
            faults.push(format!("the caller gets {name}: {:?}", headers.all(name)));
        }
    }
    for name in row.all("without") {
        if !headers.all(name).is_empty() {
            faults.push(format!("the caller gets {name}"));
        }
    }
    faults
}
