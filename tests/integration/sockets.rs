//! A listener at a Unix socket: calls through it, and whose its file is.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    harness::{Fusebox, Gate, PATIENCE, Running, ScriptedUpstream, Setup, Step, raw, run},
    local::{free_address, wait_until},
};

/// The path of a socket that is removed with the value, whoever made it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("fusebox-{}-{number}.sock", std::process::id())))
    }

    fn listen(&self) -> String {
        format!("unix:{}", self.0.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A Fusebox at a socket, with these further keys of the listener.
fn setup(place: &Place, upstream: &ScriptedUpstream, keys: &str) -> Setup {
    Setup::of(format!(
        "listeners:
  egress: {{ listen: \"{}\", upstream: payments{keys} }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        place.listen(),
        upstream.url()
    ))
}

/// Sends a call and leaves the answer to be read to the end.
fn send(path: &Path, headers: &str) -> UnixStream {
    let mut stream = UnixStream::connect(path).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let head = format!("GET /pay HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

fn answer(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a whole answer within the deadline");
    text
}

fn call(path: &Path, headers: &str) -> String {
    answer(send(path, headers))
}

fn assert_ok(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_call_through_a_socket_has_its_answer_its_line_and_its_row() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let fusebox = setup(&place, &upstream, "").start();
    let mode = fs::metadata(&place.0).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let forwarded = "x-correlation-id: req-unix\r\nx-forwarded-for: 192.0.2.1\r\n";
    assert_ok(&call(&place.0, forwarded));
    assert_eq!(upstream.last().headers.all("x-forwarded-for"), ["192.0.2.1"]);
    let line = fusebox.wait_for_line("the call's line", |line| line["correlationId"] == "req-unix");
    assert_eq!((&line["listener"], &line["outcome"]), (&"egress".into(), &"success".into()));
    let row = wait_until("its row", PATIENCE, || {
        let mut rows = fusebox.ask("/api/v1/tasks?correlationId=req-unix");
        rows["tasks"].as_array_mut()?.pop()
    });
    assert_eq!((&row["listener"], &row["status"]), (&"egress".into(), &200.into()), "{row}");
}

#[test]
fn what_runs_is_shown_with_the_path_of_its_socket() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let fusebox = setup(&place, &upstream, "").start();
    let line = fusebox.wait_for_line("the start", |line| line["message"] == "starting");
    assert_eq!(line["listeners"], format!("egress={}", place.listen()), "{line}");
    assert_eq!(fusebox.ask("/api/v1/status")["listeners"]["egress"], place.listen());
    let config = fusebox.ask("/api/v1/config");
    assert_eq!(config["listeners"]["egress"]["listen"], place.listen());
}

#[test]
fn of_a_caller_without_an_address_the_upstream_hears_that_it_is_unknown() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let _fusebox = setup(&place, &upstream, ", forwarded: replace").start();
    assert_ok(&call(&place.0, "x-forwarded-for: 192.0.2.1\r\nx-forwarded-port: 1\r\n"));
    let headers = upstream.last().headers;
    assert_eq!(headers.all("x-forwarded-for"), ["unknown"]);
    assert_eq!(headers.all("x-forwarded-host"), ["a"]);
}

#[test]
fn a_socket_that_a_killed_process_left_is_replaced_and_a_stop_removes_it() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let mut fusebox = setup(&place, &upstream, "").with("workers: 2").start();
    fusebox.kill9();
    assert!(place.0.exists() && UnixStream::connect(&place.0).is_err());
    fusebox.restart();
    for _ in 0..4 {
        assert_ok(&call(&place.0, ""));
    }
    assert!(fusebox.terminate().success());
    assert!(!place.0.exists());
}

#[test]
fn a_socket_that_somebody_accepts_on_is_an_address_in_use() {
    let (place, admin) = (Place::new(), free_address().to_string());
    let theirs = UnixListener::bind(&place.0).expect("the path is free");
    let listen = place.listen();
    let args =
        ["run", "--listen", &listen, "--admin", &admin, "--upstream", "a=http://127.0.0.1:1"];
    let finished = run(&args, &[("DATABASE_URL", "")]);
    assert_eq!(finished.code, Some(1), "{}", finished.text);
    for part in [listen.as_str(), "another process is there"] {
        assert!(finished.text.contains(part), "{}", finished.text);
    }
    theirs.set_nonblocking(true).expect("it can be asked");
    assert!(theirs.accept().is_ok(), "it was asked whether it lives");
    assert!(UnixStream::connect(&place.0).is_ok());
}

#[test]
fn no_file_is_needed_and_the_path_may_be_a_relative_one() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let name = place.0.file_name().and_then(|name| name.to_str()).expect("it has a name");
    let data = place.0.with_extension("data");
    let (listen, admin) = (format!("unix:{name}"), free_address().to_string());
    let (data_dir, target) = (data.display().to_string(), format!("a={}", upstream.url()));
    let _running = Running::start(&[
        "run",
        "--listen",
        &listen,
        "--admin",
        &admin,
        "--upstream",
        &target,
        "--data-dir",
        &data_dir,
    ]);
    wait_until("it accepts", PATIENCE, || UnixStream::connect(&place.0).ok());
    assert_ok(&call(&place.0, ""));
    drop(fs::remove_dir_all(data));
}

#[test]
fn a_stop_lets_calls_under_way_end_and_takes_no_new_ones() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let mut fusebox = setup(&place, &upstream, "").with("workers: 2").start();
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("done")]);
    let under_way: Vec<_> = (0..4).map(|_| send(&place.0, "")).collect();
    wait_until("the calls arrive", PATIENCE, || (upstream.hits() == 4).then_some(()));
    fusebox.ask_to_stop();
    wait_until_it_takes_no_more(&place, &fusebox);
    gate.open();
    for stream in under_way {
        assert!(answer(stream).ends_with("done"));
    }
    assert!(fusebox.wait_for_end().success());
    assert!(!place.0.exists());
}

fn wait_until_it_takes_no_more(place: &Place, fusebox: &Fusebox) {
    fusebox.wait_for_line("it drains", |line| line["message"] == "draining");
    wait_until("it takes no new connections", PATIENCE, || {
        UnixStream::connect(&place.0).is_err().then_some(())
    });
}

#[test]
fn a_successor_may_start_while_the_calls_of_its_predecessor_end() {
    let (place, upstream) = (Place::new(), ScriptedUpstream::start());
    let mut first = setup(&place, &upstream, "").start();
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("done")]);
    let under_way = send(&place.0, "");
    wait_until("the call arrives", PATIENCE, || (upstream.hits() == 1).then_some(()));
    first.ask_to_stop();
    wait_until_it_takes_no_more(&place, &first);
    let _second = setup(&place, &upstream, "").start();
    gate.open();
    assert!(answer(under_way).ends_with("done"));
    assert!(first.wait_for_end().success());
    assert!(call(&place.0, "").ends_with("done"));
}
