//! What all commands have in common: JSON where it is asked for, no colours for whoever wants none,
//! and progress for people only.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    harness::{Fusebox, ScriptedUpstream, Setup, run, status},
    terminal::{Terminal, colours},
};

/// What is asked of each command. `{admin}` is the admin port of a Fusebox and `{config}` its file;
/// `{stopped}` is the file of one that has ended and `{data}` its journal; `{broken}` is a file with
/// a mistake and `{new}` one that is not there.
const COMMANDS: [&str; 28] = [
    "validate {config}",
    "validate {broken}",
    "init {new}",
    "config show {config}",
    "doctor --config {stopped}",
    "migrate status --config {stopped}",
    "migrate up --config {stopped}",
    "journal status --data-dir {data}",
    "journal dump --data-dir {data}",
    "journal replay --config {stopped}",
    "replay --config {stopped}",
    "status --admin {admin}",
    "top --once --admin {admin}",
    "explain payments --admin {admin}",
    "breaker open payments --reason test --admin {admin}",
    "breaker close payments --reason test --admin {admin}",
    "breaker auto payments --admin {admin}",
    "breaker reset payments --reason test --admin {admin}",
    "history --admin {admin}",
    "stats --admin {admin}",
    "trace req-printed --admin {admin}",
    "why payments egress --admin {admin}",
    "recommendations --admin {admin}",
    "recommendations payments egress --admin {admin}",
    "healthcheck --admin {admin}",
    "reload --admin {admin}",
    "version",
    "drain --admin {admin}",
];

/// Everything that the commands are about.
struct Scene {
    running: Fusebox,
    stopped: Fusebox,
    _upstream: ScriptedUpstream,
    files: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Self {
        let upstream = ScriptedUpstream::start();
        upstream.answer(status(500));
        let start = || Setup::payments(&upstream.url(), &[]).start();
        let (running, mut stopped) = (start(), start());
        running.get("/pay", &[("x-correlation-id", "req-printed")]);
        running.row("req-printed");
        stopped.get("/pay", &[]);
        assert!(stopped.terminate().success());
        let files = std::env::temp_dir().join(format!("fusebox-{name}-{}", std::process::id()));
        fs::create_dir_all(&files).expect("a directory");
        fs::write(files.join("broken.yaml"), "listners: {}\n").expect("a file");
        Self { running, stopped, _upstream: upstream, files }
    }

    /// The words of a command line.
    fn words(&self, command: &str) -> Vec<String> {
        let file = |name: &str| self.files.join(name).display().to_string();
        let known = [
            ("{admin}", self.running.admin.to_string()),
            ("{config}", self.running.config()),
            ("{stopped}", self.stopped.config()),
            ("{data}", self.stopped.data_dir().display().to_string()),
            ("{broken}", file("broken.yaml")),
            ("{new}", file("new.yaml")),
        ];
        let filled = |word: &str| {
            known.iter().fold(word.to_owned(), |word, (name, value)| word.replace(name, value))
        };
        command.split(' ').map(filled).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.files));
    }
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The whole as one value, or each line as one.
fn is_json(text: &str) -> bool {
    let is_value = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    is_value(text) || (!text.is_empty() && text.lines().all(is_value))
}

#[test]
fn whatever_is_asked_for_json_prints_json_and_nothing_else() {
    let scene = Scene::new("json");
    for command in COMMANDS {
        let words = scene.words(&format!("{command} --json"));
        let finished = run(&borrowed(&words), &[]);
        assert!(is_json(&finished.text), "{command}: {:?} {}", finished.code, finished.text);
        let expected = if command.contains("{broken}") { 3 } else { 0 };
        assert_eq!(finished.code, Some(expected), "{command}: {}", finished.text);
    }
}

/// Whether anything on a screen has a colour.
fn is_coloured(screen: &vt100::Screen) -> bool {
    colours(screen).any(|(_, colours)| colours != [vt100::Color::Default; 2])
}

const SCREEN: (u16, u16) = (200, 120);

#[test]
fn no_command_shows_colours_to_whoever_wants_none() {
    let scene = Scene::new("colours");
    let more = ["--help", "history --help", "blow", "schema", "config reference", "migrate sql"];
    for command in COMMANDS.iter().chain(&more) {
        let words = scene.words(command);
        let left = Terminal::start(&borrowed(&words), &[("NO_COLOR", "1")], SCREEN).left();
        assert!(!left.written.trim().is_empty(), "{command}");
        assert!(!is_coloured(&left.screen), "{command}: {}", left.written);
    }
}

#[test]
fn a_terminal_has_colours_unless_they_are_turned_off() {
    let scene = Scene::new("terminal");
    for command in ["history --admin {admin}", "blow"] {
        let words = scene.words(command);
        let left = Terminal::start(&borrowed(&words), &[], SCREEN).left();
        assert!(is_coloured(&left.screen), "{command}: {}", left.written);
    }
}

#[test]
fn progress_is_drawn_for_people_and_leaves_nothing() {
    let scene = Scene::new("progress");
    let calls = "listeners: { e: { listen: \"127.0.0.1:1\", upstream: a } }\n\
                 upstreams: { a: { endpoints: [\"http://127.0.0.1:2\"] } }\n";
    for (at, is_person) in [true, false].into_iter().enumerate() {
        // A store that has no tables yet.
        let file = scene.files.join(format!("fresh-{at}.yaml"));
        let data = scene.files.join(format!("fresh-{at}"));
        fs::write(&file, format!("data_dir: {}\n{calls}", data.display())).expect("a file");
        let words = scene.words(&format!("migrate up --config {}", file.display()));
        if is_person {
            let left = Terminal::start(&borrowed(&words), &[], SCREEN).left();
            assert!(left.status.success(), "{}", left.written);
            assert!(left.written.contains("%  applying 0"), "{}", left.written);
            assert!(!left.screen.contents().contains('░'), "{}", left.screen.contents());
            assert!(left.screen.contents().starts_with("applied 001 "), "{}", left.written);
        } else {
            let finished = run(&borrowed(&words), &[]);
            assert_eq!(finished.code, Some(0), "{}", finished.text);
            assert!(finished.text.starts_with("applied 001 "), "{}", finished.text);
            assert!(!finished.text.contains('░'), "{}", finished.text);
        }
    }
}
