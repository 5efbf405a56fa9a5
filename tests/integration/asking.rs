//! Asking what happened: `fusebox history` and `fusebox trace`, by way of the admin port and of
//! the store itself.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    harness::{Database, Fusebox, Gate, Running, ScriptedUpstream, Setup, Step, raw, run, status},
    local::{free_address, wait_until},
};

/// The rows that `fusebox history --json` prints.
fn rows(args: &[&str]) -> Vec<Value> {
    let args = [&["history", "--json"], args].concat();
    let finished = run(&args, &[]);
    assert_eq!(finished.code, Some(0), "{args:?}: {}", finished.text);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    finished.text.lines().map(parse).collect()
}

/// Waits until so many rows are in the store.
fn wait_for_rows(fusebox: &Fusebox, count: usize) {
    wait_until("the rows are written", crate::harness::PATIENCE, || {
        let page = fusebox.ask("/api/v1/tasks?limit=500");
        (page["tasks"].as_array().map(Vec::len) == Some(count)).then_some(())
    });
}

/// Makes a breaker open: five failures and a refused call.
fn fail(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    upstream.answer(status(500));
    for at in 0..6 {
        fusebox.get("/pay", &[("x-correlation-id", &format!("req-bad-{at}"))]);
    }
}

#[test]
fn history_prints_what_the_filters_ask_for_from_the_port_and_from_the_store() {
    let upstream = ScriptedUpstream::start();
    let database = Database::new();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    fusebox.get("/pay", &[("x-correlation-id", "req-good")]);
    fail(&fusebox, &upstream);
    wait_for_rows(&fusebox, 7);

    let admin = fusebox.admin.to_string();
    let config = fusebox.config();
    for origin in [vec!["--admin", &admin], vec!["--database", "--config", &config]] {
        for (filters, count) in [
            (vec![], 7),
            (vec!["--limit", "3"], 3),
            (vec!["--correlation-id", "req-good"], 1),
            (vec!["--outcome", "failure"], 5),
            (vec!["--reason", "breaker_open"], 1),
            (vec!["--status", "5xx"], 6),
            (vec!["--status", "500"], 5),
            (vec!["--upstream", "payments", "--service", "orders", "--from", "-15m"], 7),
            (vec!["--upstream", "music"], 0),
            (vec!["--from", "2h", "--to", "1h"], 0),
        ] {
            let found = rows(&[origin.clone(), filters.clone()].concat());
            assert_eq!(found.len(), count, "{origin:?} {filters:?}");
        }
        let newest = rows(&[origin.clone(), vec!["--limit", "1"]].concat());
        assert_eq!(newest[0]["correlationId"], "req-bad-5", "{origin:?}: the newest first");
    }
}

#[test]
fn history_is_a_table_that_fits_and_says_what_it_shows() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    fail(&fusebox, &upstream);
    wait_for_rows(&fusebox, 6);
    let admin = fusebox.admin.to_string();
    let args = ["history", "--admin", &admin, "--limit", "5"];
    let finished = run(&args, &[("COLUMNS", "100")]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    let lines: Vec<&str> = finished.text.lines().collect();
    assert!(lines[0].starts_with("TIME (UTC)"), "{}", finished.text);
    assert!(lines[1].contains("refused"), "{}", finished.text);
    assert!(lines[2].contains("failure http_500"), "{}", finished.text);
    assert!(lines[6].starts_with("5 rows from ") && lines[6].contains("--limit"), "{}", lines[6]);
    assert_eq!(lines[7], "100.00% of the calls have a row of their own");
    assert!(lines[..6].iter().all(|line| line.chars().count() <= 100), "{}", finished.text);
    assert!(!finished.text.contains('\u{1b}'), "a pipe gets no colours");
}

#[test]
fn the_embedded_store_is_read_beside_a_running_instance_and_never_made() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.get("/", &[]);
    wait_for_rows(&fusebox, 1);
    let config = fusebox.config();
    assert_eq!(rows(&["--database", "--config", &config]).len(), 1);
    assert!(fusebox.terminate().success());
    assert_eq!(rows(&["--database", "--config", &config]).len(), 1);

    let nowhere = std::env::temp_dir().join(format!("fusebox-nowhere-{}", std::process::id()));
    let yaml = format!(
        "data_dir: {}\nlisteners: {{ e: {{ listen: \"127.0.0.1:1\", upstream: a }} }}\n\
         upstreams: {{ a: {{ endpoints: [\"http://127.0.0.1:2\"] }} }}\n",
        nowhere.display()
    );
    let finished = run(&["history", "--database"], &[("FUSEBOX_CONFIG", &yaml)]);
    assert_eq!(finished.code, Some(4), "{}", finished.text);
    assert!(finished.text.contains("there is no"), "{}", finished.text);
    assert!(!nowhere.exists());
}

#[test]
fn a_question_that_cannot_be_answered_has_an_exit_code_and_a_reason() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let admin = fusebox.admin.to_string();
    let (config, nobody) = (fusebox.config(), free_address().to_string());
    let direct = ["history", "--database", "--config", &config, "--reason", "bad_luck"];
    for (args, code, says) in [
        (&["history", "--admin", &admin, "--outcome", "failed"][..], 2, "one of success, failure"),
        (&["history", "--admin", &admin, "--from", "-40d"], 2, "31d apart"),
        (&direct, 2, "`reason`: expected one of"),
        (&["history", "--admin", &admin, "--limit", "0"], 2, "limit"),
        (&["history", "--admin", &admin, "--follow", "--from", "1h"], 2, "--from"),
        (&["history", "--admin", &nobody], 4, "cannot reach the admin port"),
        (&["history", "--follow", "--admin", &nobody], 4, "cannot reach the admin port"),
        (&["history", "--database"], 2, "no database"),
        (&["trace", "req-none", "--admin", &admin], 1, "no row has the correlation id `req-none`"),
        (&["trace", "a b", "--admin", &admin], 2, "`correlationId`"),
    ] {
        let finished = run(args, &[]);
        assert_eq!(finished.code, Some(code), "{args:?}: {}", finished.text);
        assert!(finished.text.contains(says), "{args:?}: {}", finished.text);
    }
}

#[test]
fn a_command_says_itself_why_the_database_does_not_answer() {
    let empty = Database::new();
    let (base, _) = empty.url.rsplit_once('/').expect("a URL ends with the database");
    let missing = format!("{base}/nobody_made_it?sslmode=disable");
    for (url, says) in [(&empty.url, "fusebox migrate up"), (&missing, "does not exist")] {
        let finished = run(&["history", "--database"], &[("DATABASE_URL", url)]);
        assert_eq!(finished.code, Some(4), "{}", finished.text);
        assert!(finished.text.contains(says), "{}", finished.text);
    }
}

#[test]
fn following_prints_every_new_row_once_also_those_of_long_calls() {
    const CALLS: usize = 60;
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    for at in 0..15 {
        fusebox.get("/", &[("x-correlation-id", &format!("req-old-{at:02}"))]);
    }
    wait_for_rows(&fusebox, 15);
    // Begins before all others and ends after them.
    let gate = Gate::new();
    upstream.answer_on(
        "/long",
        vec![
            Step::ReadBody,
            raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"),
            Step::WaitFor(gate.clone()),
            raw("k"),
        ],
    );
    let mut long = fusebox.connect();
    long.send("GET /long HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-long\r\n\r\n");
    assert_eq!(long.head().0, 200);

    let admin = fusebox.admin.to_string();
    let following = Running::start(&["history", "--follow", "--json", "--admin", &admin]);
    following.wait_for(10);
    let mut connection = fusebox.connect();
    for at in 0..CALLS {
        connection.get("/", &[("x-correlation-id", &format!("req-new-{at:02}"))]);
    }
    following.wait_for(10 + CALLS);
    gate.open();
    following.wait_for(10 + CALLS + 1);
    fusebox.get("/", &[("x-correlation-id", "req-last")]);
    let lines = following.wait_for(10 + CALLS + 2);

    let ids = lines.iter().map(|line| {
        let row: Value = serde_json::from_str(line).expect("a row");
        row["correlationId"].as_str().expect("an id").to_owned()
    });
    let ids: Vec<String> = ids.collect();
    let once: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), once.len(), "a row was printed twice: {ids:?}");
    assert_eq!((ids[0].as_str(), ids[9].as_str()), ("req-old-05", "req-old-14"));
    let (new, late): (Vec<&String>, Vec<&String>) =
        ids[10..].iter().partition(|id| id.starts_with("req-new-"));
    assert_eq!(new.len(), CALLS);
    assert_eq!(late, ["req-long", "req-last"]);
}

#[test]
fn following_goes_on_when_fusebox_is_restarted() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.get("/", &[("x-correlation-id", "req-before")]);
    wait_for_rows(&fusebox, 1);
    let admin = fusebox.admin.to_string();
    let following = Running::start(&["history", "--follow", "--json", "--admin", &admin]);
    following.wait_for(1);
    fusebox.get("/", &[("x-correlation-id", "req-last-words")]);
    assert!(fusebox.terminate().success());
    // What was written meanwhile is printed when it answers again.
    fusebox.restart();
    fusebox.get("/", &[("x-correlation-id", "req-after")]);
    let lines = following.wait_for(3).join("\n");
    for id in ["req-before", "req-last-words", "req-after"] {
        assert_eq!(lines.matches(id).count(), 1, "{id} in {lines}");
    }
}

/// Two services, each with its own Fusebox: orders calls payments.
#[test]
fn a_trace_shows_the_calls_of_several_services_as_one_tree() {
    let upstream = ScriptedUpstream::start();
    let database = Database::new();
    let payments =
        Setup::payments(&upstream.url(), &[]).service("payments").database(&database.url).start();
    let orders =
        Setup::payments(&format!("http://{}", payments.proxy), &[]).database(&database.url).start();
    let first = orders.get("/v1/charges", &[("x-correlation-id", "req-trace")]);
    let first_id = first.headers.one("x-task-id").expect("an id").to_owned();
    assert_ne!(upstream.last().headers.one("x-task-id"), Some(first_id.as_str()));
    // What orders does next because of the first call, and something whose cause nobody knows.
    upstream.answer(status(503));
    let cause = [("x-correlation-id", "req-trace"), ("x-task-id", first_id.as_str())];
    orders.get("/v1/refunds", &cause);
    let unknown = "0192f0c1-aaaa-7bbb-8ccc-0123456789ab";
    orders.get("/v1/other", &[("x-correlation-id", "req-trace"), ("x-task-id", unknown)]);
    wait_for_rows(&orders, 6);

    let admin = orders.admin.to_string();
    let finished = run(&["trace", "req-trace", "--admin", &admin], &[("COLUMNS", "120")]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    let lines: Vec<&str> = finished.text.lines().collect();
    assert!(lines[0].starts_with("req-trace: 6 calls of 2 services in "), "{}", finished.text);
    let expected = [
        ("GET payments /*", "orders ", "success"),
        ("├─ GET payments /*", "payments ", "success"),
        ("└─ GET payments /*", "orders ", "failure http_503"),
        ("   └─ GET payments /*", "payments ", "failure http_503"),
        ("? GET payments /*", "orders ", "failure http_503"),
        ("└─ GET payments /*", "payments ", "failure http_503"),
    ];
    for (line, (call, service, outcome)) in lines[3..9].iter().zip(expected) {
        assert!(line.starts_with(call), "{call} in:\n{}", finished.text);
        assert!(line.contains(service) && line.contains(outcome), "{line}");
        assert!(line.contains(['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉']), "{line}");
        assert!(line.chars().count() <= 120, "{line}");
    }
    assert!(finished.text.contains("?  what caused this call has no row here"));

    let config = orders.config();
    let finished = run(&["trace", "req-trace", "--json", "--database", "--config", &config], &[]);
    let trace: Value = serde_json::from_str(&finished.text).expect(&finished.text);
    assert_eq!(trace["calls"], 6);
    assert_eq!(trace["tree"][0]["id"], first_id.as_str());
    assert_eq!(trace["tree"][0]["children"][0]["service"], "payments");
    assert_eq!(trace["tree"][0]["children"][1]["children"][0]["status"], 503);
    assert_eq!(trace["tree"][1]["standing"], "orphan");
    assert_eq!(trace["tree"][1]["children"].as_array().map(Vec::len), Some(1));
}
