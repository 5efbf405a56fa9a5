//! Tasks that were no calls: reported, scored late, and told by statistics; with real processes.

use serde_json::{Value, json};

use crate::{
    harness::{Connection, Database, Fusebox, PATIENCE, Response, ScriptedUpstream, Setup, run},
    local::wait_until,
};

const HISTORY: &str = "/api/v1/tasks/history?domain=music&action=generate-beat";

fn post(fusebox: &Fusebox, path: &str, key: &str, body: &Value) -> Response {
    let headers =
        [("content-type", "application/json"), ("idempotency-key", key), ("connection", "close")];
    let body = body.to_string();
    Connection::open(fusebox.admin).call("POST", path, &headers, body.as_bytes())
}

/// Ten beats that began at this time: eight succeed, two run out of time.
fn beats(started_at: &str) -> Value {
    let beat = |at: u32| {
        let mut beat = json!({"domain": "music", "action": "generate-beat", "durationMs": 900 + at,
            "startedAt": started_at, "cost": 0.01, "params": {"bpm": 120 + at, "genre": "house"}});
        if at < 8 {
            beat["success"] = json!(true);
            beat["impactScore"] = json!(75);
        } else {
            beat["outcome"] = json!("timeout");
        }
        beat
    };
    json!({"tasks": (0..10).map(beat).collect::<Vec<_>>()})
}

fn wait_for_total(fusebox: &Fusebox, total: u64) -> Value {
    wait_until("the tasks are counted", PATIENCE, || {
        let told = fusebox.ask(HISTORY);
        (told["total"] == total).then_some(told)
    })
}

/// A time that is not now, as whoever retries would send it again.
fn a_minute_ago() -> String {
    let now =
        std::process::Command::new("date").args(["-u", "-d", "-60 seconds", "+%FT%TZ"]).output();
    let text = String::from_utf8(now.expect("date runs").stdout).expect("a text");
    text.trim().to_owned()
}

fn start(database: Option<&Database<'_>>) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let mut setup = Setup::payments(&upstream.url(), &[]);
    if let Some(database) = database {
        setup = setup.database(&database.url);
    }
    let fusebox = setup.start();
    wait_until("the tables are there", PATIENCE, || {
        let answer = Connection::open(fusebox.admin).get(HISTORY, &[("connection", "close")]);
        (answer.status == 200).then_some(())
    });
    (upstream, fusebox)
}

#[test]
fn ten_beats_are_told_once_however_often_they_are_reported() {
    let database = Database::new();
    for database in [None, Some(&database)] {
        let (_upstream, mut fusebox) = start(database);
        let beats = beats(&a_minute_ago());
        let first = post(&fusebox, "/api/v1/tasks", "night-7", &beats);
        assert_eq!(first.status, 202, "{}", first.text());
        assert_eq!(post(&fusebox, "/api/v1/tasks", "night-7", &beats).json(), first.json());
        let told = wait_for_total(&fusebox, 10);
        assert_eq!(told["successRate"], 0.8);
        assert_eq!(told["averageImpactScore"], 75.0);
        assert_eq!((&told["scored"], &told["priced"]), (&json!(8), &json!(10)));
        assert_eq!((&told["totalCost"], &told["wastedCost"]), (&json!(0.1), &json!(0.02)));
        assert_eq!(told["costPerSuccess"], 0.0125);
        let reason = &told["commonFailureReasons"][0];
        assert_eq!((&reason["reason"], &reason["count"]), (&json!("timeout_total"), &json!(2)));
        assert_eq!(told["optimalParameters"]["status"], "collecting");

        // The reporter died with us before it heard the answer, and sends again.
        fusebox.kill9();
        fusebox.restart();
        assert_eq!(post(&fusebox, "/api/v1/tasks", "night-7", &beats).json(), first.json());
        let more = json!({"domain": "music", "action": "generate-beat", "durationMs": 5,
            "success": true, "startedAt": a_minute_ago()});
        assert_eq!(post(&fusebox, "/api/v1/tasks", "night-8", &more).status, 202);
        let told = wait_for_total(&fusebox, 11);
        assert_eq!(told["completeness"], 1.0, "each has a row, and one");
    }
}

#[test]
fn a_task_is_scored_the_moment_it_was_reported_and_once() {
    let database = Database::new();
    for database in [None, Some(&database)] {
        let (_upstream, fusebox) = start(database);
        let reported = post(&fusebox, "/api/v1/tasks", "one", &beats(&a_minute_ago())).json();
        // A beat that timed out has no score; its row may still be in the journal.
        let id = reported["data"]["ids"][9].as_str().unwrap();
        let path = format!("/api/v1/tasks/{id}/feedback");
        let score = |points: u32| {
            let answer =
                post(&fusebox, &path, "x", &json!({"impactScore": points, "source": "ann"}));
            (answer.status, answer.json()["data"]["changed"].clone())
        };
        assert_eq!(score(30), (200, json!(true)));
        assert_eq!(score(30), (200, json!(false)));
        assert_eq!(score(12), (200, json!(true)));
        let told = wait_for_total(&fusebox, 10);
        assert_eq!((&told["scored"], &told["averageImpactScore"]), (&json!(9), &json!(68.0)));
        let row = fusebox.ask(&format!("/api/v1/tasks/{id}"));
        assert_eq!((&row["impactScore"], &row["impactSource"]), (&json!(12.0), &json!("ann")));
        let unknown = "/api/v1/tasks/019aab2e-b400-7000-8000-000000000000/feedback";
        assert_eq!(post(&fusebox, unknown, "x", &json!({"impactScore": 1})).status, 404);
    }
}

#[test]
fn stats_are_a_table_csv_or_json_from_the_port_and_from_the_store() {
    let database = Database::new();
    let (_upstream, fusebox) = start(Some(&database));
    post(&fusebox, "/api/v1/tasks", "one", &beats(&a_minute_ago()));
    wait_for_total(&fusebox, 10);
    let (admin, config) = (fusebox.admin.to_string(), fusebox.config());
    for origin in [vec!["--admin", &admin], vec!["--database", "--config", &config]] {
        let stats = |args: &[&str], code: i32| {
            let finished = run(&[&["stats"], &origin[..], args].concat(), &[]);
            assert_eq!(finished.code, Some(code), "{args:?}: {}", finished.text);
            finished.text
        };
        let table = stats(&["--domain", "music", "--action", "generate-beat"], 0);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("DOMAIN  ACTION"), "{table}");
        assert!(lines[1].contains("80.00%") && lines[1].contains("$0.012500"), "{table}");
        assert!(lines[2].starts_with("10 tasks from "), "{table}");
        assert!(lines[5].starts_with("timeout_total"), "{table}");
        let grouped = stats(&["--group-by", "version,hour", "--from", "-2h"], 0);
        assert!(
            grouped.contains("from 10 rows, which stand for 100.00% of the tasks; exact"),
            "{grouped}"
        );
        let csv = stats(&["--group-by", "service", "--csv"], 0);
        assert!(csv.starts_with("service,total,success,"), "{csv}");
        assert!(csv.lines().nth(1).unwrap().starts_with("orders,10,8,0,2,"), "{csv}");
        let whole: Value = serde_json::from_str(&stats(&["--bucket", "1h", "--json"], 0)).unwrap();
        assert_eq!(whole["grouped"]["from"], "rollups");
        assert!(stats(&["--group-by", "servise"], 2).contains("did you mean `service`?"));
        assert!(stats(&["--bucket", "7m"], 2).contains("`bucket`: expected"));
    }
    let finished = run(&["stats", "--admin", "127.0.0.1:9"], &[]);
    assert_eq!(finished.code, Some(4), "{}", finished.text);
}

#[test]
fn rows_are_exported_from_the_port() {
    let (_upstream, fusebox) = start(None);
    post(&fusebox, "/api/v1/tasks", "one", &beats(&a_minute_ago()));
    wait_for_total(&fusebox, 10);
    let get = |path: &str| Connection::open(fusebox.admin).get(path, &[("connection", "close")]);
    let csv = get("/api/v1/tasks?domain=music&format=csv");
    assert_eq!(csv.headers.one("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = csv.text().split("\r\n").collect();
    assert!(lines[0].starts_with("startedAt,id,correlationId,"), "{}", lines[0]);
    assert_eq!(lines.len(), 12, "a heading, ten rows and the end");
    assert!(lines[1].contains(",'-,'-,'-,"), "what spreadsheets take for a formula: {}", lines[1]);
    let jsonl = get("/api/v1/tasks?domain=music&format=jsonl&limit=3");
    let rows: Vec<Value> =
        jsonl.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["params"]["genre"] == "house"), "{rows:?}");
}
