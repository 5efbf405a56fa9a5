//! Bad input to the scripts: one clear line that says what to do, its own exit code, nothing done.

use std::path::Path;

use serde_json::json;

use crate::{
    cloud::{Cloud, Network, bare, to_its_end},
    files::root,
    peer::{Finished, Home},
    scripts::{deploy, make_secrets},
};

const USAGE: i32 = 2;
const INVALID: i32 = 3;
const UNREACHABLE: i32 = 4;
const UNHEALTHY: i32 = 5;

/// It said just this, in one line, with this code.
fn is_refused(finished: &Finished, code: i32, said: &str) {
    assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains(said), "{} has no: {said}", finished.stderr);
    assert_eq!(finished.stdout, b"", "nothing was done");
}

/// A script where there is no account at all.
fn without_account(name: &str, words: &[&str], variables: &[(&str, &str)]) -> Finished {
    let path = root().join("deploy").join(name);
    let mut command = bare(path.to_str().expect("a plain path"));
    command.args(words).envs(variables.iter().copied());
    to_its_end(command)
}

#[test]
fn what_is_wrong_in_itself_is_found_before_anybody_is_asked() {
    const OTHERS: [&str; 6] = ["--image", "a", "--service-image", "b", "--vpc", "vpc-1"];
    let with = |more: &[&'static str]| [&["staging"], &OTHERS[..], more].concat();
    for (words, code, said) in [
        (vec!["Staging!"], USAGE, "'Staging!' is no name of an environment"),
        (vec!["staging", "production"], USAGE, "one environment at a time"),
        (vec!["staging-eu"], USAGE, "'staging-eu' is no name of an environment"),
        (
            vec!["productioneuwest", "--prefix", "payments-platform"],
            USAGE,
            "'payments-platform-productioneuwest' has 34 characters",
        ),
        (vec!["staging", "--prefix", "internal"], USAGE, "begins with internal-"),
        (vec!["staging", "--colour", "red"], USAGE, "there is no option --colour"),
        (vec!["staging"], USAGE, "--image is missing"),
        (with(&["--subnets", "subnet-1"]), INVALID, "two or more"),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--desired-count", "0"]),
            INVALID,
            "it must be 1 to 1000",
        ),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--desired-count", "two"]),
            INVALID,
            "it must be 1 to 1000",
        ),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--retention-days", "31"]),
            INVALID,
            "CloudWatch knows 1, 3",
        ),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--scheme", "public"]),
            INVALID,
            "internal or internet-facing",
        ),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--architecture", "arm"]),
            INVALID,
            "it is x86_64 or arm64",
        ),
        (
            with(&["--subnets", "subnet-1,subnet-2", "--task-definition", "README.md"]),
            INVALID,
            "no task definition",
        ),
    ] {
        is_refused(&without_account("deploy-to-aws.sh", &words, &[]), code, said);
    }
    let url = [("DATABASE_URL", "mysql://u:hush@db/d")];
    let refused = without_account("create-aws-secrets.sh", &["staging"], &url);
    is_refused(&refused, INVALID, "DATABASE_URL is no Postgres URL");
    assert!(!refused.stderr.contains("hush"));
    let prefix = without_account("teardown.sh", &["staging", "--prefix", "/"], &[]);
    is_refused(&prefix, USAGE, "'/' is no prefix");
    for script in ["create-aws-secrets.sh", "deploy-to-aws.sh", "teardown.sh"] {
        for (words, said) in [
            (&["staging", "--prefix"][..], "--prefix needs a value"),
            (&["staging", "--"], "there is no option --"),
            (&["staging", "-x"], "there is no option -x"),
            (&["staging", "--prefix timeout", "1"], "there is no option --prefix timeout"),
        ] {
            is_refused(&without_account(script, words, &[]), USAGE, said);
        }
    }
}

#[test]
fn a_missing_program_is_something_missing() {
    let home = Home::new("programs");
    for name in ["bash", "dirname"] {
        let found = ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(name));
        let found = found.into_iter().find(|path| path.exists()).expect("it is installed");
        std::os::unix::fs::symlink(found, home.path().join(name)).expect("a link");
    }
    for script in ["create-aws-secrets.sh", "deploy-to-aws.sh", "teardown.sh"] {
        let mut command = bare("/usr/bin/env");
        command.arg(format!("PATH={}", home.path().display()));
        command.arg(root().join("deploy").join(script)).arg("staging");
        is_refused(&to_its_end(command), INVALID, "aws is needed and not installed");
    }
}

#[test]
fn without_credentials_or_a_region_nothing_begins() {
    let url = ("DATABASE_URL", "postgres://u:p@db/d");
    for script in ["create-aws-secrets.sh", "teardown.sh"] {
        let region = ("AWS_REGION", "eu-central-1");
        let refused = without_account(
            script,
            &["staging", "--yes"][..1 + usize::from(script == "teardown.sh")],
            &[url, region],
        );
        is_refused(&refused, UNREACHABLE, "no credentials: sign in");
    }
    let nowhere = without_account("create-aws-secrets.sh", &["staging"], &[url]);
    is_refused(&nowhere, UNREACHABLE, "no region: set AWS_REGION");
    let region = ("AWS_REGION", "frankfurt");
    let odd = without_account("create-aws-secrets.sh", &["staging"], &[url, region]);
    is_refused(&odd, UNREACHABLE, "'frankfurt' is no region");
}

#[test]
fn what_aws_does_not_have_is_told_before_anything_is_made() {
    let cloud = Cloud::start();
    let network = cloud.network();
    let url = ("DATABASE_URL", "postgres://u:p@db/d");
    let unknown = [url, ("AWS_REGION", "eu-central-9")];
    is_refused(&make_secrets(&cloud, &unknown), UNREACHABLE, "AWS has no region eu-central-9");
    is_refused(&make_secrets(&cloud, &[]), INVALID, "export DATABASE_URL");
    assert_eq!(cloud.ask(&["secretsmanager", "list-secrets"])["SecretList"], json!([]));

    let missing = deploy(&cloud, &network, ["fusebox:1", "orders:1"], &[]);
    is_refused(&missing, INVALID, "the secret fusebox/staging/database is missing: deploy/create");
    make_secrets(&cloud, &[url]).text();
    let elsewhere = Network { vpc: "vpc-0".to_owned(), subnets: network.subnets.clone() };
    let odd = deploy(&cloud, &elsewhere, ["fusebox:1", "orders:1"], &[]);
    is_refused(&odd, INVALID, "not in --vpc vpc-0");
    let gone = Network { vpc: network.vpc.clone(), subnets: "subnet-0,subnet-1".to_owned() };
    is_refused(&deploy(&cloud, &gone, ["fusebox:1", "orders:1"], &[]), INVALID, "does not exist");
    assert_eq!(cloud.ask(&["ecs", "list-clusters"])["clusterArns"], json!([]));
}

#[test]
fn a_first_service_that_never_becomes_healthy_is_removed_again() {
    let cloud = Cloud::start();
    let network = cloud.network();
    make_secrets(&cloud, &[("DATABASE_URL", "postgres://u:p@db/d")]).text();
    let sick = deploy(&cloud, &network, ["fusebox:1", "orders:sick"], &[]);
    assert_eq!(sick.code, Some(UNHEALTHY), "{}", sick.stderr);
    let said = "deploy-to-aws.sh: orders did not become healthy and is removed again: \
                (tasks failed health checks)\n";
    assert_eq!(sick.stderr, said);
    let asked =
        ["ecs", "describe-services", "--cluster", "fusebox-staging", "--services", "orders"];
    assert_ne!(cloud.ask(&asked)["services"][0]["status"], "ACTIVE");
}
