//! The task definitions: the facts on which a start without races and a stop without losses depend,
//! and that the real binary takes the configuration within them.

use std::{collections::BTreeSet, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    files::{files, text},
    peer::run,
};

/// Every task definition of a service, by its path.
fn definitions() -> Vec<(String, Value)> {
    let paths = files("ecs-task-definitions", ".json").into_iter();
    let paths = paths.filter(|path| !path.ends_with("-migrate.json"));
    let found: Vec<_> = paths.map(|path| (path.clone(), parsed(&path))).collect();
    assert_eq!(found.len(), 8);
    found
}

fn parsed(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn containers(task: &Value) -> &Vec<Value> {
    task["containerDefinitions"].as_array().expect("containers")
}

fn container<'a>(task: &'a Value, name: &str) -> &'a Value {
    containers(task).iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// Names and values of a container's variables.
fn variables(container: &Value) -> Vec<(String, String)> {
    // What the script fills in stands between two of these.
    let text = |value: &Value| value.as_str().expect("text").replace('@', "");
    let items = container["environment"].as_array().into_iter().flatten();
    items.map(|item| (text(&item["name"]), text(&item["value"]))).collect()
}

fn inline_config(fusebox: &Value) -> String {
    let found = variables(fusebox).into_iter().find(|(name, _)| name == "FUSEBOX_CONFIG");
    found.expect("the configuration is in a variable").1
}

/// `fusebox validate` as the container would run it, with something for each secret.
fn validate(fusebox: &Value, config: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
    // Docker sets it.
    command.arg("validate").env_clear().env("HOSTNAME", "3f2a1c");
    command.envs(variables(fusebox)).env("FUSEBOX_CONFIG", config);
    for secret in fusebox["secrets"].as_array().expect("secrets") {
        let name = secret["name"].as_str().expect("a name");
        let is_url = name == "DATABASE_URL";
        command.env(name, if is_url { "postgres://u:p@db.internal/fusebox" } else { "secret" });
    }
    command
}

#[test]
fn the_configuration_within_is_good_for_the_real_binary() {
    for (path, task) in definitions() {
        let fusebox = container(&task, "fusebox");
        assert_eq!(fusebox["command"], json!(["run"]), "{path}");
        let config = inline_config(fusebox);
        let said = run(validate(fusebox, &config), Vec::new());
        assert_eq!(said.code, Some(0), "{path}: {}", said.stderr);
        let shown = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            shown.contains("store     Postgres") && !shown.contains("warning"),
            "{path}: {shown}"
        );
        let ends_up = |listener: &str| shown.contains(&format!("listener  {listener} "));
        assert_eq!(ends_up("ingress"), !path.contains("-egress"), "{path}: {shown}");
        assert_eq!(ends_up("egress"), !path.contains("-ingress"), "{path}: {shown}");

        let parsed: Value = serde_yaml::from_str(&config).expect("YAML");
        assert_eq!(parsed["telemetry"]["emf"]["enabled"], true, "{path}: alarms have data");

        let wrong = run(validate(fusebox, &format!("{config}colour: red\n")), Vec::new());
        assert_eq!(wrong.code, Some(3), "{path}: an unknown key is found");
    }
}

#[test]
fn the_service_starts_when_fusebox_is_healthy_and_stops_before_it() {
    for (path, task) in definitions() {
        let fusebox = container(&task, "fusebox");
        let check = &fusebox["healthCheck"]["command"];
        assert_eq!(*check, json!(["CMD", "/usr/bin/fusebox", "healthcheck"]), "{path}");
        assert_eq!(fusebox["essential"], true, "{path}");
        let healthy = json!([{ "containerName": "fusebox", "condition": "HEALTHY" }]);
        assert_eq!(container(&task, "service")["dependsOn"], healthy, "{path}");
        // Nothing may wait in a circle: Fusebox waits for nobody but the start of those who take its
        // lines and spans, so that they are still there when it drains.
        let takers = ["log-router", "collector"].into_iter();
        let takers = takers.filter(|name| containers(&task).iter().any(|it| it["name"] == *name));
        let waits: Vec<_> =
            takers.map(|name| json!({ "containerName": name, "condition": "START" })).collect();
        let expected = if waits.is_empty() { Value::Null } else { json!(waits) };
        assert_eq!(fusebox["dependsOn"], expected, "{path}");
        for name in ["log-router", "collector"] {
            let taker = containers(&task).iter().find(|it| it["name"] == name);
            assert!(taker.is_none_or(|it| it["dependsOn"].is_null()), "{path}: {name}");
        }
        let restart = json!({ "enabled": true, "restartAttemptPeriod": 60 });
        assert_eq!(fusebox["restartPolicy"], restart, "{path}");
    }
}

#[test]
fn ecs_waits_longer_than_fusebox_drains() {
    const LAST_ROWS: Duration = Duration::from_secs(5);
    for (path, task) in definitions() {
        let fusebox = container(&task, "fusebox");
        let config: Value = serde_yaml::from_str(&inline_config(fusebox)).expect("YAML");
        let drain = config["drain_timeout"].as_str().and_then(|text| text.strip_suffix('s'));
        let drain = drain.and_then(|number| number.parse().ok()).map(Duration::from_secs);
        let needed = drain.expect("in seconds") + LAST_ROWS;
        let stop = fusebox["stopTimeout"].as_u64().map(Duration::from_secs).expect("set");
        assert!(stop >= needed && stop <= Duration::from_secs(120), "{path}: {stop:?}");
    }
}

#[test]
fn fusebox_gets_no_more_rights_than_it_needs() {
    for (path, task) in definitions() {
        let fusebox = container(&task, "fusebox");
        has_few_rights(&path, fusebox);
        // What it writes, it writes to a volume.
        let mount = &fusebox["mountPoints"][0];
        assert_eq!(mount["containerPath"], "/var/lib/fusebox", "{path}");
        let volume = &task["volumes"][0];
        assert_eq!(mount["sourceVolume"], volume["name"], "{path}");
        // On a machine of one's own the volume outlives the task, so that tasks share it side by side.
        let is_shared = volume["dockerVolumeConfiguration"]["scope"] == "shared";
        assert_eq!(is_shared, path.contains("ec2-"), "{path}");
        assert_eq!(inline_config(fusebox).contains("/${HOSTNAME}\n"), is_shared, "{path}");
    }
    let path = "ecs-task-definitions/fargate-migrate.json";
    has_few_rights(path, container(&parsed(path), "migrate"));
}

fn has_few_rights(path: &str, container: &Value) {
    assert_eq!(container["readonlyRootFilesystem"], true, "{path}");
    assert_eq!(container["user"], "65532:65532", "{path}");
    assert_eq!(container["linuxParameters"]["capabilities"]["drop"], json!(["ALL"]), "{path}");
    assert!(container["privileged"].is_null(), "{path}");
}

#[test]
fn secrets_come_from_the_secrets_manager_and_are_those_that_the_script_makes() {
    let script = text("deploy/create-aws-secrets.sh");
    let holds = |secret: &str, key: &str| {
        let line = format!("#   PREFIX/ENV/{secret} ");
        let line = script.lines().find(|it| it.starts_with(&line)).expect("it is told");
        line.contains(key)
    };
    let migrate = parsed("ecs-task-definitions/fargate-migrate.json");
    let all = definitions().into_iter().map(|(_, task)| container(&task, "fusebox").clone());
    for fusebox in all.chain([container(&migrate, "migrate").clone()]) {
        let plain: BTreeSet<_> = variables(&fusebox).into_iter().map(|(name, _)| name).collect();
        for item in fusebox["secrets"].as_array().expect("a list") {
            let name = item["name"].as_str().expect("a name");
            assert!(!plain.contains(name), "{name} is no secret elsewhere");
            let source = item["valueFrom"].as_str().expect("a source");
            let (secret, key) = source.split_once("_SECRET@:").expect("a key of a secret");
            let secret = secret.trim_start_matches('@').to_lowercase().replace('_', "-");
            let key = key.strip_suffix("::").expect("of the current version");
            assert!(holds(&secret, key), "{source}");
        }
    }
}

#[test]
fn log_lines_never_hold_up_a_task() {
    for (path, task) in definitions() {
        for container in containers(&task) {
            let log = &container["logConfiguration"];
            if log["logDriver"] == "awsfirelens" {
                // As they were written, so that filters and embedded metrics find their fields.
                assert_eq!(log["options"]["log_key"], "log", "{path}");
                assert!(path.contains("firelens"), "{path}");
            } else {
                assert_eq!(log["logDriver"], "awslogs", "{path}");
                assert_eq!(log["options"]["mode"], "non-blocking", "{path}");
            }
        }
    }
}

#[test]
fn launch_types_differ_in_nothing_but_what_they_must() {
    for mode in ["egress", "ingress", "both"] {
        let of = |launch: &str| parsed(&format!("ecs-task-definitions/{launch}-{mode}.json"));
        let (fargate, mut ec2) = (of("fargate"), of("ec2"));
        assert_eq!(ec2["requiresCompatibilities"], json!(["EC2"]));
        ec2["requiresCompatibilities"] = fargate["requiresCompatibilities"].clone();
        ec2["volumes"] = fargate["volumes"].clone();
        let config = inline_config(container(&ec2, "fusebox")).replace("/${HOSTNAME}", "");
        let variables = ec2["containerDefinitions"][0]["environment"].as_array_mut();
        for variable in variables.expect("variables") {
            if variable["name"] == "FUSEBOX_CONFIG" {
                variable["value"] = json!(config);
            }
        }
        assert_eq!(fargate, ec2, "{mode}");
    }
}

#[test]
fn spans_go_to_a_collector_in_the_task() {
    let task = parsed("ecs-task-definitions/fargate-both-otlp.json");
    let endpoint = variables(container(&task, "fusebox"))
        .into_iter()
        .find(|(name, _)| name == "OTEL_EXPORTER_OTLP_ENDPOINT")
        .expect("an endpoint");
    let collector = container(&task, "collector");
    let config = &variables(collector)[0].1;
    let config: Value = serde_yaml::from_str(config).expect("YAML");
    let listens = &config["receivers"]["otlp"]["protocols"]["http"]["endpoint"];
    assert_eq!(endpoint.1, format!("http://{}", listens.as_str().expect("an address")));
    assert_eq!(collector["essential"], false, "calls go on without spans");
}
