//! The files that deploy Fusebox: that they parse, and that the facts hold on which a start
//! without races and a stop without losses depend.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::Value;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every task definition, by its path.
fn task_definitions() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ecs-task-definitions");
    let names = fs::read_dir(folder).expect("the folder is there");
    let names = names.map(|entry| entry.expect("readable").file_name());
    let found: Vec<_> = names
        .map(|name| format!("ecs-task-definitions/{}", name.to_string_lossy()))
        .map(|path| {
            let parsed = serde_json::from_str(&text(&path));
            (parsed.unwrap_or_else(|error| panic!("{path}: {error}")), path)
        })
        .map(|(task, path)| (path, task))
        .collect();
    assert!(!found.is_empty());
    found
}

fn container<'a>(task: &'a Value, name: &str) -> &'a Value {
    let containers = task["containerDefinitions"].as_array().expect("containers");
    containers.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// The configuration that a container's command names, in the repository.
fn config_of(command: &Value) -> String {
    let words: Vec<&str> =
        command.as_array().expect("a command").iter().filter_map(Value::as_str).collect();
    let ["run", "--config", path] = words[..] else { panic!("{words:?}") };
    let name = path.strip_prefix("/etc/fusebox/").expect("where the image has them");
    format!("config/{name}")
}

/// `25s`, the only unit that these files use.
fn seconds(value: &Value) -> Duration {
    let number = value.as_str().and_then(|text| text.strip_suffix('s'));
    let number = number.and_then(|number| number.parse().ok());
    Duration::from_secs(number.unwrap_or_else(|| panic!("not in seconds: {value}")))
}

/// How long Fusebox drains with this configuration, and a while to write the last rows.
fn time_to_stop(config: &str) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(25);
    const LAST_ROWS: Duration = Duration::from_secs(5);
    let drain = &yaml(config)["drain_timeout"];
    LAST_ROWS + if drain.is_null() { DEFAULT } else { seconds(drain) }
}

/// The variables that a configuration reads and gives no default.
fn required_variables(config: &str) -> BTreeSet<String> {
    required_in(&text(config))
}

fn required_in(config: &str) -> BTreeSet<String> {
    let lines = config.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .flat_map(|line| line.split("${").skip(1))
        .filter_map(|rest| rest.split('}').next())
        .filter(|variable| !variable.contains(":-"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_service_starts_when_fusebox_is_healthy_and_stops_before_it() {
    for (path, task) in task_definitions() {
        let fusebox = container(&task, "fusebox");
        let check = &fusebox["healthCheck"]["command"];
        assert_eq!(*check, serde_json::json!(["CMD", "/usr/bin/fusebox", "healthcheck"]), "{path}");
        assert_eq!(fusebox["essential"], true, "{path}");
        assert!(fusebox["dependsOn"].is_null(), "{path}: nothing may wait in a circle");
        let containers = task["containerDefinitions"].as_array().expect("containers");
        for service in containers.iter().filter(|it| it["name"] != "fusebox") {
            let depends =
                serde_json::json!([{ "containerName": "fusebox", "condition": "HEALTHY" }]);
            assert_eq!(service["dependsOn"], depends, "{path}");
        }
    }
}

#[test]
fn ecs_waits_longer_than_fusebox_drains() {
    for (path, task) in task_definitions() {
        let fusebox = container(&task, "fusebox");
        let stop = fusebox["stopTimeout"].as_u64().map(Duration::from_secs).expect("set");
        assert!(stop >= time_to_stop(&config_of(&fusebox["command"])), "{path}: {stop:?}");
        assert!(stop <= Duration::from_secs(120), "{path}: Fargate's most");
    }
}

#[test]
fn fusebox_gets_no_more_rights_than_it_needs() {
    for (path, task) in task_definitions() {
        let fusebox = container(&task, "fusebox");
        assert_eq!(fusebox["readonlyRootFilesystem"], true, "{path}");
        assert_eq!(fusebox["user"], "65532:65532", "{path}");
        assert_eq!(fusebox["linuxParameters"]["capabilities"]["drop"][0], "ALL", "{path}");
        // What it writes, it writes to a volume.
        let mount = &fusebox["mountPoints"][0];
        assert_eq!(mount["containerPath"], "/var/lib/fusebox", "{path}");
        assert_eq!(mount["sourceVolume"], task["volumes"][0]["name"], "{path}");
    }
}

#[test]
fn secrets_come_from_the_secrets_manager_and_variables_are_all_there() {
    for (path, task) in task_definitions() {
        let fusebox = container(&task, "fusebox");
        let names = |list: &Value| -> BTreeSet<String> {
            let items = list.as_array().expect("a list").iter();
            items.filter_map(|item| item["name"].as_str()).map(str::to_owned).collect()
        };
        let (plain, secret) = (names(&fusebox["environment"]), names(&fusebox["secrets"]));
        for name in ["DATABASE_URL", "FUSEBOX_ADMIN_TOKEN"] {
            assert!(secret.contains(name) && !plain.contains(name), "{path}: {name}");
        }
        for item in fusebox["secrets"].as_array().expect("a list") {
            let source = item["valueFrom"].as_str().expect("a source");
            assert!(source.starts_with("arn:aws:secretsmanager:"), "{path}: {source}");
        }
        let given: BTreeSet<String> = plain.union(&secret).cloned().collect();
        let required = required_variables(&config_of(&fusebox["command"]));
        assert!(required.is_subset(&given), "{path}: {:?} missing", &required - &given);
    }
}

#[test]
fn log_lines_never_hold_up_a_task() {
    for (path, task) in task_definitions() {
        for container in task["containerDefinitions"].as_array().expect("containers") {
            let log = &container["logConfiguration"];
            assert_eq!(log["logDriver"], "awslogs", "{path}");
            assert_eq!(log["options"]["mode"], "non-blocking", "{path}");
        }
    }
}

#[test]
fn each_service_of_the_compose_stack_waits_for_its_fusebox() {
    let stack = yaml("deploy/compose.yaml");
    for name in ["orders", "payments"] {
        let (service, own) = (&stack["services"][name], format!("fusebox-{name}"));
        assert_eq!(service["depends_on"][&own]["condition"], "service_healthy", "{name}");
        let peer = service["environment"]["PEER_URL"].as_str().expect("a peer");
        assert!(peer.starts_with(&format!("http://{own}:8080/")), "{name} calls through its own");

        let fusebox = &stack["services"][&own];
        assert_eq!(fusebox["depends_on"]["postgres"]["condition"], "service_healthy", "{name}");
        assert_eq!(fusebox["environment"]["SERVICE"], name);
        assert_eq!(fusebox["read_only"], true, "{name}");
        assert_eq!(fusebox["healthcheck"]["test"][2], "healthcheck", "{name}");
        let database = fusebox["environment"]["DATABASE_URL"].as_str().expect("a database");
        assert!(database.ends_with("?sslmode=disable"), "off loopback this must be said");
        let config = config_of(&fusebox["command"]);
        assert!(seconds(&fusebox["stop_grace_period"]) >= time_to_stop(&config), "{name}");
        assert_eq!(required_variables(&config), BTreeSet::new(), "{name}");
    }
    assert!(!stack["services"]["postgres"]["healthcheck"].is_null());
}

#[test]
fn the_image_runs_unprivileged_and_has_its_own_health_check() {
    let dockerfile = text("deploy/Dockerfile");
    let last_stage = dockerfile.rsplit("\nFROM ").next().expect("a stage");
    assert!(last_stage.contains("\nUSER 65532:65532\n"));
    assert!(last_stage.contains("CMD [\"/usr/bin/fusebox\", \"healthcheck\"]"));
    // What the build copies must be there, or the cache key would say less than the build reads.
    for line in text("deploy/Dockerfile.dockerignore").lines() {
        if let Some(path) = line.strip_prefix('!') {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            assert!(path.exists(), "{} is not there", path.display());
        }
    }
}

#[test]
fn a_variable_without_a_default_is_required_and_one_in_a_comment_is_not() {
    let config = "a: ${A}, b: ${B:-1}\n  # ${C}\nd: x${D}y${E:-}\n";
    assert_eq!(required_in(config), ["A", "D"].map(str::to_owned).into());
}
