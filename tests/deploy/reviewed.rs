//! What others' programs say of the files: linters, schemas, and the model of AWS's own clients.

use std::process::Command;

use crate::{
    cloud::{bare, to_its_end},
    files::{files, programs},
};

/// One of the programs that are installed for this.
fn reviewer(name: &str) -> Command {
    bare(programs().join(name).to_str().expect("a plain path"))
}

/// Runs a program over files; it finds nothing.
fn finds_nothing(name: &str, options: &[&str], files: &[String]) {
    let mut command = reviewer(name);
    command.args(options).args(files);
    to_its_end(command).text();
}

#[test]
fn task_definitions_are_what_the_service_takes() {
    finds_nothing("python", &["tests/deploy/definitions.py"], &files("ecs-task-definitions", ""));
}

#[test]
fn a_definition_that_the_service_would_refuse_is_found() {
    let home = crate::peer::Home::new("definition");
    for (definition, fault) in [
        (r#"{"family": "a", "containerDefinitions": [], "cpus": "1"}"#, "Unknown parameter"),
        (r#"{"family": "a"}"#, "Missing required parameter"),
        (
            r#"{"family": "a", "containerDefinitions": [], "networkMode": "vpc"}"#,
            "vpc is none of bridge, host, awsvpc, none",
        ),
    ] {
        let mut command = reviewer("python");
        let file = home.file("definition.json", definition.as_bytes());
        command.arg("tests/deploy/definitions.py").arg(file);
        let finished = to_its_end(command);
        let said = String::from_utf8_lossy(&finished.stdout).into_owned();
        assert!(finished.code == Some(1) && said.contains(fault), "{definition}: {said}");
    }
}

#[test]
fn the_template_is_one_for_cloudformation() {
    finds_nothing("cfn-lint", &[], &["deploy/cloudformation.yaml".to_owned()]);
}

#[test]
fn the_scripts_have_none_of_the_known_faults_of_shell() {
    let mut scripts = files("deploy", ".sh");
    scripts.push("deploy/release".to_owned());
    finds_nothing("shellcheck", &["-x", "-P", "SCRIPTDIR", "-P", "."], &scripts);
}

#[test]
fn the_dockerfile_has_none_of_the_known_faults() {
    finds_nothing("hadolint", &[], &["deploy/Dockerfile".to_owned()]);
}

#[test]
fn the_compose_file_follows_the_specification() {
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    finds_nothing("check-jsonschema", &schema, &["deploy/compose.yaml".to_owned()]);
}
