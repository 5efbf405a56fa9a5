//! The image and the compose stack by a real engine, where one answers. Elsewhere that is told, and what
//! can be tried without one is in `image` and `compose`.

use std::{
    fs,
    io::{ErrorKind, Write},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    files::root,
    peer::{Home, run_within},
};

/// How long an image takes to be built from nothing: everything is compiled, and optimised as a whole.
const BUILD: Duration = Duration::from_secs(45 * 60);
/// How long anything else takes, images of others to be fetched included.
const LONG: Duration = Duration::from_secs(10 * 60);
/// Its containers and volumes are told by this name from those of people who look at the same stack. Both
/// cannot be up at once, for they publish the same ports.
const PROJECT: &str = "fusebox-test";
/// So that nobody's own image is replaced.
const IMAGE: &str = "fusebox-test";
const MIB: u64 = 1024 * 1024;

/// Runs `docker` with these words from the root, to a good end; what it printed.
fn docker(limit: Duration, words: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(words).current_dir(root()).env_remove("COMPOSE_PROFILES");
    command.env("FUSEBOX_IMAGE", IMAGE);
    run_within(limit, command, Vec::new()).text().trim().to_owned()
}

const COMPOSE: [&str; 5] = ["compose", "--project-name", PROJECT, "--file", "deploy/compose.yaml"];

/// Why there is no engine that could be used.
fn missing() -> Option<String> {
    for words in [&["info"][..], &["buildx", "version"], &["compose", "version"]] {
        let mut command = Command::new("docker");
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Some(format!("docker {} ended with {status}", words.join(" "))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Some("docker is not installed".to_owned());
            }
            Err(error) => return Some(format!("docker: {error}")),
        }
    }
    None
}

/// Takes down what is up, whatever became of the test.
struct Stack;

impl Drop for Stack {
    fn drop(&mut self) {
        let mut command = Command::new("docker");
        command.args(COMPOSE).args(["down", "--volumes", "--remove-orphans"]).current_dir(root());
        command.env("FUSEBOX_IMAGE", IMAGE);
        // Nothing is left is said below; here another failure may be on its way.
        command.status().ok();
    }
}

#[test]
fn an_engine_builds_the_image_and_the_stack_opens_its_circuits() {
    if let Some(why) = missing() {
        // Not `eprintln`, which the test runner keeps to itself when nothing fails.
        let told = "left out: the image is not built and the compose stack not started";
        writeln!(std::io::stderr(), "{told}: {why}").expect("somebody reads it");
        return;
    }
    docker(BUILD, &["build", "--file", "deploy/Dockerfile", "--tag", IMAGE, "--load", "."]);
    it_is_small_and_nobody_special();

    let stack = Stack;
    // Built above, so that it is that image which runs.
    docker(LONG, &[&COMPOSE[..], &["up", "--wait", "--no-build"]].concat());
    let mut command = Command::new(root().join("deploy/break-upstream.sh"));
    command.env("PATIENCE_SECONDS", "180");
    let said = run_within(LONG, command, Vec::new()).text();
    for (state, times) in [("OPEN", 2), ("CLOSED", 4)] {
        assert_eq!(said.matches(&format!(": {state} after ")).count(), times, "{said}");
    }
    assert!(said.contains("orders asked and got 503"), "{said}");
    drop(stack);
    let left = docker(LONG, &[&COMPOSE[..], &["ps", "--all", "--quiet"]].concat());
    assert_eq!(left, "", "nothing is left");
}

/// What an engine says of the image's size depends on how it stores images, so that its files are
/// weighed themselves.
fn it_is_small_and_nobody_special() {
    let user = ["image", "inspect", "--format", "{{.Config.User}}", IMAGE];
    assert_eq!(docker(LONG, &user), "65532:65532");
    let home = Home::new("engine");
    let archive = home.path().join("image.tar");
    let container = docker(LONG, &["create", IMAGE]);
    docker(LONG, &["export", "--output", archive.to_str().expect("a plain path"), &container]);
    docker(LONG, &["rm", "--volumes", &container]);
    let bytes = fs::metadata(&archive).expect("it was written").len();
    writeln!(std::io::stderr(), "the image has {bytes} bytes").expect("somebody reads it");
    assert!(bytes < 30 * MIB, "{bytes}");
}
