//! The whole story of learning: beats that succeed or run out of time, what is told of them, and,
//! after enough of them, what to ask for next time.

use std::time::Duration;

use fusebox::clock;
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, Connection, Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, Step, raw, stall,
    },
    local::wait_until,
};

const HISTORY: &str = "/api/v1/tasks/history?domain=music&action=generate-beat";

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Days that are over and within retention.
const DAYS: i64 = 12;

/// How long days that are over may take to be added up, and advice to be worked out.
const LEARNED: Duration = Duration::from_secs(180);

/// One route tells callers what is recommended, the other does not.
fn setup(upstream: &ScriptedUpstream) -> Setup {
    let task = "domain: music
          action: generate-beat
          params:
            bpm: { from: request.json, pointer: /bpm, type: int, min: 40, max: 240 }
            genre: { from: request.json, pointer: /genre, type: enum }
          impact: { from: response.json, pointer: /score }";
    Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - name: beats
        match: {{ path_prefix: /beats }}
        upstream: music
        task:
          {task}
          advice_header: true
      - name: quiet
        match: {{ path_prefix: /quiet }}
        upstream: music
        task:
          {task}
upstreams:
  music:
    endpoints: [\"{}\"]
    timeouts: {{ first_byte: 2s }}
",
        upstream.url()
    ))
}

/// A beat that is worth 75.
fn beat() -> Answer {
    let (body, fields) = (r#"{"score": 75}"#, "content-type: application/json");
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\ncontent-length: {length}\r\n\r\n{body}");
    vec![Step::ReadBody, raw(&answer)]
}

/// Asks for a beat: the status, and what is advised.
fn ask_for_beat(fusebox: &Fusebox, path: &str) -> (u16, Option<String>) {
    let headers = [("content-type", "application/json")];
    let body = br#"{"bpm": 120, "genre": "polka"}"#;
    let answer = fusebox.connect().call("POST", path, &headers, body);
    (answer.status, answer.headers.one("x-task-advice").map(str::to_owned))
}

/// A hundred beats of a day that is over, half of each genre: of jazz 48 succeed, of polka 38.
fn beats_of(days_ago: i64) -> Value {
    let started_at = clock::wall_us() / 1_000 - days_ago * DAY_MS;
    let beat = |at: i64| {
        let (genre, is_good) = if at < 50 { ("jazz", at < 48) } else { ("polka", at < 88) };
        let mut beat = json!({"domain": "music", "action": "generate-beat", "success": is_good,
            "durationMs": 900 + at % 7, "startedAt": (started_at + at).to_string(),
            "params": {"bpm": 120, "genre": genre}});
        if is_good {
            beat["impactScore"] = json!(75);
        }
        beat
    };
    json!({"tasks": (0..100).map(beat).collect::<Vec<_>>()})
}

/// Reports the beats of all the days that are over.
fn report_the_past(fusebox: &Fusebox) {
    for days_ago in 1..=DAYS {
        let headers = [("content-type", "application/json"), ("connection", "close")];
        let body = beats_of(days_ago).to_string();
        let answer = Connection::open(fusebox.admin).call(
            "POST",
            "/api/v1/tasks",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
}

#[test]
fn ten_beats_are_told_and_after_enough_of_them_what_works_best() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let mut fusebox = setup(&upstream).database(&database.url).start();
    upstream.answer(beat());
    upstream.answer_next([beat(), beat(), stall(), beat(), beat(), beat(), stall()]);
    let statuses: Vec<_> = (0..10).map(|_| ask_for_beat(&fusebox, "/beats").0).collect();
    assert_eq!(statuses, [200, 200, 504, 200, 200, 200, 504, 200, 200, 200]);

    let told = wait_until("ten beats are counted", PATIENCE, || {
        let answer = Connection::open(fusebox.admin).get(HISTORY, &[("connection", "close")]);
        (answer.status == 200).then(|| answer.json()["data"].clone()).filter(|it| it["total"] == 10)
    });
    assert_eq!((&told["successRate"], &told["averageImpactScore"]), (&json!(0.8), &json!(75.0)));
    assert_eq!(told["scored"], 8);
    let reasons = told["commonFailureReasons"].as_array().expect("reasons");
    assert_eq!(reasons.len(), 1, "{told:#}");
    assert_eq!(
        (&reasons[0]["reason"], &reasons[0]["count"]),
        (&json!("timeout_first_byte"), &json!(2))
    );
    assert_eq!((&reasons[0]["share"], &reasons[0]["rate"]), (&json!(1.0), &json!(0.2)));
    // Two of ten took the two seconds of the timeout, to the width of a bin.
    let duration = |name: &str| told[name].as_f64().expect("a duration");
    assert!(duration("averageDurationMs") >= 400.0, "{told:#}");
    assert!(duration("p50Ms") <= duration("p95Ms") && duration("p95Ms") >= 1_950.0, "{told:#}");
    assert_eq!(told["optimalParameters"]["status"], "collecting");

    report_the_past(&fusebox);
    database.wait_for("select count(*) from task_history where params is not null", "1210");
    // These days were added up when they were over, and had no tasks then.
    fusebox.terminate();
    database.query("delete from task_learning_day");
    fusebox.restart();
    // What is worked out sooner is of the days that are added up by then, and is kept for a while.
    let added = "select count(*) from task_learning_day where tasks = 100";
    database.wait_for(added, &DAYS.to_string());
    fusebox.terminate();
    fusebox.restart();

    let best = wait_until("the days are told", LEARNED, || {
        let best = fusebox.ask(HISTORY)["optimalParameters"].clone();
        (best["status"] == "confirmed").then_some(best)
    });
    assert_eq!(best["parameters"], json!({"bpm": 120, "genre": "jazz"}), "{best:#}");
    assert_eq!(best["tasks"], DAYS * 100, "today is not over");
    let summary = "bpm=120, genre=jazz: 96.0 % of 600 tasks succeeded, against 86.0 % of all";
    assert_eq!(best["summary"], summary);
    let polka =
        best["findings"].as_array().expect("findings").iter().find(|it| it["effect"] == "worse");
    assert_eq!(polka.expect("polka is found")["parameters"]["genre"], "polka");

    let advice = wait_until("callers are told", LEARNED, || {
        let (status, advice) = ask_for_beat(&fusebox, "/beats");
        assert_eq!(status, 200);
        advice
    });
    assert_eq!(advice, "confirmed;bpm=120;genre=\"jazz\"");
    assert_eq!(upstream.last().body, br#"{"bpm": 120, "genre": "polka"}"#, "as it was asked");
    assert_eq!(ask_for_beat(&fusebox, "/quiet").1, None, "nobody asked to be told");
}
