//! `fusebox replay`: other rules on calls that real processes made and stored.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, run, status},
    local::{free_address, wait_until},
};

/// A configuration beside that of a Fusebox, with other rules.
struct Proposal(PathBuf);

impl Proposal {
    fn new(fusebox: &Fusebox, name: &str, rules: &str) -> Self {
        let config = PathBuf::from(fusebox.config());
        let yaml = fs::read_to_string(&config).expect("its configuration");
        let path = config.with_file_name(format!("{name}.yaml"));
        let yaml = yaml.replace("consecutive_failures: 5", rules);
        fs::write(&path, yaml).expect("the proposal is written");
        Self(path)
    }

    /// What `fusebox replay --json` finds.
    fn replay(&self, args: &[&str]) -> Value {
        let config = self.0.display().to_string();
        let args = [&["replay", "--json", "--config", &config], args].concat();
        let finished = run(&args, &[]);
        assert_eq!(finished.code, Some(0), "{args:?}: {}", finished.text);
        serde_json::from_str(&finished.text).unwrap_or_else(|_| panic!("{}", finished.text))
    }
}

/// Three good calls, eight that meet failure, of which the breaker refuses the last three.
fn trip(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    for _ in 0..3 {
        assert_eq!(fusebox.get("/pay", &[]).status, 200);
    }
    upstream.answer(status(500));
    for _ in 0..5 {
        assert_eq!(fusebox.get("/pay", &[]).status, 500);
    }
    for _ in 0..3 {
        assert_eq!(fusebox.get("/pay", &[]).status, 503);
    }
    wait_until("the opening is written", PATIENCE, || {
        let told = fusebox.ask("/api/v1/circuit-breakers/payments/events");
        told["events"].as_array().filter(|events| !events.is_empty()).map(drop)
    });
    wait_until("the rows are written", PATIENCE, || {
        let page = fusebox.ask("/api/v1/tasks?limit=500");
        (page["tasks"].as_array().map(Vec::len) == Some(11)).then_some(())
    });
}

const RULES: &str = "breaker: { consecutive_failures: 5 }";

/// The proposals against what is in a store, by way of a Fusebox that has it.
fn check_proposals(fusebox: &Fusebox) {
    let same = Proposal::new(fusebox, "same", "consecutive_failures: 5").replay(&[]);
    assert_eq!((&same["rows"], &same["calls"]), (&Value::from(11), &Value::from(11)), "{same}");
    assert_eq!(same["trips"].as_array().map(Vec::len), Some(1), "{same}");
    let trip = &same["trips"][0];
    assert_eq!(
        (&trip["cause"], &trip["failureCount"], &trip["exact"], &trip["refused"]["total"]),
        (&"consecutive_failures".into(), &5.into(), &true.into(), &0.into()),
        "{same}"
    );
    assert_eq!((&trip["refusedByBoth"], &trip["carriedAgain"]), (&3.into(), &Value::Null));
    assert_eq!(trip["real"]["cause"], "consecutive_failures", "it is the one that came: {same}");
    assert_eq!(same["upstreams"]["payments"]["divergence"], Value::Null, "{same}");

    let patient = Proposal::new(fusebox, "patient", "consecutive_failures: 50").replay(&[]);
    assert_eq!(patient["trips"], Value::Array(Vec::new()), "{patient}");
    assert_eq!(patient["onlyReal"].as_array().map(Vec::len), Some(1), "{patient}");
    let divergence = &patient["upstreams"]["payments"]["divergence"];
    assert_eq!(divergence["why"], "passed_what_was_refused", "{patient}");

    let hasty = Proposal::new(fusebox, "hasty", "consecutive_failures: 2").replay(&[]);
    assert_eq!(hasty["trips"].as_array().map(Vec::len), Some(1), "{hasty}");
    let earlier = &hasty["trips"][0];
    assert!(earlier["at"].as_str() < trip["at"].as_str(), "{earlier} {trip}");
    assert_eq!((&earlier["failureCount"], &earlier["exact"]), (&2.into(), &true.into()));
    let refused = &earlier["refused"];
    assert_eq!((&refused["saved"], &refused["wrongly"]), (&3.into(), &0.into()), "{hasty}");
    let divergence = &hasty["upstreams"]["payments"]["divergence"];
    assert_eq!(divergence["why"], "refused_what_passed", "{hasty}");
}

#[test]
fn proposals_are_tried_on_what_really_happened() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let fusebox = Setup::payments(&upstream.url(), &[RULES]).database(&database.url).start();
    trip(&fusebox, &upstream);
    database.wait_for("select count(*) from circuit_breaker_event", "1");
    check_proposals(&fusebox);
}

#[test]
fn the_embedded_store_is_replayed_alike() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[RULES]).start();
    trip(&fusebox, &upstream);
    check_proposals(&fusebox);
}

#[test]
fn one_circuit_for_all_instances_knows_more_than_each() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let rules = "breaker: { consecutive_failures: 5, scope: instance }";
    let [one, other] = [(), ()]
        .map(|()| Setup::payments(&upstream.url(), &[rules]).database(&database.url).start());
    upstream.answer(status(500));
    for _ in 0..2 {
        one.get("/pay", &[]);
        other.get("/pay", &[]);
    }
    database.wait_for("select count(*) from task_history", "4");
    let proposal = Proposal::new(&one, "three", "consecutive_failures: 3");
    let apart = proposal.replay(&[]);
    assert_eq!(apart["trips"], Value::Array(Vec::new()), "{apart}");
    assert_eq!(apart["upstreams"]["payments"]["circuits"], 2, "{apart}");
    let shared = proposal.replay(&["--one-for-all"]);
    assert_eq!(shared["trips"].as_array().map(Vec::len), Some(1), "{shared}");
    assert_eq!(shared["trips"][0]["instance"], Value::Null, "{shared}");
}

#[test]
fn a_route_with_a_circuit_of_its_own_is_tried_by_itself() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let yaml = format!(
        "listeners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n      \
         - {{ match: {{ path_prefix: /charges }}, upstream: payments, \
         breaker: {{ consecutive_failures: 3 }} }}\n      \
         - {{ upstream: payments }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{}\"], {RULES} }}\n",
        upstream.url()
    );
    let fusebox = Setup::of(yaml).database(&database.url).start();
    upstream.answer_on("/charges", status(500));
    for seen in [500, 500, 500, 503, 503] {
        assert_eq!(fusebox.get("/charges", &[]).status, seen);
        assert_eq!(fusebox.get("/refunds", &[]).status, 200);
    }
    database.wait_for("select count(*) from task_history", "10");
    database.wait_for("select count(*) from circuit_breaker_event", "1");

    let same = Proposal::new(&fusebox, "same", "consecutive_failures: 5");
    let around = ["--from", "15m", "--to", "2999-01-01T00:00:00Z"];
    for args in [&around[..], &[&around[..], &["--upstream", "payments"]].concat()] {
        let found = same.replay(args);
        assert_eq!(found["trips"].as_array().map(Vec::len), Some(1), "{found}");
        let trip = &found["trips"][0];
        assert_eq!(
            (&trip["upstream"], &trip["failureCount"], &trip["refusedByBoth"], &trip["exact"]),
            (&"payments/charges".into(), &3.into(), &2.into(), &true.into()),
            "{found}"
        );
        assert_eq!(trip["real"]["upstream"], "payments/charges", "{found}");
        let calls = |circuit: &str| found["upstreams"][circuit]["calls"].clone();
        assert_eq!((calls("payments"), calls("payments/charges")), (5.into(), 5.into()));
        assert_eq!(found["doubts"]["missingCalls"], 0, "{found}");
    }
}

#[test]
fn a_proposal_in_shadow_is_tried_and_a_disabled_one_is_told() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[RULES]).start();
    trip(&fusebox, &upstream);
    for (mode, trips) in [("shadow", 1), ("disabled", 0)] {
        let rules = format!("consecutive_failures: 5, mode: {mode}");
        let found = Proposal::new(&fusebox, mode, &rules).replay(&[]);
        assert_eq!(found["trips"].as_array().map(Vec::len), Some(trips), "{found}");
        assert_eq!(found["upstreams"]["payments"]["mode"], mode, "{found}");
    }
}

#[test]
fn the_report_is_a_table_and_says_how_far_it_can_be_relied_on() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[RULES]).start();
    trip(&fusebox, &upstream);
    let proposal = Proposal::new(&fusebox, "hasty", "consecutive_failures: 2");
    let config = proposal.0.display().to_string();
    let finished = run(&["replay", "--config", &config, "--from", "15m"], &[("COLUMNS", "110")]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    for says in [
        "OPENED (UTC)",
        "2 failures in a row  to the end",
        "1 trip in 11 calls (11 rows) from ",
        "payments: 11 calls, 1 circuit",
        "3 failed (saved), 0 succeeded\n  (wrongly refused)",
        "in truth 3 calls were refused, all by these rules too",
        "exact until ",
    ] {
        assert!(finished.text.contains(says), "{says} in:\n{}", finished.text);
    }
    let table = finished.text.lines().take(2);
    assert!(table.into_iter().all(|line| line.chars().count() <= 110), "{}", finished.text);

    let finished = run(&["replay", "--config", &config, "--from", "2h", "--to", "1h"], &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    assert!(finished.text.starts_with("no calls from "), "{}", finished.text);
}

#[test]
fn what_cannot_be_replayed_has_an_exit_code_and_a_reason() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[RULES]).start();
    let good = fusebox.config();
    let bad = Proposal::new(&fusebox, "bad", "consecutive_failures: 0, consecutive_failure: 1");
    let bad = bad.0.display().to_string();
    let nobody = format!("postgres://nobody@{}/none?sslmode=disable", free_address());
    let elsewhere = PathBuf::from(&good).with_file_name("elsewhere.yaml");
    let yaml = fs::read_to_string(&good).expect("its configuration");
    let yaml = yaml.replace("url: \"\"", &format!("url: \"{nobody}\""));
    fs::write(&elsewhere, yaml).expect("it is written");
    let elsewhere = elsewhere.display().to_string();
    for (args, code, says) in [
        (&["--config", &good, "--from", "1h", "--to", "2h"][..], 2, "--from must be before --to"),
        (&["--config", &good, "--from", "yesterday"], 2, "--from: expected a time"),
        (&["--config", &good, "--upstream", "music"], 2, "no upstream `music`"),
        (&["--config", &good, "--upstream", "music"], 2, "it has payments"),
        (&["--config", &bad], 3, "did you mean `consecutive_failures`"),
        (&["--config", "/no/such.yaml"], 3, "/no/such.yaml"),
        (&["--config", &elsewhere], 4, "the store is unavailable"),
        (&["--config", &good, "--store", &elsewhere], 4, "the store is unavailable"),
        (&[], 2, "--config"),
    ] {
        let finished = run(&[&["replay"], args].concat(), &[]);
        assert_eq!(finished.code, Some(code), "{args:?}: {}", finished.text);
        assert!(finished.text.contains(says), "{args:?}: {}", finished.text);
    }
    let nowhere = PathBuf::from(&good).with_file_name("nowhere");
    let yaml = format!(
        "data_dir: {}\ndatabase: {{ url: \"\" }}\n\
         listeners: {{ e: {{ listen: \"127.0.0.1:1\", upstream: a }} }}\n\
         upstreams: {{ a: {{ endpoints: [\"http://127.0.0.1:2\"] }} }}\n",
        nowhere.display()
    );
    let file = PathBuf::from(&good).with_file_name("nothing.yaml");
    fs::write(&file, yaml).expect("it is written");
    let finished = run(&["replay", "--config", &file.display().to_string()], &[]);
    assert_eq!(finished.code, Some(4), "{}", finished.text);
    assert!(finished.text.contains("there is no"), "{}", finished.text);
    assert!(!nowhere.exists());
}
