//! The program itself, on rows in Postgres.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use fusebox::clock;

use crate::postgres::Server;

const FUSEBOX: &str = env!("CARGO_BIN_EXE_fusebox");

/// How the rows are made.
const FILL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/replay/fill.sql");

pub(crate) fn measure(rows: u32) {
    let server = Server::start();
    for rows in [rows / 10, rows] {
        let url = server.database();
        let name = url.rsplit('/').next().and_then(|name| name.split('?').next());
        let config = proposal(&url);
        let config_name = config.display().to_string();
        run(&["migrate", "up", "--config", &config_name]);
        server.psql(name.expect("the URL names it"), &["-v", &format!("rows={rows}"), "-f", FILL]);
        let began = clock::now();
        let (said, peak_mib) = run(&["replay", "--from", "2h", "--config", &config_name]);
        let seconds = clock::now().duration_since(began).as_secs_f64();
        assert!(said.contains(&format!("({rows} rows)")), "it replays all: {said}");
        crate::line("fusebox replay, from Postgres", rows, seconds, Some(peak_mib));
        drop(fs::remove_file(config));
    }
}

fn proposal(url: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("fusebox-replay-{}.yaml", std::process::id()));
    let yaml = format!(
        "database: {{ url: \"{url}\" }}\n\
         listeners: {{ egress: {{ listen: \"127.0.0.1:1\", upstream: payments }} }}\n\
         upstreams:\n\
         \x20 payments: {{ endpoints: [\"http://127.0.0.1:2\"] }}\n\
         \x20 music: {{ endpoints: [\"http://127.0.0.1:3\"] }}\n"
    );
    fs::write(&path, yaml).expect("the proposal is written");
    path
}

/// Runs the program; what it said, which fits into a pipe, and its largest resident memory in MiB.
fn run(args: &[&str]) -> (String, f64) {
    let mut program = Command::new(FUSEBOX);
    let mut child = program.args(args).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut peak = 0.0_f64;
    loop {
        peak = peak.max(peak_mib(&child).unwrap_or(0.0));
        if let Some(status) = child.try_wait().expect("it is our child") {
            assert!(status.success(), "{args:?}");
            let said = child.stdout.take().map(std::io::read_to_string);
            return (said.and_then(Result::ok).unwrap_or_default(), peak);
        }
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
}

/// The largest resident memory so far.
fn peak_mib(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(child.id().to_string()).join("status"));
    let line = status.ok()?.lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
    let kib: f64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}
