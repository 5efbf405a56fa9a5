//! The scripts against the double: made, again without a change, changed, gone.

use serde_json::{Value, json};

use crate::{
    cloud::{Cloud, Network, REGION},
    files::root,
    peer::{Finished, run},
};

pub(crate) const URL: &str =
    "postgres://fusebox:right-horse@db.internal:5432/fusebox?sslmode=verify-full";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:on-call";

/// Deploys these two images.
pub(crate) fn deploy(
    cloud: &Cloud,
    network: &Network,
    images: [&str; 2],
    more: &[&str],
) -> Finished {
    let mut words = vec!["staging", "--image", images[0], "--service-image", images[1]];
    words.extend(["--vpc", &network.vpc, "--subnets", &network.subnets]);
    words.extend(["--poll", "0", "--timeout", "10"]);
    words.extend(more);
    cloud.script("deploy-to-aws.sh", &words, &[])
}

pub(crate) fn make_secrets(cloud: &Cloud, variables: &[(&str, &str)]) -> Finished {
    cloud.script("create-aws-secrets.sh", &["staging"], variables)
}

/// The task definition that the service runs.
pub(crate) fn running(cloud: &Cloud) -> String {
    let asked =
        ["ecs", "describe-services", "--cluster", "fusebox-staging", "--services", "orders"];
    let service = &cloud.ask(&asked)["services"][0];
    assert_eq!(service["runningCount"], service["desiredCount"], "{service}");
    let arn = service["taskDefinition"].as_str().expect("a task definition");
    arn.rsplit('/').next().expect("a name").to_owned()
}

/// A secret's value.
fn held(cloud: &Cloud, name: &str) -> Value {
    let asked = ["secretsmanager", "get-secret-value", "--secret-id", name];
    let value = cloud.ask(&asked)["SecretString"].as_str().expect("text").to_owned();
    serde_json::from_str(&value).expect("JSON")
}

/// Whom the migration grants what the tasks need.
fn granted_to(cloud: &Cloud) -> Value {
    let family = ["--task-definition", "fusebox-staging-orders-migrate"];
    let asked = [&["ecs", "describe-task-definition"][..], &family].concat();
    let container = &cloud.ask(&asked)["taskDefinition"]["containerDefinitions"][0];
    assert_eq!(container["environment"][0]["name"], "FUSEBOX_GRANT_TO");
    container["environment"][0]["value"].clone()
}

/// What processor the service and its migration run on.
fn architectures(cloud: &Cloud) -> [Value; 2] {
    ["fusebox-staging-orders", "fusebox-staging-orders-migrate"].map(|family| {
        let asked = ["ecs", "describe-task-definition", "--task-definition", family];
        let definition = &cloud.ask(&asked)["taskDefinition"];
        definition["runtimePlatform"]["cpuArchitecture"].clone()
    })
}

/// The policies that the tasks' role has.
fn policies(cloud: &Cloud) -> Value {
    let asked = ["iam", "list-role-policies", "--role-name", "fusebox-staging-task"];
    cloud.ask(&asked)["PolicyNames"].clone()
}

/// Who is told of the alarms.
fn told(cloud: &Cloud) -> Vec<Value> {
    let alarms = cloud.ask(&["cloudwatch", "describe-alarms"])["MetricAlarms"].clone();
    let alarms = alarms.as_array().expect("alarms").iter();
    alarms.map(|alarm| alarm["AlarmActions"].clone()).collect()
}

/// What `fusebox cloudwatch` prints for this fleet.
fn printed(what: &str) -> Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fusebox"));
    command.args(["cloudwatch", what, "--environment", "staging", "--region", REGION]);
    serde_json::from_str(&run(command, Vec::new()).text()).expect("JSON")
}

#[test]
fn secrets_are_made_once_and_change_only_as_told() {
    let cloud = Cloud::start();
    let made = make_secrets(&cloud, &[("DATABASE_URL", URL), ("OPENAI_API_KEY", "sk-first")]);
    let said = made.text();
    assert_eq!(said.matches(": made").count(), 3, "{said}");
    let database = held(&cloud, "fusebox/staging/database");
    assert_eq!(database, json!({ "DATABASE_URL": URL, "MIGRATE_DATABASE_URL": URL }));
    let keys = held(&cloud, "fusebox/staging/ai-keys");
    assert_eq!(keys["OPENAI_API_KEY"], "sk-first");
    assert_eq!(keys["GEMINI_API_KEY"], "not-set", "a task does not start without the key");
    let token = held(&cloud, "fusebox/staging/app")["FUSEBOX_ADMIN_TOKEN"].clone();
    assert!(token.as_str().is_some_and(|token| token.len() >= 28), "{token}");

    let again = make_secrets(&cloud, &[]).text();
    assert_eq!(again.matches(": as it was").count(), 3, "{again}");

    let changed = make_secrets(&cloud, &[("GEMINI_API_KEY", "a\"b\\c")]).text();
    assert!(changed.contains("ai-keys: changed"), "{changed}");
    let keys = held(&cloud, "fusebox/staging/ai-keys");
    assert_eq!(
        (&keys["OPENAI_API_KEY"], &keys["GEMINI_API_KEY"]),
        (&json!("sk-first"), &json!("a\"b\\c"))
    );
    assert_eq!(held(&cloud, "fusebox/staging/app")["FUSEBOX_ADMIN_TOKEN"], token, "drawn once");
    for secret in ["right-horse", "sk-first", token.as_str().expect("text")] {
        assert!(
            !format!("{said}{}{again}{changed}", made.stderr).contains(secret),
            "{secret} is told"
        );
    }
}

#[test]
fn the_url_of_the_migration_follows_until_it_is_another() {
    const NAME: &str = "fusebox/staging/database";
    const NEXT: &str = "postgres://fusebox:left-horse@db.internal:5432/fusebox";
    const OWNER: &str = "postgres://owner:left-horse@db.internal:5432/fusebox";
    let cloud = Cloud::start();
    // Made by hand, with the one key that people think of.
    let by_hand = json!({ "DATABASE_URL": URL }).to_string();
    cloud.ask(&["secretsmanager", "create-secret", "--name", NAME, "--secret-string", &by_hand]);
    for (variables, runs_as, migrates_as) in [
        (vec![], URL, URL),
        (vec![("DATABASE_URL", NEXT)], NEXT, NEXT),
        (vec![("MIGRATE_DATABASE_URL", OWNER)], NEXT, OWNER),
        (vec![("DATABASE_URL", URL)], URL, OWNER),
    ] {
        make_secrets(&cloud, &variables).text();
        let expected = json!({ "DATABASE_URL": runs_as, "MIGRATE_DATABASE_URL": migrates_as });
        assert_eq!(held(&cloud, NAME), expected, "{variables:?}");
    }
}

#[test]
fn a_service_is_deployed_again_changed_rolled_back_and_removed() {
    let cloud = Cloud::start();
    let network = cloud.network();
    make_secrets(&cloud, &[("DATABASE_URL", URL)]).text();

    let dry = deploy(&cloud, &network, ["fusebox:1", "orders:1"], &["--dry-run"]).text();
    assert!(dry.contains("stack fusebox-staging: would be made"), "{dry}");
    assert_eq!(cloud.ask(&["ecs", "list-clusters"])["clusterArns"], json!([]), "{dry}");

    // What a change set that failed leaves behind.
    let template = ["--template-body", "file://deploy/cloudformation.yaml"];
    let parameters = ["--parameters", "ParameterKey=Environment,ParameterValue=staging"];
    let left = ["--stack-name", "fusebox-staging", "--change-set-name", "a"];
    let begun = ["cloudformation", "create-change-set", "--change-set-type", "CREATE"];
    cloud.ask(&[&begun[..], &left, &template, &parameters].concat());

    let topic = ["--alarm-topic", TOPIC];
    let first = deploy(&cloud, &network, ["fusebox:1", "orders:1"], &topic).text();
    assert!(first.contains("migration: done\n") && first.contains("stable"), "{first}");
    assert_eq!(running(&cloud), "fusebox-staging-orders:1");
    what_people_see_is_what_the_command_prints(&cloud);
    what_is_registered_is_filled_in(&cloud);
    assert_eq!(policies(&cloud), json!([]), "the service may write no lines that alarms count");

    let second = deploy(&cloud, &network, ["fusebox:1", "orders:1"], &[]).text();
    let unchanged = "stack fusebox-staging: as it was\nmigration: done\n\
                     service orders: as it was, fusebox-staging-orders:1\n";
    assert_eq!(second, unchanged);

    let other = deploy(&cloud, &network, ["fusebox:1", "payments:1"], &["--service", "payments"]);
    assert_eq!((other.code, other.stdout.len()), (Some(3), 0), "{}", other.stderr);
    assert!(other.stderr.contains("carries the service orders already"), "{}", other.stderr);

    let router = [
        "--task-definition",
        "ecs-task-definitions/fargate-both-firelens.json",
        "--database-role",
        "fusebox_run",
        "--architecture",
        "arm64",
    ];
    assert_eq!(granted_to(&cloud), "");
    assert_eq!(architectures(&cloud), ["X86_64", "X86_64"]);
    let third = deploy(&cloud, &network, ["fusebox:1", "orders:2"], &router).text();
    assert!(third.contains("migration: done\n"), "{third}");
    assert_eq!(granted_to(&cloud), "fusebox_run");
    assert_eq!(architectures(&cloud), ["ARM64", "ARM64"]);
    assert_eq!(running(&cloud), "fusebox-staging-orders:2");
    assert_eq!(policies(&cloud), json!(["logs"]));
    assert_eq!(told(&cloud), [json!([TOPIC]), json!([TOPIC])], "what is not given stays");

    let sick = deploy(&cloud, &network, ["fusebox:1", "orders:sick"], &[]);
    assert_eq!(sick.code, Some(5), "{}", sick.stderr);
    let said = "deploy-to-aws.sh: orders did not become healthy and is back at \
                fusebox-staging-orders:2: (tasks failed health checks)\n";
    assert_eq!(sick.stderr, said);
    assert_eq!(running(&cloud), "fusebox-staging-orders:2");

    let broken = deploy(&cloud, &network, ["fusebox:broken", "orders:3"], &[]);
    assert_eq!(broken.code, Some(6), "{}", broken.stderr);
    assert!(
        broken.stderr.contains("the migration failed, and the service is as it was: exit code 1")
    );
    assert_eq!(running(&cloud), "fusebox-staging-orders:2");

    // Named as if it were a part of this stack.
    let containers = r#"[{"name": "a", "image": "b", "memory": 8}]"#;
    let foreign = ["ecs", "register-task-definition", "--family", "fusebox-staging-eu-orders"];
    let tags = ["--tags", "key=fusebox:stack,value=fusebox-staging-eu"];
    cloud.ask(&[&foreign[..], &["--container-definitions", containers], &tags].concat());

    let words = ["staging", "--yes", "--secrets", "--poll", "0"];
    cloud.script("teardown.sh", &words, &[]).text();
    nothing_is_left(&cloud);
    let again = cloud.script("teardown.sh", &words, &[]).text();
    assert_eq!(again, "nothing of fusebox-staging is left\n");
}

fn what_people_see_is_what_the_command_prints(cloud: &Cloud) {
    let asked = ["cloudwatch", "get-dashboard", "--dashboard-name", "fusebox-staging"];
    let body = cloud.ask(&asked)["DashboardBody"].as_str().expect("text").to_owned();
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body, printed("dashboard"));
    let made = cloud.ask(&["cloudwatch", "describe-alarms"])["MetricAlarms"].clone();
    let wanted = printed("alarms");
    assert_eq!(made.as_array().map(Vec::len), wanted.as_array().map(Vec::len));
    for alarm in wanted.as_array().expect("alarms") {
        let name = &alarm["AlarmName"];
        let of_name = made.as_array().expect("alarms").iter().find(|it| it["AlarmName"] == *name);
        let of_name = of_name.unwrap_or_else(|| panic!("no {name}"));
        for (key, value) in alarm.as_object().expect("an alarm") {
            let is_same = match value.as_f64() {
                Some(number) => of_name[key].as_f64() == Some(number),
                None => of_name[key] == *value,
            };
            assert!(is_same, "{name}: {key} is {}, not {value}", of_name[key]);
        }
    }
}

fn what_is_registered_is_filled_in(cloud: &Cloud) {
    let asked = ["ecs", "describe-task-definition", "--task-definition", "fusebox-staging-orders"];
    let definition = &cloud.ask(&asked)["taskDefinition"];
    let role = "arn:aws:iam::123456789012:role/fusebox-staging-";
    assert_eq!(definition["executionRoleArn"], format!("{role}execution"));
    assert_eq!(definition["taskRoleArn"], format!("{role}task"));
    let fusebox = &definition["containerDefinitions"][0];
    assert_eq!(fusebox["image"], "fusebox:1");
    let secret = fusebox["secrets"][0]["valueFrom"].as_str().expect("a source");
    let place = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:fusebox/staging/database-";
    assert!(secret.starts_with(place) && secret.ends_with(":DATABASE_URL::"), "{secret}");
    let group = &fusebox["logConfiguration"]["options"]["awslogs-group"];
    let groups = cloud.ask(&["logs", "describe-log-groups"]);
    assert_eq!(groups["logGroups"][0]["logGroupName"], *group);
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 30);
}

fn nothing_is_left(cloud: &Cloud) {
    for (words, key) in [
        (["ecs", "list-clusters"], "clusterArns"),
        (["cloudwatch", "describe-alarms"], "MetricAlarms"),
        (["cloudwatch", "list-dashboards"], "DashboardEntries"),
        (["logs", "describe-log-groups"], "logGroups"),
        (["elbv2", "describe-load-balancers"], "LoadBalancers"),
        (["elbv2", "describe-target-groups"], "TargetGroups"),
        (["iam", "list-roles"], "Roles"),
        (["secretsmanager", "list-secrets"], "SecretList"),
    ] {
        assert_eq!(cloud.ask(&words)[key], json!([]), "{words:?}");
    }
    let left = cloud.ask(&["ecs", "list-task-definitions"])["taskDefinitionArns"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}: only the one of others");
    let groups = cloud.ask(&["ec2", "describe-security-groups"]);
    let groups = groups["SecurityGroups"].as_array().expect("groups").iter();
    let ours = groups.filter(|it| it["GroupName"] != "default").count();
    assert_eq!(ours, 0, "only the network's own are there");
}

#[test]
fn scripts_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for name in
        ["create-aws-secrets.sh", "deploy-to-aws.sh", "teardown.sh", "break-upstream.sh", "release"]
    {
        let path = root().join("deploy").join(name);
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name}");
    }
}
