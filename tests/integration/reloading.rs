//! Another configuration while calls go on.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{
        Connection, Fusebox, Gate, PATIENCE, Response, ScriptedUpstream, Setup, Step, get, raw,
        status,
    },
    local::{free_address, signal, wait_until},
};

/// A Fusebox in front of one upstream.
fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &["timeouts: { total: 20s }"]).start();
    (upstream, fusebox)
}

/// Asks it to do something, with an empty body.
fn post(fusebox: &Fusebox, path: &str) -> Response {
    let json = [("content-type", "application/json")];
    Connection::open(fusebox.admin).call("POST", path, &json, b"{}")
}

fn configuration(fusebox: &Fusebox) -> Value {
    fusebox.ask("/api/v1/status")["configuration"].take()
}

fn wait_for_generation(fusebox: &Fusebox, generation: u64) -> Value {
    wait_until(&format!("generation {generation}"), PATIENCE, || {
        let now = configuration(fusebox);
        (now["generation"] == generation).then_some(now)
    })
}

/// The value of a metric without labels.
fn metric(fusebox: &Fusebox, name: &str) -> String {
    let text = get(fusebox.admin, "/metrics", &[]).text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_owned()
}

/// Sends `payments` elsewhere.
fn moved(text: &str, from: &ScriptedUpstream, to: &ScriptedUpstream) -> String {
    text.replace(&from.url(), &to.url())
}

#[test]
fn a_changed_file_counts_for_the_next_call_and_for_none_that_has_begun() {
    let ((first, fusebox), second) = (start(), ScriptedUpstream::start());
    let gate = Gate::new();
    first.answer_on(
        "/slow",
        vec![Step::WaitFor(Arc::clone(&gate)), raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")],
    );
    let (mut slow, mut kept) = (fusebox.connect(), fusebox.connect());
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(kept.get("/", &[]).status, 200);
    wait_until("the slow call is there", PATIENCE, || (first.hits() == 2).then_some(()));

    fusebox.edit(|text| moved(text, &first, &second));
    let now = wait_for_generation(&fusebox, 2);
    assert_eq!(
        (&now["lastReload"]["trigger"], &now["lastReload"]["successful"]),
        (&"file".into(), &true.into())
    );
    assert_eq!(kept.get("/", &[]).status, 200, "the same connection");
    assert_eq!((first.hits(), second.hits()), (2, 1));
    gate.open();
    assert_eq!(slow.response("GET").status, 200);
}

#[test]
fn a_bad_file_never_counts_and_is_loud_everywhere() {
    let (upstream, fusebox) = start();
    fusebox.edit(|text| text.replace("timeouts:", "timeuots:"));
    let now = wait_until("the file is refused", PATIENCE, || {
        let now = configuration(&fusebox);
        (now["lastReload"]["successful"] == false).then_some(now)
    });
    let problem = &now["lastReload"]["problems"][0];
    assert_eq!(problem["path"], "upstreams.payments.timeuots");
    assert!(problem["message"].as_str().expect("words").contains("did you mean `timeouts`?"));
    let report = now["lastReload"]["report"].as_str().expect("words");
    assert!(report.contains("    timeuots: { total: *** }\n"), "{report}");
    assert_eq!(now["generation"], 1);
    assert_eq!(fusebox.get("/", &[]).status, 200);
    assert_eq!(upstream.hits(), 1);

    let line = fusebox.wait_for_line("the log says it", |line| line["report"].is_string());
    assert_eq!((&line["level"], &line["trigger"]), (&"error".into(), &"file".into()));
    let health = get(fusebox.admin, "/health", &[]).json();
    assert_eq!(health["status"], "degraded");
    assert!(health["reason"].as_str().expect("a reason").contains("the last good one counts"));
    assert_eq!(metric(&fusebox, "fusebox_config_last_reload_successful"), "0.0");
    let warnings = fusebox.ask("/api/v1/status")["warnings"].to_string();
    assert!(warnings.contains("timeuots"), "{warnings}");
    let refused = post(&fusebox, "/api/v1/config/reload");
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (422, &"configuration_refused".into())
    );

    fusebox.edit(|text| text.replace("timeuots:", "timeouts:"));
    wait_until("all is well again", PATIENCE, || {
        (get(fusebox.admin, "/health", &[]).json()["status"] == "up").then_some(())
    });
    assert_eq!(metric(&fusebox, "fusebox_config_last_reload_successful"), "1.0");
}

#[test]
fn sighup_and_the_admin_port_read_the_file_again_and_say_what_waits_for_a_restart() {
    let (_upstream, fusebox) = start();
    let same = post(&fusebox, "/api/v1/config/reload");
    assert_eq!((same.status, &same.json()["data"]["generation"]), (200, &1.into()));
    signal(fusebox.pid(), "HUP");
    wait_until("the signal was heard", PATIENCE, || {
        (configuration(&fusebox)["lastReload"]["trigger"] == "signal").then_some(())
    });
    fusebox.edit(|text| format!("workers: 7\ndrain_timeout: 9s\n{text}"));
    let reloaded = post(&fusebox, "/api/v1/reload");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(reloaded.json()["data"]["needsRestart"], serde_json::json!(["workers"]));
    let config = fusebox.ask("/api/v1/config");
    assert_eq!((&config["drain_timeout"], &config["workers"]), (&"9s".into(), &"auto".into()));
}

#[test]
fn listeners_come_and_go() {
    let ((upstream, fusebox), more) = (start(), free_address());
    fusebox.edit(|text| {
        text.replace(
            "upstreams:",
            &format!("  second: {{ listen: \"{more}\", upstream: payments }}\nupstreams:"),
        )
    });
    wait_for_generation(&fusebox, 2);
    let mut kept = Connection::open(more);
    assert_eq!(kept.get("/", &[]).status, 200);
    assert_eq!(fusebox.ask("/api/v1/status")["listeners"]["second"], more.to_string());

    fusebox.edit(|text| {
        text.lines().filter(|line| !line.contains("second")).collect::<Vec<_>>().join("\n")
    });
    wait_for_generation(&fusebox, 3);
    let leaving = kept.get("/", &[]);
    assert_eq!((leaving.status, leaving.headers.one("connection")), (200, Some("close")));
    wait_until("nobody listens there", PATIENCE, || {
        TcpStream::connect(more).is_err().then_some(())
    });
    assert_eq!(fusebox.get("/", &[]).status, 200);
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn a_listener_that_is_taken_away_by_mistake_is_there_again_at_once() {
    let ((_upstream, fusebox), more) = (start(), free_address());
    let with = format!("  second: {{ listen: \"{more}\", upstream: payments }}\nupstreams:");
    let without = fs::read_to_string(fusebox.config()).expect("it is there");
    for is_there in [true, false, true] {
        let text = if is_there { without.replace("upstreams:", &with) } else { without.clone() };
        fusebox.edit(|_| text);
        let reloaded = post(&fusebox, "/api/v1/config/reload");
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    }
    assert_eq!(Connection::open(more).get("/", &[]).status, 200);
}

#[test]
fn a_listener_that_cannot_be_opened_changes_nothing() {
    let (_upstream, fusebox) = start();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("it is bound");
    fusebox.edit(|text| {
        let second = format!("  second: {{ listen: \"{taken}\", upstream: payments }}\nupstreams:");
        text.replace("upstreams:", &second).replace("total: 20s", "total: 19s")
    });
    let refused = post(&fusebox, "/api/v1/config/reload");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("cannot listen on"), "{}", refused.text());
    let total = &fusebox.ask("/api/v1/config")["upstreams"]["payments"]["timeouts"]["total"];
    assert_eq!(*total, "20s");
}

#[test]
fn an_open_breaker_stays_open_under_other_rules() {
    let (upstream, fusebox) = start();
    upstream.answer(status(503));
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    assert_eq!(fusebox.state("payments"), "OPEN");
    fusebox.edit(|text| format!("{text}    breaker: {{ consecutive_failures: 9 }}\n"));
    wait_for_generation(&fusebox, 2);
    assert_eq!(fusebox.state("payments"), "OPEN");
    assert_eq!((fusebox.get("/", &[]).status, upstream.hits()), (503, 5));
}

/// How far apart the configuration changes.
const APART: Duration = Duration::from_millis(100);

/// Callers who go on until they are told to stop, and what came of their calls.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Load {
    /// Calls on one connection, paced.
    fn run(&self, fusebox: &Fusebox, pause: Duration) {
        let mut connection = fusebox.connect();
        let mut due = fusebox::clock::now();
        while !self.over.load(Ordering::Relaxed) {
            let answer = connection.get("/", &[]);
            let count = if answer.status == 200 { &self.good } else { &self.bad };
            count.fetch_add(1, Ordering::Relaxed);
            due += pause;
            rest_until(due);
        }
    }
}

/// Paces a load: what is tested does not wait for it.
fn rest_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(fusebox::clock::now())
        && !left.is_zero()
    {
        thread::park_timeout(left);
    }
}

/// The anonymous memory of the process, in KiB.
fn memory_kib(fusebox: &Fusebox) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", fusebox.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Changes everything that may change, a new way each time; every second time it is broken.
fn edit(text: &str, base: &str, number: u64) -> String {
    assert!(text.contains("listeners:"));
    let broken = if number % 2 == 1 { "no_such_key: 1\n" } else { "" };
    let total = 10 + number % 7;
    let base = base.replace("total: 20s", &format!("total: {total}s"));
    format!(
        "{broken}drain_timeout: {total}s\n{base}    \
         breaker: {{ consecutive_failures: {total} }}\n    retry: {{ attempts: {} }}\n    \
         limits: {{ connections: {} }}\n  \
         extra-{number}: {{ endpoints: [\"http://127.0.0.1:{}\"], health_check: {{ path: /, every: 1h }} }}\n",
        1 + number % 3,
        900 + number % 5,
        20_000 + number,
    )
}

/// Reloads so many times under so many calls per second; no call may fail.
fn reload_under_load(reloads: u64, callers: u32, per_second: u32) {
    let (_upstream, fusebox) = start();
    let base = fs::read_to_string(fusebox.config()).expect("a file");
    let (load, pause) = (Load::default(), Duration::from_secs(1) * callers / per_second);
    let began = fusebox::clock::now();
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| load.run(&fusebox, pause));
        }
        for number in 1..=reloads {
            fusebox.edit(|text| edit(text, &base, number));
            let answer = post(&fusebox, "/api/v1/config/reload");
            let expected = if number % 2 == 1 { 422 } else { 200 };
            assert_eq!(answer.status, expected, "{number}: {}", answer.text());
            rest_until(began + APART * u32::try_from(number).expect("a few"));
        }
        load.over.store(true, Ordering::Relaxed);
    });
    let (good, bad) = (load.good.into_inner(), load.bad.into_inner());
    let seconds = fusebox::clock::now().duration_since(began).as_secs_f64();
    eprintln!("{reloads} reloads, {good} calls in {seconds:.1} s");
    assert_eq!(bad, 0, "of {good}");
    assert!(good > reloads);
    let generation = configuration(&fusebox)["generation"].as_u64().expect("a number");
    assert!(generation > reloads / 2, "{generation}");
    let metrics = get(fusebox.admin, "/metrics", &[]).text().to_owned();
    assert!(metrics.contains(&format!("extra-{reloads}\"")), "the last one is told");
    assert!(!metrics.contains("extra-2\""), "those that are gone are not told any more");
}

#[test]
fn what_was_in_force_before_takes_no_memory() {
    let (_upstream, fusebox) = start();
    let base = fs::read_to_string(fusebox.config()).expect("a file");
    let mut settled = 0;
    for number in 1..=200 {
        // Every one has other upstreams, and none is broken.
        fusebox.edit(|text| edit(text, &base, 2 * number));
        assert_eq!(post(&fusebox, "/api/v1/config/reload").status, 200);
        if number == 100 {
            settled = memory_kib(&fusebox);
        }
    }
    let last = memory_kib(&fusebox);
    eprintln!("{settled} KiB after 100 changes, {last} KiB after 200");
    // The counters of an upstream alone take 100 KiB.
    assert!(last < settled + 6_144, "from {settled} to {last} KiB");
}

#[test]
fn no_call_fails_while_the_configuration_changes() {
    reload_under_load(24, 2, 200);
}

#[cfg(feature = "long-tests")]
#[test]
fn a_hundred_changes_under_a_thousand_calls_per_second_fail_none() {
    reload_under_load(100, 8, 1_000);
}
