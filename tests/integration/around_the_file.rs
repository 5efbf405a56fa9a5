//! The commands around the configuration's file, and those that ask a Fusebox to do something as a
//! whole.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    harness::{Database, PATIENCE, Running, ScriptedUpstream, Setup, run, run_on},
    local::{free_address, wait_until},
    postgres::PASSWORD,
};

/// A directory of a test's own, removed with it.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fusebox-file-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A file with this text.
    fn with(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).expect("it is written");
        self.file(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn init_writes_a_file_that_is_good_and_never_over_another() {
    let home = Home::new("init");
    let file = home.file("fusebox.yaml");
    let written = run(&["init", &file], &[]);
    assert_eq!(written.code, Some(0), "{}", written.text);
    let schema = fs::read_to_string(home.file("fusebox.schema.json")).expect("a schema");
    assert_eq!(json(&schema)["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(json(&run(&["schema"], &[]).text), json(&schema));
    assert_eq!(run(&["validate", &file], &[]).code, Some(0));

    fs::write(&file, "mine").expect("it is written");
    let refused = run(&["init", &file], &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.text.contains("nothing is written"), "{}", refused.text);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "mine");
}

const GOOD: &str = "\
admin: { token: hunter2 }
listeners:
  egress: { listen: \"127.0.0.1:0\", upstream: payments }
upstreams:
  payments: { endpoints: [\"http://127.0.0.1:1\"], timeouts: { connect: 3s } }
";

#[test]
fn values_in_force_tell_where_they_come_from_and_hide_secrets() {
    let home = Home::new("show");
    let file = home.with("fusebox.yaml", GOOD);
    let shown = run(&["config", "show", &file], &[("LOG_LEVEL", "debug")]);
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    for (value, origin) in [
        ("upstreams.payments.timeouts.connect = 3s", "# line 5"),
        ("upstreams.payments.timeouts.total = 60s", "# default"),
        ("logs.level = debug", "# LOG_LEVEL"),
        ("admin.token = ***", "# line 1"),
    ] {
        let line = shown.text.lines().find(|line| line.starts_with(value));
        assert!(line.is_some_and(|line| line.ends_with(origin)), "{value}: {}", shown.text);
    }
    let explained = run(&["validate", "--explain", "--format", "json", &file], &[]);
    let answer = json(&explained.text);
    assert_eq!((&answer["valid"], answer["values"].is_array()), (&Value::Bool(true), true));
    assert!(!explained.text.contains("hunter2") && !shown.text.contains("hunter2"));
}

#[test]
fn problems_are_there_for_scripts_too() {
    let home = Home::new("problems");
    let file = home.with("fusebox.yaml", &GOOD.replace("timeouts", "timeuots"));
    let refused = run(&["validate", "--format", "json", &file], &[]);
    assert_eq!(refused.code, Some(3));
    let answer = json(&refused.text);
    assert_eq!(answer["valid"], false);
    let problem = &answer["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["column"], &problem["path"]),
        (&5.into(), &50.into(), &"upstreams.payments.timeuots".into())
    );
}

/// The verdict of each code; the worst where there are several.
fn verdict(answer: &Value, code: &str) -> String {
    let findings = answer["findings"].as_array().expect("findings").iter();
    let of_code = findings.filter(|finding| finding["code"] == code);
    let verdicts: Vec<_> = of_code.filter_map(|finding| finding["verdict"].as_str()).collect();
    let worst = ["failure", "warning", "ok"].into_iter().find(|it| verdicts.contains(it));
    worst.unwrap_or("not examined").to_owned()
}

fn configuration(home: &Home, listen: &str, upstream: &str, database: &str) -> String {
    let (admin, data) = (free_address(), home.file("data"));
    format!(
        "admin: {{ listen: \"{admin}\" }}\ndata_dir: {data}\ndatabase: {{ url: \"{database}\" }}\n\
         listeners:\n  egress: {{ listen: \"{listen}\", upstream: payments }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{upstream}\"] }}\n"
    )
}

#[test]
fn values_are_shown_of_standard_input_too() {
    let home = Home::new("standard-input");
    let file = home.file("fusebox.yaml");
    assert_eq!(run(&["init", &file], &[]).code, Some(0));
    for (words, said) in [
        (&["config", "show", "--config", "-"][..], "namespace = default"),
        (&["config", "show", "--json", "--config", "-"], "\"source\": \"standard input\""),
        (&["validate", "--explain", "--config", "-"], "namespace = default"),
    ] {
        let shown = run_on(File::open(&file).expect("it is there"), words);
        assert_eq!(shown.code, Some(0), "{words:?}: {}", shown.text);
        assert!(shown.text.contains(said), "{words:?}: {}", shown.text);
    }
}

#[test]
fn the_doctor_finds_all_well_where_it_is() {
    let (home, upstream, database) =
        (Home::new("well"), ScriptedUpstream::start(), Database::new());
    let text = configuration(&home, &free_address().to_string(), &upstream.url(), &database.url);
    let file = home.with("fusebox.yaml", &text);
    let told = run(&["doctor", "--json", "--config", &file], &[]);
    let answer = json(&told.text);
    assert_eq!((told.code, &answer["healthy"]), (Some(0), &Value::Bool(true)), "{}", told.text);
    for code in ["FB101", "FB102", "FB201", "FB402", "FB501", "FB502", "FB503", "FB504", "FB505"] {
        assert_eq!(verdict(&answer, code), "ok", "{code}: {}", told.text);
    }
}

#[test]
fn the_doctor_names_what_is_wrong_by_its_code() {
    let home = Home::new("ill");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("it is bound").to_string();
    let nobody = free_address();
    let database = format!("postgres://nobody@{nobody}/none?sslmode=disable");
    let text = configuration(&home, &listen, "http://name.invalid", &database)
        .replace(&home.file("data"), "/proc/fusebox");
    let file = home.with("fusebox.yaml", &text);
    let told = run(&["doctor", "--json", "--config", &file], &[]);
    let answer = json(&told.text);
    assert_eq!((told.code, &answer["healthy"]), (Some(4), &Value::Bool(false)), "{}", told.text);
    for code in ["FB102", "FB201", "FB401", "FB501"] {
        assert_eq!(verdict(&answer, code), "failure", "{code}: {}", told.text);
    }
    let for_people = run(&["doctor", "--config", &file], &[]);
    assert!(for_people.text.contains("see: docs/doctor.md#fb501"), "{}", for_people.text);

    let broken = home.with("broken.yaml", "listners: {}\n");
    let refused = run(&["doctor", "--json", "--config", &broken], &[]);
    assert_eq!((refused.code, verdict(&json(&refused.text), "FB101")), (Some(3), "failure".into()));
}

#[test]
fn the_doctor_says_how_the_role_gets_what_it_lacks() {
    let (home, upstream, database) =
        (Home::new("poor"), ScriptedUpstream::start(), Database::new());
    database.query("create role poor login password 'poor'");
    let url = database.url.replace(&format!("postgres:{PASSWORD}@"), "poor:poor@");
    let text = configuration(&home, &free_address().to_string(), &upstream.url(), &url);
    let file = home.with("fusebox.yaml", &text);
    let remedy = |code: &str| {
        let answer = json(&run(&["doctor", "--json", "--config", &file], &[]).text);
        let mut findings = answer["findings"].as_array().expect("findings").iter();
        let finding = findings.find(|finding| finding["code"] == code);
        finding.expect("it is examined")["remedy"].clone()
    };
    let expected = "run `fusebox migrate up --grant poor` with the URL of the tables' owner";
    assert_eq!(remedy("FB502"), expected, "it may make no tables");
    let owner = [("DATABASE_URL", database.url.as_str())];
    assert_eq!(run(&["migrate", "up"], &owner).code, Some(0));
    assert_eq!(remedy("FB503"), expected);
    assert_eq!(run(&["migrate", "up", "--grant", "poor"], &owner).code, Some(0));
    assert_eq!(remedy("FB503"), Value::Null, "there is nothing to be done");
}

#[test]
fn reload_and_drain_are_commands_too() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    let admin = fusebox.admin.to_string();
    fusebox.edit(|text| format!("workers: 9\n{text}"));
    let reloaded = run(&["reload", "--admin", &admin], &[]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.text);
    assert!(reloaded.text.contains("waiting for a restart: workers"), "{}", reloaded.text);
    fusebox.edit(|text| format!("wrokers: 9\n{text}"));
    let refused = run(&["reload", "--admin", &admin], &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.text.contains("did you mean `workers`?"), "{}", refused.text);

    let drained = run(&["drain", "--json", "--admin", &admin], &[]);
    assert_eq!((drained.code, &json(&drained.text)["draining"]), (Some(0), &Value::Bool(true)));
    assert!(fusebox.wait_for_end().success());
}

#[test]
fn tail_prints_calls_as_they_come() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let tail = Running::start(&["tail", "--json", "--admin", &fusebox.admin.to_string()]);
    fusebox.get("/one", &[("x-correlation-id", "tailed-1")]);
    let lines = wait_until("the call is printed", PATIENCE, || {
        let lines = tail.lines();
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(json(&lines[0])["correlationId"], "tailed-1");
}

#[test]
fn shells_and_man_get_what_they_read() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], &[]);
        assert_eq!(script.code, Some(0));
        assert!(script.text.contains("doctor"), "{shell}");
    }
    let page = run(&["man"], &[]);
    assert!(page.text.contains(".TH fusebox 1"), "{}", page.text);
    let home = Home::new("man");
    assert_eq!(run(&["man", "--out", &home.file("pages")], &[]).code, Some(0));
    assert!(fs::exists(home.0.join("pages/fusebox-doctor.1")).expect("it can be looked at"));
}
