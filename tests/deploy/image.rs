//! The image, without a container engine: its file system put together by the script that the
//! Dockerfile runs, and started as an engine would start it.

use std::{
    fs,
    io::{BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
};

use crate::{
    files::{root, text},
    harness::read_head,
    local::{signal, wait_until},
    peer::{Home, PATIENCE, Peer, run, started},
};

const CONFIG: &str = "
service: orders
data_dir: /var/lib/fusebox
drain_quiet: 300ms
listeners:
  egress: { listen: \"unix:/var/lib/fusebox/calls.sock\", upstream: payments }
upstreams:
  payments: { endpoints: [\"unix:/var/lib/fusebox/upstream.sock\"] }
";

/// The image's root, with the real binary.
fn assembled(home: &Home) -> PathBuf {
    let tree = home.path().join("root");
    let mut command = Command::new(root().join("deploy/assemble.sh"));
    command.arg(env!("CARGO_BIN_EXE_fusebox")).arg(&tree);
    run(command, Vec::new()).text();
    tree
}

/// Every file of a tree, with its size.
fn sizes(tree: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(tree).expect("a directory") {
        let entry = entry.expect("readable");
        let about = entry.metadata().expect("it is there");
        if about.is_dir() {
            found.extend(sizes(&entry.path()));
        } else {
            found.push((entry.path(), about.len()));
        }
    }
    found
}

/// An upstream at a Unix socket that answers each call when it is told to.
fn upstream(at: &Path) -> (Receiver<()>, Sender<()>) {
    let listener = UnixListener::bind(at).expect("a socket");
    let (arrived, arrivals) = channel();
    let (answer, answers) = channel::<()>();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            while read_head(&mut reader).is_ok() {
                if arrived.send(()).is_err() || answers.recv().is_err() {
                    return;
                }
                let sent =
                    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                sent.expect("it takes the answer");
            }
        }
    });
    (arrivals, answer)
}

/// Sends a call, which is not answered yet.
fn call(at: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("it reads");
    stream
}

fn answer_to(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A command within the process's root, network and rights.
fn within(pid: u32, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid.to_string(), "--user", "--preserve-credentials"]);
    command.args(["--net", "--mount", "--root", "--wd"]).args(words).env_clear();
    command
}

/// Whether this machine lets us put a process into namespaces of its own, which nothing that
/// `tests/run` could install changes. Where CI runs it must.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn has_namespaces() -> bool {
    let asked = run(Command::new(root().join("tests/deploy/enter.sh")), Vec::new());
    let why = asked.stderr.trim();
    let is_ours_to_know = asked.code == Some(69) && std::env::var("CI").is_err();
    assert!(asked.code == Some(0) || is_ours_to_know, "{why}");
    if asked.code != Some(0) {
        // Not `eprintln`, which the test runner keeps to itself when nothing fails.
        let said = writeln!(std::io::stderr(), "left out: the image is not started: {why}");
        said.expect("somebody reads it");
    }
    asked.code == Some(0)
}

#[test]
fn the_image_starts_answers_and_drains_without_rights() {
    if !has_namespaces() {
        return;
    }
    let home = Home::new("image");
    let tree = assembled(&home);
    let volume = home.path().join("volume");
    fs::create_dir(&volume).expect("a directory");
    let (arrivals, answer) = upstream(&volume.join("upstream.sock"));
    let mut command = Command::new(root().join("tests/deploy/enter.sh"));
    command.arg(&tree).arg(&volume).args(["/usr/bin/fusebox", "run"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("FUSEBOX_CONFIG", CONFIG);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = Peer(started(&mut command));
    let pid = process.0.id();
    wait_until("its own health check passes", PATIENCE, || {
        let ended = process.0.try_wait().expect("it is our child");
        assert!(ended.is_none(), "it ended: {ended:?}");
        let words = ["/usr/bin/fusebox", "healthcheck", "--ready"];
        let asked = run(within(pid, &words), Vec::new());
        (asked.code == Some(0)).then_some(())
    });
    it_has_no_rights(pid);

    let calls = volume.join("calls.sock");
    let first = call(&calls);
    arrivals.recv_timeout(PATIENCE).expect("the call arrives");
    answer.send(()).expect("the upstream waits");
    assert!(answer_to(first).ends_with("\r\n\r\nok"));

    let second = call(&calls);
    arrivals.recv_timeout(PATIENCE).expect("the call arrives");
    signal(pid, "TERM");
    let third = call(&calls);
    for under_way in [second, third] {
        answer.send(()).expect("the upstream waits");
        assert!(answer_to(under_way).ends_with("\r\n\r\nok"), "a call of the service ends well");
    }
    let status =
        wait_until("it stops", PATIENCE, || process.0.try_wait().expect("it is our child"));
    assert!(status.success(), "{status}");
    assert!(volume.join("fusebox.db").exists(), "what it writes, it writes to the volume");
}

/// Nobody special, nothing to write to but the volume, nobody to talk to but itself.
fn it_has_no_rights(pid: u32) {
    let of = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
    assert_eq!(of("uid_map").split_whitespace().next(), Some("65532"));
    let status = of("status");
    let rights = status.lines().find(|line| line.starts_with("CapEff:")).expect("a line");
    assert!(rights.ends_with("\t0000000000000000"), "{rights}");
    let mounts = of("mountinfo");
    let options = |point: &str| {
        let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let line = fields.find(|fields| fields[4] == point).unwrap_or_else(|| panic!("no {point}"));
        line[5].to_owned()
    };
    assert!(options("/").starts_with("ro"), "{mounts}");
    assert!(options("/var/lib/fusebox").starts_with("rw"), "{mounts}");
    let network = of("net/dev");
    let devices = network.lines().skip(2).filter_map(|line| line.split(':').next());
    assert_eq!(devices.map(str::trim).collect::<Vec<_>>(), ["lo"]);
}

#[test]
fn the_image_holds_what_is_needed_and_little_else() {
    const MIB: u64 = 1024 * 1024;
    let home = Home::new("image");
    let tree = assembled(&home);
    let files = sizes(&tree);
    let has = |path: &str| files.iter().any(|(file, _)| file.ends_with(path));
    for needed in ["usr/bin/fusebox", "etc/ssl/certs/ca-certificates.crt", "etc/fusebox/ecs.yaml"] {
        assert!(has(needed), "{needed}");
    }
    for shell in ["sh", "bash", "busybox", "apt-get", "dpkg"] {
        assert!(!has(shell), "{shell}");
    }
    // The binary has 20 MiB at most, see `deploy/release`, and the whole less than 30.
    let others = files.iter().filter(|(file, _)| !file.ends_with("usr/bin/fusebox"));
    let bytes: u64 = others.map(|(_, bytes)| bytes).sum();
    assert!(bytes < 10 * MIB, "{bytes}");
}

/// An engine knows its own variables only within a stage that asks for them, and takes them for nothing
/// elsewhere.
#[test]
fn what_a_stage_of_the_dockerfile_uses_it_declares() {
    let dockerfile = text("deploy/Dockerfile");
    for stage in dockerfile.split("\nFROM ").skip(1) {
        let used = stage.split('$').skip(1);
        let used = used
            .map(|rest| rest.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_'));
        for name in used.filter_map(|mut words| words.next()) {
            assert!(stage.contains(&format!("\nARG {name}")), "{name} in {stage}");
        }
    }
    assert!(dockerfile.contains("id=target-$TARGETARCH"), "each platform has its own cache");
}

#[test]
fn the_dockerfile_runs_unprivileged_and_reads_only_what_it_names() {
    let dockerfile = text("deploy/Dockerfile");
    let last_stage = dockerfile.rsplit("\nFROM ").next().expect("a stage");
    assert!(last_stage.starts_with("scratch\n"));
    assert!(last_stage.contains("\nUSER 65532:65532\n"));
    assert!(last_stage.contains("CMD [\"/usr/bin/fusebox\", \"healthcheck\"]"));
    assert!(dockerfile.contains("deploy/assemble.sh target/release/fusebox /image"));
    // What the build copies must be there, or the cache key would say less than the build reads.
    for line in text("deploy/Dockerfile.dockerignore").lines() {
        if let Some(path) = line.strip_prefix('!') {
            assert!(root().join(path).exists(), "{path} is not there");
        }
    }
}
