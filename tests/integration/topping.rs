//! `fusebox top`: the table of upstreams in a real terminal, and where there is none.

use serde_json::Value;

use crate::{
    harness::{Fusebox, ScriptedUpstream, Setup, run, status},
    local::{free_address, signal},
    terminal::{Terminal, colours},
};

/// Two upstreams, one of which is open.
fn one_open() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let url = upstream.url();
    let fusebox = Setup::of(format!(
        "listeners:\n  egress: {{ listen: \"{{proxy}}\", upstream: payments }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{url}\"] }}\n  music: {{ endpoints: [\"{url}\"] }}\n"
    ))
    .start();
    upstream.answer(status(500));
    for _ in 0..6 {
        fusebox.get("/pay", &[]);
    }
    (upstream, fusebox)
}

fn top(fusebox: &Fusebox, env: &[(&str, &str)]) -> Terminal {
    let admin = fusebox.admin.to_string();
    Terminal::start(&["top", "--admin", &admin, "--every", "200ms"], env, (120, 20))
}

/// The line of the screen that begins so and names this.
fn has_line(screen: &str, begins: &str, names: &str) -> bool {
    screen.lines().any(|line| line.starts_with(begins) && line.contains(names))
}

#[test]
fn an_open_circuit_stands_on_top_and_leaves_when_it_closes() {
    let (upstream, fusebox) = one_open();
    let mut terminal = top(&fusebox, &[]);
    let screen = terminal.wait_for("the table", |screen| has_line(screen, "CLOSED", "music"));
    let text = screen.contents();
    let at = text.lines().position(|line| line.starts_with("CIRCUIT▲")).expect("a heading");
    let row = text.lines().nth(at + 1).expect("a row");
    assert!(row.starts_with("OPEN      payments"), "{text}");
    assert!(row.ends_with("consecutive_failures"), "{text}");
    assert!(row.contains("100%"), "{text}");
    assert!(text.contains("1 open, 1 closed"), "{text}");
    let line = u16::try_from(at + 1).expect("a screen");
    let colour = screen.cell(line, 0).expect("a cell").fgcolor();
    assert_eq!(colour, vt100::Color::Idx(1), "red");
    assert!(screen.alternate_screen());

    upstream.answer(status(200));
    let admin = fusebox.admin.to_string();
    let reset = run(&["breaker", "reset", "payments", "--admin", &admin, "--reason", "test"], &[]);
    assert_eq!(reset.code, Some(0), "{}", reset.text);
    terminal.wait_for("it is closed", |screen| has_line(screen, "CLOSED", "payments"));

    terminal.press("/mus\r");
    terminal.wait_for("the filter", |screen| {
        has_line(screen, "CLOSED", "music") && !has_line(screen, "CLOSED", "payments")
    });
    terminal.press("q");
    assert!(terminal.ended().success());
    assert!(terminal.is_as_before(), "the terminal is given back as it was");
    terminal.wait_for("the screen from before", |screen| !screen.contains("CIRCUIT"));
}

#[test]
fn no_color_means_none() {
    let (_upstream, fusebox) = one_open();
    let terminal = top(&fusebox, &[("NO_COLOR", "1")]);
    let screen = terminal.wait_for("the table", |screen| has_line(screen, "CLOSED", "music"));
    assert!(has_line(&screen.contents(), "OPEN", "payments"), "{}", screen.contents());
    let coloured = colours(&screen).find(|(_, colours)| *colours != [vt100::Color::Default; 2]);
    assert_eq!(coloured, None);
}

#[test]
fn a_fusebox_that_goes_away_is_told_and_a_signal_gives_the_terminal_back() {
    let (_upstream, mut fusebox) = one_open();
    let mut terminal = top(&fusebox, &[]);
    terminal.wait_for("the table", |screen| has_line(screen, "OPEN", "payments"));
    assert!(fusebox.terminate().success());
    let admin = fusebox.admin.to_string();
    let screen = terminal.wait_for("that it is away", |screen| screen.contains("asking again"));
    let text = screen.contents();
    assert!(text.contains(&format!("cannot reach the admin port at {admin}")), "{text}");
    assert!(has_line(&text, "OPEN", "payments"), "what was known stays: {text}");
    signal(terminal.pid(), "TERM");
    assert!(terminal.ended().success());
    assert!(terminal.is_as_before());
}

#[test]
fn without_a_terminal_there_is_one_frame_as_text_or_as_json() {
    let (_upstream, fusebox) = one_open();
    let admin = fusebox.admin.to_string();
    let top = |args: &[&str], env: &[(&str, &str)]| {
        run(&[&["top", "--admin", &admin], args].concat(), env)
    };
    let refused = top(&[], &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.text);
    assert!(refused.text.contains("needs a terminal"), "{}", refused.text);
    assert!(refused.text.contains("--once"), "{}", refused.text);

    let frame = top(&["--once"], &[]);
    assert_eq!(frame.code, Some(0), "{}", frame.text);
    assert!(has_line(&frame.text, "OPEN", "payments"), "{}", frame.text);
    assert!(!frame.text.contains('\u{1b}'), "{}", frame.text);
    let narrow = top(&["--once"], &[("COLUMNS", "60")]);
    let widest = narrow.text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(60), "{}", narrow.text);

    let json = top(&["--json", "--sort", "upstream"], &[]);
    assert_eq!(json.code, Some(0), "{}", json.text);
    let json: Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(json["totals"]["open"], 1, "{json}");
    let lines = json["upstreams"].as_array().expect("lines");
    assert_eq!((&lines[0]["name"], &lines[1]["state"]), (&"music".into(), &"OPEN".into()));
    let wait = lines[1]["probeInMs"].as_u64().expect("a countdown");
    assert!((1..=66_000).contains(&wait), "{json}");
    assert!(lines[1]["forMs"].as_u64().is_some_and(|age| age < 60_000), "{json}");
}

#[test]
fn where_nobody_answers_top_says_so_before_it_takes_the_screen() {
    let nobody = free_address().to_string();
    let mut terminal = Terminal::start(&["top", "--admin", &nobody], &[], (120, 20));
    assert_eq!(terminal.ended().code(), Some(4));
    let screen = terminal.wait_for("the reason", |screen| screen.contains("cannot reach"));
    assert!(!screen.alternate_screen());
    for args in [&["--once"][..], &["--json"]] {
        let finished = run(&[&["top", "--admin", &nobody], args].concat(), &[]);
        assert_eq!(finished.code, Some(4), "{}", finished.text);
    }
}
