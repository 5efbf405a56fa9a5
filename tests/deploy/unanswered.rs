//! AWS that does not answer, or refuses: nothing is concluded from silence.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    cloud::{Cloud, bare, to_its_end},
    files::root,
    peer::{Finished, Home},
    scripts::{URL, deploy, make_secrets, running},
};

const FAILED: i32 = 1;

#[test]
fn a_question_without_an_answer_is_no_verdict_on_a_service() {
    let cloud = Cloud::start();
    let network = cloud.network();
    make_secrets(&cloud, &[("DATABASE_URL", URL)]).text();
    // However slow the machine, there is time for a second question.
    let patient = ["--timeout", "300"];
    let first = deploy(&cloud, &network, ["fusebox:1", "orders:shy"], &patient).text();
    assert!(first.ends_with("service orders: stable on fusebox-staging-orders:1\n"), "{first}");
    assert_eq!(running(&cloud), "fusebox-staging-orders:1");

    let silence = deploy(&cloud, &network, ["fusebox:1", "orders:mute"], &[]);
    assert_eq!(silence.code, Some(FAILED), "{}", silence.stderr);
    let said = "deploy-to-aws.sh: nobody says how orders does with fusebox-staging-orders:2, \
                which it keeps: aws ecs describe-services: ";
    assert!(silence.stderr.starts_with(said), "{}", silence.stderr);
    assert!(silence.stderr.contains("The security token is expired"), "{}", silence.stderr);
    let kept =
        cloud.ask(&["ecs", "list-task-definitions", "--family-prefix", "fusebox-staging-orders"]);
    assert_eq!(kept["taskDefinitionArns"].as_array().map(Vec::len), Some(2), "{kept}");

    // Not even whether there is a service.
    let blind = deploy(&cloud, &network, ["fusebox:1", "orders:2"], &[]);
    assert_eq!(blind.code, Some(FAILED), "{}", blind.stderr);
    assert_eq!(blind.stdout, b"stack fusebox-staging: as it was\n");
    assert_eq!(
        cloud.ask(&["ecs", "list-services", "--cluster", "fusebox-staging"])["serviceArns"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

/// An AWS in which a whole stack is there, and `$REFUSED` is what one may not do.
const GUARDED: &str = r#"#!/bin/sh
case "$1 $2" in
  "$REFUSED") echo "An error occurred (AccessDenied) when calling it: not for you" >&2; exit 254 ;;
  "ec2 describe-regions") echo eu-central-1 ;;
  "ecs list-services") echo '{"serviceArns": ["arn:aws:ecs:eu-central-1:1:service/a/orders"]}' ;;
  "ecs describe-services") echo '{"services": [{"status": "ACTIVE"}]}' ;;
  "ecs list-tasks") echo arn:aws:ecs:eu-central-1:1:task/a/1 ;;
  "ecs describe-tasks") echo 0 ;;
  "ecs list-task-definition-families") echo fusebox-staging-orders ;;
  "ecs list-task-definitions") echo arn:aws:ecs:eu-central-1:1:task-definition/orders:1 ;;
  "ecs describe-task-definition") echo fusebox-staging ;;
  "cloudformation describe-stacks") echo '{"StackStatus": "CREATE_COMPLETE"}' ;;
  "secretsmanager describe-secret") echo '{"ARN": "arn:aws:secretsmanager:eu-central-1:1:secret:a"}' ;;
esac
"#;

/// The end of `teardown.sh`, in an account that refuses this.
fn teardown_without(refused: &str) -> Finished {
    let home = Home::new("guarded");
    let aws = home.file("aws", GUARDED.as_bytes());
    fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).expect("it may be run");
    let mut command = bare(root().join("deploy/teardown.sh").to_str().expect("a plain path"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", home.path().display());
    command.env("PATH", path).env("AWS_REGION", "eu-central-1").env("REFUSED", refused);
    command.args(["staging", "--yes", "--secrets"]);
    to_its_end(command)
}

#[test]
fn a_teardown_that_is_refused_anything_does_not_say_that_nothing_is_left() {
    let allowed = teardown_without("nothing").text();
    assert!(allowed.ends_with("nothing of fusebox-staging is left\n"), "{allowed}");
    for question in [
        "ecs list-services",
        "ecs describe-services",
        "ecs delete-service",
        "ecs list-tasks",
        "ecs describe-tasks",
        "ecs list-task-definition-families",
        "ecs list-task-definitions",
        "ecs describe-task-definition",
        "ecs deregister-task-definition",
        "cloudformation describe-stacks",
        "cloudformation delete-stack",
        "cloudformation wait",
        "secretsmanager describe-secret",
        "secretsmanager delete-secret",
    ] {
        let refused = teardown_without(question);
        assert_eq!(refused.code, Some(FAILED), "{question}: {}", refused.stderr);
        let said = format!(
            "teardown.sh: aws {question}: An error occurred (AccessDenied) when calling it: not for you\n"
        );
        assert_eq!(refused.stderr, said);
        let done = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert!(!done.contains("nothing of"), "{question}: {done}");
    }
}
