//! What routes capture of their tasks: from a caller's bytes to the columns of a row.

use serde_json::{Value, json};

use crate::{
    harness::{
        Database, Fusebox, ScriptedUpstream, Setup, Step, ending,
        frames::{self, Frames},
        get, raw, status,
    },
    local::wait_until,
};

/// A route with everything that can be captured.
const BEATS: &str = "listeners:
  egress:
    listen: \"{proxy}\"
    routes:
      - name: beats
        match: { path_prefix: /beats }
        upstream: music
        task:
          domain: music
          path: /beats/{kind}
          action: generate-{kind}
          params:
            bpm: { from: request.json, pointer: /bpm, type: int, min: 40, max: 240 }
            genre: { from: request.json, pointer: /style/genre, type: enum }
            model: { from: request.header, name: x-model, type: enum }
            page: { from: request.query, name: page_size, type: int }
            kind: { from: path, segment: kind, type: enum }
            style: { from: request.form, name: \"style[name]\", type: enum }
          success: { unless: { from: response.json, pointer: /status, equals: failed } }
          impact: { from: response.json, pointer: /score, range: [0, 1] }
          cost:
            - fixed_usd: 0.002
            - { from: response.header, name: x-seconds, usd_per_unit: 0.0001 }
      - { name: plain, upstream: music }
upstreams:
  music:
    endpoints: [\"{music}\"]
";

fn setup(upstream: &ScriptedUpstream) -> Setup {
    Setup::of(BEATS.replace("{music}", &upstream.url()))
}

/// An answer with this body, of 30 seconds.
fn answer(body: &str) -> Vec<Step> {
    let fields = "content-type: application/json\r\nx-seconds: 30";
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\ncontent-length: {length}\r\n\r\n{body}");
    vec![Step::ReadBody, raw(&answer)]
}

/// Sends a body of JSON and returns the row.
fn post(fusebox: &Fusebox, id: &str, path: &str, body: &str) -> Value {
    let headers =
        [("content-type", "application/json"), ("x-correlation-id", id), ("x-model", "large")];
    assert_eq!(fusebox.connect().call("POST", path, &headers, body.as_bytes()).status, 200);
    fusebox.row(id)
}

#[test]
fn a_call_leaves_parameters_impact_and_cost_in_its_row() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    upstream.answer(answer(r#"{"status": "done", "score": 0.755}"#));
    for url in ["", &*database.url] {
        let fusebox = setup(&upstream).database(url).start();
        let body = r#"{"bpm": 120, "style": {"genre": "trap"}, "lyrics": "not kept"}"#;
        let row = post(&fusebox, "req-beat", "/beats/Hip-Hop?page_size=50&q=not-kept", body);
        assert_eq!(ending(&row), "success 200");
        assert_eq!((&row["domain"], &row["action"]), (&"music".into(), &"generate-hip-hop".into()));
        let expected = json!({"bpm": 120, "genre": "trap", "model": "large", "page": 50, "kind": "Hip-Hop",
                "style": null});
        assert_eq!(row["params"], expected);
        assert!((row["impactScore"].as_f64().expect("a score") - 75.5).abs() < 1e-4, "{row}");
        assert_eq!(row["cost"], 0.005);
        assert_eq!(upstream.last().body, body.as_bytes(), "byte for byte");
        let row = post(&fusebox, "req-plain", "/", body);
        assert_eq!([&row["params"], &row["impactScore"], &row["cost"]], [&Value::Null; 3]);
    }
    database.wait_for(
        "select (params->>'bpm')::int * 2, round(impact_score::numeric, 1), cost
         from task_history where correlation_id = 'req-beat'",
        "240|75.5|0.005",
    );
}

#[test]
fn a_form_tells_parameters_too() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(answer("{}"));
    let fusebox = setup(&upstream).start();
    let form = "style%5Bname%5D=hip-hop+beat&bpm=90&lyrics=not+kept";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("x-correlation-id", "req-form"),
    ];
    assert_eq!(fusebox.connect().call("POST", "/beats/x", &headers, form.as_bytes()).status, 200);
    let expected = json!({"bpm": null, "genre": null, "model": null, "page": null, "kind": "x",
        "style": "hip-hop beat"});
    assert_eq!(fusebox.row("req-form")["params"], expected);
    assert_eq!(upstream.last().body, form.as_bytes(), "byte for byte");
}

#[test]
fn a_task_that_failed_is_told_and_its_upstream_is_not_blamed() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(answer(r#"{"status": "failed", "score": 0}"#));
    let fusebox = setup(&upstream).start();
    for call in 0..6 {
        let row = post(&fusebox, &format!("req-{call}"), "/beats/x", r#"{"bpm": 120}"#);
        assert_eq!(ending(&row), "failure task_failed 200");
        assert_eq!((&row["impactScore"], &row["cost"]), (&0.0.into(), &0.005.into()));
    }
    assert_eq!(
        (fusebox.state("music"), fusebox.breaker("music")["failureCount"].clone()),
        ("CLOSED".into(), 0.into())
    );
    upstream.answer(status(404));
    let headers = [("x-correlation-id", "req-404")];
    assert_eq!(fusebox.get("/beats/x", &headers).status, 404);
    assert_eq!(ending(&fusebox.row("req-404")), "failure task_failed 404");
    upstream.answer(status(503));
    assert_eq!(fusebox.get("/beats/x", &[("x-correlation-id", "req-503")]).status, 503);
    assert_eq!(ending(&fusebox.row("req-503")), "failure http_503 503", "the call's own reason");
    let listed = fusebox.ask("/api/v1/tasks/history?domain=music&action=generate-x");
    assert_eq!(listed["commonFailureReasons"][0]["reason"], "task_failed", "{listed}");
}

/// How often something was in the way.
fn faults(fusebox: &Fusebox, reason: &str) -> f64 {
    let metrics = get(fusebox.admin, "/metrics", &[]);
    let name = format!("fusebox_capture_faults_total{{reason=\"{reason}\"}} ");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

#[test]
fn what_cannot_be_read_is_counted_and_nobody_notices() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(answer(r#"{"score": 1}"#));
    let fusebox = setup(&upstream).start();
    let large = format!(r#"{{"bpm": 120, "x": "{}"}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"bpm": 120, "x": {}{}}}"#, "[".repeat(500), "]".repeat(500));
    let (json, plain) = (("content-type", "application/json"), ("content-type", "text/plain"));
    let gzip = ("content-encoding", "gzip");
    for (number, (fields, body, reason)) in [
        (&[json][..], "bpm=120", "not_json"),
        (&[json], r#"{"bpm": NaN}"#, "not_json"),
        (&[plain], r#"{"bpm": 120}"#, "not_json"),
        (&[json, gzip], "\u{1f}\u{8b}", "compressed"),
        (&[json], &large, "too_large"),
        (&[json], &deep, "too_deep"),
        (&[json], r#"{"bpm": 120, "bpm": 121}"#, "duplicate_key"),
        (&[json], r#"{"bpm": "fast"}"#, "wrong_type"),
        (&[json], r#"{"bpm": 9000}"#, "out_of_range"),
        (&[json], r#"{"style": {"genre": "jo@example.com"}}"#, "secret"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = faults(&fusebox, reason);
        let id = format!("req-{number}");
        let headers = [fields, &[("x-correlation-id", id.as_str())]].concat();
        let response = fusebox.connect().call("POST", "/beats/x", &headers, body.as_bytes());
        assert_eq!((response.status, response.text()), (200, r#"{"score": 1}"#), "{body}");
        assert_eq!(upstream.last().body, body.as_bytes());
        let row = fusebox.row(&id);
        assert_eq!(ending(&row), "success 200");
        assert!(row["params"]["bpm"].is_null() && row["params"]["genre"].is_null(), "{row}");
        assert_eq!((&row["params"]["kind"], &row["impactScore"]), (&"x".into(), &100.0.into()));
        assert!((faults(&fusebox, reason) - before - 1.0).abs() < 0.1, "{reason}");
    }
}

#[test]
fn only_so_many_actions_are_told_apart() {
    let upstream = ScriptedUpstream::start();
    let fusebox = setup(&upstream).start();
    for number in 0..34 {
        let id = format!("req-{number}");
        fusebox.get(&format!("/beats/k{number}"), &[("x-correlation-id", &id)]);
    }
    let action = |id: &str| fusebox.row(id)["action"].clone();
    assert_eq!([action("req-0"), action("req-31")], ["generate-k0", "generate-k31"]);
    assert_eq!([action("req-32"), action("req-33")], ["__other__", "__other__"]);
    fusebox.get("/beats/k0", &[("x-correlation-id", "req-again")]);
    assert_eq!(action("req-again"), "generate-k0");
    fusebox.get("/beats", &[("x-correlation-id", "req-none")]);
    assert_eq!(action("req-none"), "__other__", "there were 32 already");
}

#[test]
fn a_call_over_http2_tells_the_same() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(answer(r#"{"score": 0.5}"#));
    let fusebox = setup(&upstream).start();
    let mut caller = Frames::caller(fusebox.connect());
    caller.post(
        1,
        "/beats/x",
        &[("content-type", "application/json"), ("x-correlation-id", "req-h2")],
        br#"{"bpm": 90}"#,
    );
    assert_eq!(caller.next_of(frames::HEADERS).stream, 1);
    let row = fusebox.row("req-h2");
    assert_eq!((&row["params"]["bpm"], &row["impactScore"]), (&90.into(), &50.0.into()), "{row}");
    assert_eq!(row["params"]["model"], Value::Null);
}

#[test]
fn what_a_call_meant_survives_a_kill() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(answer(r#"{"score": 0.25}"#));
    // The store takes nothing while its database is not there.
    let database = Database::new();
    let mut fusebox = setup(&upstream).database(&database.url).start();
    let headers = [("content-type", "application/json"), ("x-correlation-id", "req-killed")];
    fusebox.connect().call("POST", "/beats/x", &headers, br#"{"bpm": 77}"#);
    fusebox.wait_for_line("its line", |line| line["correlationId"] == "req-killed");
    fusebox.kill9();
    fusebox.restart();
    let row = fusebox.row("req-killed");
    assert_eq!(ending(&row), "success 200");
    assert_eq!((&row["params"]["bpm"], &row["impactScore"]), (&77.into(), &25.0.into()), "{row}");
    assert_eq!(database.query("select count(*) from task_history"), "1");
}

#[test]
fn parameters_of_a_call_that_failed_are_told_too() {
    let upstream = ScriptedUpstream::start();
    upstream.answer(vec![Step::ReadBody, Step::Reset]);
    let fusebox = setup(&upstream).start();
    let headers = [("content-type", "application/json"), ("x-correlation-id", "req-reset")];
    let status = fusebox.connect().call("POST", "/beats/x", &headers, br#"{"bpm": 200}"#).status;
    assert_eq!(status, 502);
    let row = fusebox.row("req-reset");
    assert_eq!((&row["params"]["bpm"], &row["cost"]), (&200.into(), &Value::Null), "{row}");
    wait_until("nothing is in flight", crate::harness::PATIENCE, || {
        (fusebox.ask("/api/v1/status")["inFlight"] == 0).then_some(())
    });
}
