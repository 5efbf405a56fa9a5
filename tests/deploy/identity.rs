//! Which task of ECS a sidecar is: asked once, never waited for, and told where people look.

use serde_json::json;

use crate::harness::{Answer, Database, ScriptedUpstream, Setup, Step, get, raw, stall};

/// Where the platform says that its endpoint is, below its address.
const PATH: &str = "/v4/158d1c8083dd49d6b527399fd6414f5c-1";
const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// An answer with this JSON.
pub(crate) fn answers(value: &serde_json::Value) -> Answer {
    let body = value.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    vec![Step::ReadBody, raw(&format!("{head}{}\r\n\r\n{body}", body.len()))]
}

/// The answer of `/task` in the form that the documentation shows, for Fargate.
fn documented() -> serde_json::Value {
    json!({
        "Cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/default",
        "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/e9028f8d5d8e4f258373e7b93ce9a3c3",
        "Family": "orders",
        "Revision": "3",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Limits": { "CPU": 0.25, "Memory": 512 },
        "PullStartedAt": "2020-10-08T20:47:16.053330955Z",
        "PullStoppedAt": "2020-10-08T20:47:19.592684631Z",
        "AvailabilityZone": "us-west-2a",
        "LaunchType": "FARGATE",
        "Containers": [{
            "DockerId": "e9028f8d5d8e4f258373e7b93ce9a3c3-2495160603",
            "Name": "fusebox",
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Type": "NORMAL",
            "Networks": [{ "NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.108"] }],
        }],
    })
}

#[test]
fn a_task_is_known_by_its_id_and_zone_in_the_store_the_status_and_the_metrics() {
    let (database, platform) = (Database::new(), ScriptedUpstream::start());
    platform.answer_on(&format!("{PATH}/task"), answers(&documented()));
    let setup = Setup::payments(&platform.url(), &[]).database(&database.url);
    let fusebox = setup.env(VARIABLE, &format!("{}{PATH}", platform.url())).start();
    let said = fusebox
        .wait_for_line("the task is told", |line| line["message"] == "this is a task of ECS");
    assert_eq!(said["cluster"], "default");
    assert_eq!(said["definition"], "orders:3");
    let id = "e9028f8d5d8e4f258373e7b93ce9a3c3";
    // From the next heartbeat on, where the first was sooner.
    database
        .wait_for("select display_name, zone from sidecar_instance", &format!("{id}|us-west-2a"));
    let kept = "select cluster, task, definition, zone from sidecar_identity";
    database.wait_for(kept, &format!("default|{id}|orders:3|us-west-2a"));
    assert_eq!(fusebox.ask("/api/v1/status")["displayName"], id);
    let metrics = get(fusebox.admin, "/metrics", &[]);
    let line = metrics.text().lines().find(|line| line.starts_with("fusebox_task_info{"));
    let line = line.expect("the metric is there").to_owned();
    for label in ["cluster=\"default\"", "definition=\"orders:3\"", "zone=\"us-west-2a\""] {
        assert!(line.contains(label), "{line}");
    }
    let asked = platform.received().into_iter().filter(|it| it.line.contains(PATH)).count();
    assert_eq!(asked, 1, "once");
}

#[test]
fn a_name_and_a_zone_that_people_gave_stay() {
    let (database, platform) = (Database::new(), ScriptedUpstream::start());
    platform.answer_on(&format!("{PATH}/task"), answers(&documented()));
    let setup = Setup::payments(&platform.url(), &[]).database(&database.url);
    let setup = setup.with("instance: { name: orders-3, zone: here }");
    let fusebox = setup.env(VARIABLE, &format!("{}{PATH}", platform.url())).start();
    fusebox.wait_for_line("the task is told", |line| line["message"] == "this is a task of ECS");
    assert_eq!(fusebox.ask("/api/v1/status")["displayName"], "orders-3");
    database.wait_for("select display_name, zone from sidecar_instance", "orders-3|here");
}

#[test]
fn an_endpoint_that_hangs_or_is_wrong_holds_nothing_up() {
    let platform = ScriptedUpstream::start();
    platform.answer_on("/hangs/task", stall());
    platform.answer_on("/wrong/task", answers(&json!({ "Cluster": "default" })));
    for (path, why) in
        [("/hangs", "did not answer within 1s"), ("/wrong", "says nothing of TaskARN")]
    {
        let setup = Setup::payments(&platform.url(), &[]);
        let fusebox = setup.env(VARIABLE, &format!("{}{path}", platform.url())).start();
        // It is ready and carries calls, whether or not it has been told meanwhile.
        assert_eq!(fusebox.get("/", &[]).status, 200, "{path}");
        let line = fusebox.wait_for_line("it is told", |line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("which task of ECS"))
        });
        assert!(line["error"].as_str().is_some_and(|error| error.contains(why)), "{line}");
    }
}
