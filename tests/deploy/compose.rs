//! The compose stack: how it is wired, and its script against the same processes without an engine.

use std::{net::SocketAddr, path::Path, process::Command, process::Stdio, time::Duration};

use crate::{
    files::{root, yaml},
    harness::Database,
    local::{free_address, wait_until},
    peer::{Home, PATIENCE, Peer, run},
};

const TOKEN: &str = "a-token-for-the-example";

#[test]
fn each_service_of_the_stack_waits_for_its_fusebox_and_calls_through_it() {
    let stack = yaml("deploy/compose.yaml");
    let drain = Duration::from_secs(25 + 5);
    for name in ["orders", "payments"] {
        let (service, own) = (&stack["services"][name], format!("fusebox-{name}"));
        assert_eq!(service["depends_on"][&own]["condition"], "service_healthy", "{name}");
        let upstream = service["environment"]["UPSTREAM_URL"].as_str().expect("an upstream");
        assert_eq!(upstream, format!("http://{own}:8080/ledger/"), "{name} calls through its own");

        let fusebox = &stack["services"][&own];
        assert_eq!(fusebox["depends_on"]["postgres"]["condition"], "service_healthy", "{name}");
        assert_eq!(fusebox["environment"]["SERVICE"], name);
        assert_eq!(fusebox["read_only"], true, "{name}");
        assert_eq!(fusebox["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(fusebox["healthcheck"]["test"][2], "healthcheck", "{name}");
        let database = fusebox["environment"]["DATABASE_URL"].as_str().expect("a database");
        assert!(database.ends_with("?sslmode=disable"), "off loopback this must be said");
        let grace = fusebox["stop_grace_period"].as_str().and_then(|text| text.strip_suffix('s'));
        let grace = grace.and_then(|number| number.parse().ok()).map(Duration::from_secs);
        assert!(grace.expect("in seconds") >= drain, "{name}");
        assert_eq!(fusebox["command"][2], "/etc/fusebox/compose.yaml", "{name}");
    }
    assert!(!stack["services"]["postgres"]["healthcheck"].is_null());
    for name in ["prometheus", "grafana"] {
        assert_eq!(stack["services"][name]["profiles"], serde_json::json!(["observability"]));
    }
}

#[test]
fn what_the_stack_mounts_is_there() {
    let stack = yaml("deploy/compose.yaml");
    for (name, service) in stack["services"].as_object().expect("services") {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().and_then(|it| it.split(':').next()).expect("a source");
            if let Some(path) = source.strip_prefix("./") {
                assert!(root().join("deploy").join(path).exists(), "{name}: {source}");
            } else {
                assert!(
                    !stack["volumes"][source].is_null() || stack["volumes"].get(source).is_some()
                );
            }
        }
    }
}

/// A Python service of the stack.
fn service(name: &str, at: SocketAddr, upstream: &str) -> Peer {
    let mut command = Command::new("python3");
    command.arg(root().join("deploy/service.py")).env("SERVICE_NAME", name);
    command.env("PORT", at.port().to_string()).env("UPSTREAM_URL", upstream);
    Peer::listening(command, at)
}

/// A Fusebox of the stack, with the file that is in the image.
fn fusebox(name: &str, database: &str, ledger: SocketAddr, home: &Path) -> (Peer, [SocketAddr; 2]) {
    let [listen, admin] = [free_address(), free_address()];
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
    command.arg("run").arg("--config").arg(root().join("config/compose.yaml")).env_clear();
    command.env("SERVICE", name).env("DATABASE_URL", database).env("FUSEBOX_ADMIN_TOKEN", TOKEN);
    command.env("DATA_DIR", home.join(name)).env("LEDGER_URL", format!("http://{ledger}"));
    command.env("LISTEN", listen.to_string()).env("ADMIN_LISTEN", admin.to_string());
    command.stdout(Stdio::null());
    (Peer::listening(command, listen), [listen, admin])
}

#[test]
fn breaking_the_ledger_opens_both_sidecars_and_mending_it_closes_them() {
    let (home, database) = (Home::new("compose"), Database::new());
    let ledger_at = free_address();
    let _ledger = service("ledger", ledger_at, "");
    let mut running = Vec::new();
    let mut places = vec![("LEDGER_URL".to_owned(), ledger_at)];
    for name in ["orders", "payments"] {
        let (process, [listen, admin]) = fusebox(name, &database.url, ledger_at, home.path());
        let at = free_address();
        running.extend([process, service(name, at, &format!("http://{listen}/ledger/"))]);
        let variable = name.to_uppercase();
        places.extend([(format!("{variable}_URL"), at), (format!("{variable}_ADMIN_URL"), admin)]);
    }
    database.wait_for("select count(*) from sidecar_instance", "2");
    let mut command = Command::new(root().join("deploy/break-upstream.sh"));
    command.env("FUSEBOX_ADMIN_TOKEN", TOKEN);
    command.envs(places.iter().map(|(name, at)| (name, format!("http://{at}"))));
    let said = run(command, Vec::new()).text();
    for state in ["OPEN", "CLOSED"] {
        let times = said.matches(&format!(": {state} after ")).count();
        assert_eq!(times, if state == "OPEN" { 2 } else { 4 }, "{said}");
    }
    assert!(said.contains("orders asked and got 503"), "{said}");
    let opened = "select count(*) > 0 from circuit_breaker_event where to_state = 'open'";
    wait_until("the store tells", PATIENCE, || (database.query(opened) == "t").then_some(()));
}

#[test]
fn a_stack_that_is_not_up_is_told_in_one_line() {
    let mut command = Command::new(root().join("deploy/break-upstream.sh"));
    command.env("LEDGER_URL", format!("http://{}", free_address()));
    let finished = run(command, Vec::new());
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("is the stack up?"), "{}", finished.stderr);
}
