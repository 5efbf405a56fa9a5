//! What callers send. The upstream is a strict one: it looks at every byte that reaches it.

use super::table::{Row, read, unescaped};
use crate::harness::{Connection, Fusebox, Headers, Received, ScriptedUpstream, Setup};

/// What `tests/data/malformed/requests.txt` says of a row:
/// - `caller: half-closes` behind what it sent; else another call follows at once;
/// - `interim`: the interim answers that the caller gets; none without;
/// - `status`: the answers in their order, or `none`;
/// - `error`: what Proxy-Status says of the first, where there was a head to be answered;
/// - `then: closes` or `then: goes on`: what becomes of the connection;
/// - `upstream`: the request line that the upstream receives; without, no request does, save the
///   beginning of one whose body is `never whole`;
/// - `with`, `without` and `has`: a field that it receives, one that it does not, and one with
///   whatever value;
/// - `body`: what it receives as the body, or `never whole`;
/// - `trailers`: the names of the fields that it receives behind the body; none without.
const KEYS: [&str; 11] = [
    "caller", "interim", "status", "error", "then", "upstream", "with", "without", "has", "body",
    "trailers",
];

#[test]
fn requests_are_answered_and_sent_on_as_the_table_says() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let rows = read("requests", &KEYS);
    let faults: Vec<String> = rows
        .iter()
        .enumerate()
        .flat_map(|(number, row)| {
            let path = format!("/behind/{number}");
            let found = check(row, &path, &fusebox, &upstream);
            found.into_iter().map(|fault| format!("{}: {fault}", row.what))
        })
        .collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    let received = upstream.received();
    let ambiguous: Vec<String> = received.iter().filter_map(ambiguity).collect();
    assert!(ambiguous.is_empty(), "{}", ambiguous.join("\n"));
    // Again, now that there was time for what should not come.
    let whole = received.iter().filter(|request| is_whole(request)).count();
    let expected = rows.iter().map(|row| row.all("upstream").len() + goes_on(row)).sum::<usize>();
    assert_eq!(whole, expected);
    let may_begin = rows.iter().filter(|row| row.get("body") == Some("never whole")).count();
    assert!(received.len() - whole <= may_begin, "what is refused at its head is not sent on");
}

/// Whether the upstream has all of a request.
const fn is_whole(request: &Received) -> bool {
    request.trailers.is_some()
}

/// How many calls follow a row's on its connection.
fn goes_on(row: &Row) -> usize {
    usize::from(row.get("then") == Some("goes on"))
}

/// What a caller saw of its connection.
#[derive(Debug, PartialEq)]
struct Seen {
    interim: Vec<u16>,
    error: Option<String>,
    status: Vec<u16>,
    is_closed: bool,
}

/// What is not as the row says.
fn check(row: &Row, behind: &str, fusebox: &Fusebox, upstream: &ScriptedUpstream) -> Vec<String> {
    let before = upstream.hits();
    let half_closes = row.get("caller") == Some("half-closes");
    let closes = goes_on(row) == 0;
    let mut expected = Seen {
        interim: numbers(row.get("interim")),
        error: row.get("error").map(str::to_owned),
        status: numbers(row.get("status").filter(|status| *status != "none")),
        is_closed: true,
    };
    if !closes {
        // The call behind it is answered, and it asks for the end of the connection.
        expected.status.push(200);
    }
    let mut connection = fusebox.connect();
    connection.try_send(&row.sent);
    if half_closes {
        connection.half_close();
    } else {
        let next = format!("GET {behind} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        connection.try_send(next);
    }
    let mut faults = Vec::new();
    let seen = answers(&mut connection, row);
    if seen != expected {
        faults.push(format!("{seen:?}, not {expected:?}"));
    }
    // The beginning of an earlier one may arrive only now.
    let received = upstream.received().into_iter().skip(before).filter(is_whole);
    let (next, received): (Vec<_>, Vec<_>) =
        received.partition(|request| request.line.contains(behind));
    if closes && !next.is_empty() {
        faults.push("what stood behind it got through".to_owned());
    }
    match (row.get("upstream"), &received[..]) {
        (None, []) => {}
        (Some(line), [request]) => faults.extend(differences(row, line, request)),
        (_, received) => {
            let lines: Vec<&str> = received.iter().map(|request| request.line.as_str()).collect();
            faults.push(format!("the upstream received {lines:?}"));
        }
    }
    if fusebox.breaker("payments")["failureCount"] != 0 {
        faults.push("the upstream is blamed".to_owned());
    }
    faults
}

/// Reads answers until the connection ends.
fn answers(connection: &mut Connection, row: &Row) -> Seen {
    let mut seen = Seen { interim: vec![], error: None, status: vec![], is_closed: false };
    let is_head = row.sent.starts_with(b"HEAD ");
    while let Some((status, headers)) = connection.try_head() {
        if status < 200 {
            seen.interim.push(status);
            continue;
        }
        let method = if is_head && seen.status.is_empty() { "HEAD" } else { "GET" };
        if row.get("error").is_some() && seen.status.is_empty() {
            seen.error = headers.proxy_error().map(str::to_owned);
        }
        seen.status.push(status);
        if connection.body(method, status, &headers).is_err() {
            break;
        }
    }
    seen.is_closed = connection.is_closed();
    seen
}

/// What the upstream should have received otherwise.
fn differences(row: &Row, line: &str, request: &Received) -> Vec<String> {
    let mut faults = Vec::new();
    if request.line != line {
        faults.push(format!("the upstream received {}", request.line));
    }
    let fields: Vec<&[u8]> = request.head.split(|&byte| byte == b'\n').collect();
    for field in row.all("with") {
        let wanted = unescaped(field);
        if !fields.iter().any(|field| field.trim_ascii() == wanted) {
            faults.push(format!("the upstream did not receive {field}"));
        }
    }
    for name in row.all("without") {
        if !request.headers.all(name).is_empty() {
            faults.push(format!("the upstream received {name}"));
        }
    }
    for name in row.all("has") {
        if request.headers.all(name).is_empty() {
            faults.push(format!("the upstream did not receive {name}"));
        }
    }
    if request.body != row.get("body").unwrap_or_default().as_bytes() {
        faults.push(format!("the upstream received this body: {:?}", request.body));
    }
    let trailers: Vec<&str> = request.trailers.iter().flat_map(Headers::names).collect();
    if trailers.join(" ") != row.get("trailers").unwrap_or_default() {
        faults.push(format!("the upstream received these trailers: {trailers:?}"));
    }
    faults
}

/// What another parser could read differently in a request that reached the upstream.
fn ambiguity(request: &Received) -> Option<String> {
    let head = String::from_utf8_lossy(&request.head);
    let lines: Vec<&str> = head.split("\r\n").collect();
    let is_plain =
        |line: &&str| !line.starts_with([' ', '\t']) && !line.contains(['\r', '\n', '\0']);
    let count = |name| request.headers.all(name).len();
    let framings = count("content-length") + count("transfer-encoding");
    let coding = request.headers.all("transfer-encoding");
    let parts: Vec<&str> = request.line.split(' ').collect();
    let is_about = |token: &str| match token {
        "TE" => count("te") == 1,
        "Upgrade" => count("upgrade") == 1,
        _ => false,
    };
    let is_clear = lines.iter().all(is_plain)
        && lines.ends_with(&["", ""])
        && matches!(parts[..], [_, target, "HTTP/1.1"] if target.starts_with(['/', '*']))
        && count("host") == 1
        && framings <= 1
        && coding.iter().all(|coding| *coding == "chunked")
        && request.headers.all("connection").iter().all(|token| is_about(token))
        && request.headers.all("te").iter().all(|token| *token == "trailers")
        && count("keep-alive") + count("expect") == 0;
    (!is_clear).then(|| format!("it can be read in two ways: {request:?}"))
}

fn numbers(text: Option<&str>) -> Vec<u16> {
    let words = text.unwrap_or_default().split_ascii_whitespace();
    words.map(|word| word.parse().expect("a status")).collect()
}
