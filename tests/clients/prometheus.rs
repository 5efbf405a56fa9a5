//! Metrics, as Prometheus and its tools read them, and whoever draws or watches them.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use crate::{
    harness::{Fusebox, ScriptedUpstream, Setup, get, status},
    local::free_address,
    peer::run,
    python::python,
};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn promtool(args: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(args).current_dir(path("deploy/prometheus"));
    let finished = run(command, input.as_bytes().to_vec());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    format!("{}{}", String::from_utf8_lossy(&finished.stdout), finished.stderr)
}

/// One that has something to tell in every family.
fn busy(upstream: &ScriptedUpstream) -> Fusebox {
    let collector = format!("http://{}", free_address());
    let setup = Setup::payments(&upstream.url(), &[]);
    let fusebox = setup.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector).start();
    fusebox.get("/", &[]);
    upstream.answer(status(500));
    for _ in 0..6 {
        fusebox.get("/", &[]);
    }
    fusebox
}

/// The names of families, as samples have them.
fn families(scrape: &str) -> BTreeSet<String> {
    let declared = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    declared.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Every word in a text that is the name of a metric of ours, without the endings of histograms.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_ours = |word: &&str| {
        let prefixes = ["fusebox_", "http_server_", "http_client_", "process_"];
        prefixes.iter().any(|prefix| word.starts_with(prefix))
    };
    let bare = |word: &str| {
        let endings = ["_bucket", "_count", "_sum"];
        let family = endings.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
        family.to_owned()
    };
    words.filter(is_ours).map(bare).collect()
}

#[test]
fn promtool_has_nothing_to_say_against_a_scrape() {
    let upstream = ScriptedUpstream::start();
    let fusebox = busy(&upstream);
    let scrape = get(fusebox.admin, "/metrics", &[]);
    assert_eq!(promtool(&["check", "metrics"], scrape.text()), "");
}

#[test]
fn a_scrape_in_openmetrics_is_read_by_a_strict_reader_with_its_exemplars() {
    let upstream = ScriptedUpstream::start();
    let fusebox = busy(&upstream);
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let scrape = get(fusebox.admin, "/metrics", &accept);
    let told = run(python("openmetrics.py"), scrape.text().as_bytes().to_vec()).text();
    let (families, exemplars) = told.trim().split_once(' ').expect("two numbers");
    assert!(families.parse::<usize>().expect("a number") > 40, "{told}");
    assert!(exemplars.parse::<usize>().expect("a number") > 0, "{told}\n{}", scrape.text());
}

#[test]
fn the_alerts_are_well_formed_and_fire_when_they_should() {
    assert!(promtool(&["check", "rules", "alerts.yaml"], "").contains("SUCCESS"));
    assert!(promtool(&["test", "rules", "alerts_test.yaml"], "").contains("SUCCESS"));
    assert!(promtool(&["check", "config", "prometheus.yaml"], "").contains("SUCCESS"));
}

#[test]
fn every_alert_is_tried() {
    let alerts = text("deploy/prometheus/alerts.yaml");
    let tests = text("deploy/prometheus/alerts_test.yaml");
    let names: Vec<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}")), "{name}");
    }
}

#[test]
fn whatever_the_dashboard_and_the_alerts_ask_for_is_there() {
    let upstream = ScriptedUpstream::start();
    let fusebox = busy(&upstream);
    let there = families(get(fusebox.admin, "/metrics", &[]).text());
    for file in ["deploy/grafana/dashboards/fusebox.json", "deploy/prometheus/alerts.yaml"] {
        let asked = named(&text(file));
        assert!(asked.len() >= 8, "{file}: {asked:?}");
        let missing: Vec<_> = asked.difference(&there).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}");
    }
}

#[test]
fn the_dashboard_shows_whatever_there_is() {
    let upstream = ScriptedUpstream::start();
    let fusebox = busy(&upstream);
    let there = families(get(fusebox.admin, "/metrics", &[]).text());
    let shown = named(&text("deploy/grafana/dashboards/fusebox.json"));
    // Of no use to people: one number of memory more, and one of threads.
    let left_out = ["fusebox_spans_waiting", "process_threads", "process_virtual_memory_bytes"];
    let missing: Vec<_> =
        there.difference(&shown).filter(|name| !left_out.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "nobody sees {missing:?}");
}

#[test]
fn the_documentation_has_every_metric_with_its_kind_and_no_other() {
    let upstream = ScriptedUpstream::start();
    let fusebox = busy(&upstream);
    let scrape = get(fusebox.admin, "/metrics", &[]);
    let declared = scrape.text().lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let there: BTreeSet<(&str, &str)> = declared.filter_map(|line| line.split_once(' ')).collect();
    let documentation = text("docs/telemetry.md");
    let row = |line: &'static str| -> Option<(&'static str, &'static str)> {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let kind = cells.next()?;
        ["counter", "gauge", "histogram"].contains(&kind).then_some((name, kind))
    };
    let lines: &'static str = documentation.leak();
    let told: BTreeSet<(&str, &str)> = lines.lines().filter_map(row).collect();
    assert_eq!(told, there);
}
