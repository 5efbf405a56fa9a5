//! Early warnings: an upstream begins to fail, too seldom for its breaker, and every instance says so.

use fusebox::store::migrate;
use serde_json::Value;

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, get},
    local::wait_until,
};

/// Two days of a hundred calls a minute, of which so many fail in the last ten minutes and one every
/// ten minutes before, as writers hand them in.
fn put_past(database: &Database<'_>, failing: u32) {
    for (_, text) in migrate::sql() {
        database.query(text);
    }
    database.query(&format!(
        "insert into task_rollup (bucket, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            bins, bin_calls)
        select date_trunc('minute', now()) - ago * interval '1 minute', 'default', 'orders',
            'payments', 'billing', 'charge', outcome, reason, calls, calls, calls, 100000 * calls,
            0, 0, '{{265}}', array[calls]
        from generate_series(0, 2 * 24 * 60) as ago,
            lateral (select case when ago < 10 then {failing} else (ago % 10 = 5)::int end) as f (failed),
            lateral (values ('failure', 'http_503', failed), ('success', '', 100 - failed))
                as of (outcome, reason, calls)
        where calls > 0"
    ));
}

fn payments(fusebox: &Fusebox) -> Value {
    get(fusebox.admin, "/health", &[]).json()["services"]["payments"].take()
}

fn line(fusebox: &Fusebox, words: &str) -> Option<String> {
    fusebox.lines().into_iter().find(|line| line.contains(words))
}

#[test]
fn failures_below_the_breakers_threshold_are_warned_of_on_every_instance() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    put_past(&database, 6);
    let instances =
        [(), ()].map(|()| Setup::payments(&upstream.url(), &[]).database(&database.url).start());
    assert_eq!(instances[0].get("/pay", &[]).status, 200);
    // The other looks once a minute, and may have done so before anything was said.
    let watcher = wait_until("the one that watches shows it", PATIENCE, || {
        instances.iter().find(|fusebox| payments(fusebox)["status"] == "degraded")
    });
    let message = payments(watcher)["message"].as_str().expect("a text").to_owned();
    assert!(message.starts_with("Early warning: failures rose from 0."), "{message}");
    assert!(message.contains("to 6.0 %, since "), "{message}");
    assert_eq!(watcher.state("payments"), "CLOSED");

    for fusebox in &instances {
        let data = fusebox.ask("/api/v1/predictions");
        let active = data["active"].as_array().expect("a list");
        let failures = active.iter().find(|it| it["signal"] == "failures").expect("it is there");
        assert_eq!(
            (&failures["domain"], &failures["action"]),
            (&"billing".into(), &"charge".into())
        );
        assert_eq!((&failures["fate"], &failures["probability"]), (&"open".into(), &0.5.into()));
    }
    let said = "select count(*) from prediction where signal = 'failures'";
    assert_eq!(database.query(said), "1", "it is said once");
    wait_until("the log has it", PATIENCE, || line(watcher, "early warning: failures rose"));
    let metrics = get(watcher.admin, "/metrics", &[]);
    let metric = "fusebox_warning_active{upstream=\"payments\",signal=\"failures\"} 1";
    assert!(metrics.text().contains(metric), "{}", metrics.text());
}

#[test]
fn an_instance_that_starts_while_a_warning_is_active_shows_it_too() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    put_past(&database, 30);
    let setup = || Setup::payments(&upstream.url(), &[]).database(&database.url);
    let first = setup().start();
    database.wait_for("select count(*) from prediction where signal = 'failures'", "1");
    let second = setup().start();
    for fusebox in [&first, &second] {
        wait_until("it is shown", PATIENCE, || {
            (payments(fusebox)["status"] == "degraded").then_some(())
        });
    }
}

#[test]
fn where_warnings_are_off_there_are_none() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    put_past(&database, 30);
    let off = "warnings: { enabled: false }";
    let setup = || Setup::payments(&upstream.url(), &[]).database(&database.url);
    let silent = setup().with(off).start();
    let warned = setup().start();
    wait_until("the other warns", PATIENCE, || {
        (payments(&warned)["status"] == "degraded").then_some(())
    });
    assert_eq!(payments(&silent)["status"], "up");
    assert_eq!(silent.ask("/api/v1/predictions")["enabled"], false);
}
