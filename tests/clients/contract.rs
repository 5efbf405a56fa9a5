//! The admin API and its own document, held together by Schemathesis: what the document allows, what it
//! does not, and what follows from an answer.

use std::{process::Command, time::Duration};

use crate::{
    harness::Setup,
    peer::{Home, run_within, script},
    python::peers,
};

const TOKEN: &str = "correct-horse-battery-staple";

/// What is tried: how, and with how many examples of each request.
const TRIED: (&str, &str) = if cfg!(feature = "long-tests") {
    ("coverage,fuzzing,stateful", "40")
} else {
    ("fuzzing,stateful", "5")
};

/// Long, for the machine may have other things to do; it takes a fraction of it.
const LIMIT: Duration = Duration::from_secs(600);

/// Not held against the port: a wrong token slows the next ones down (429), and a document cannot say
/// that `from` is before `to`.
const EXCUSED: &str = "ignored_auth,missing_required_header,positive_data_acceptance";

#[test]
fn the_api_does_what_its_document_says() {
    let (phases, examples) = TRIED;
    let fusebox = Setup::payments("http://127.0.0.1:9", &[]);
    let fusebox = fusebox.env("FUSEBOX_ADMIN_TOKEN", TOKEN).start();
    for _ in 0..3 {
        assert_eq!(fusebox.get("/charge", &[]).status, 502, "nobody is there");
    }
    let (home, admin) = (Home::new("contract"), format!("http://{}", fusebox.admin));
    let mut command = Command::new(peers().join("bin/python"));
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(script("schemathesis.toml"));
    command.arg("run").arg(format!("{admin}/api/v1/openapi.json"));
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    // The stream of events does not end, and after a drain there is nobody to ask.
    command.args(["--exclude-path", "/api/v1/events", "--exclude-path", "/api/v1/drain"]);
    command.args(["--exclude-checks", EXCUSED]);
    command.args(["--phases", phases, "--max-examples", examples]);
    command.args(["--seed", "1", "--suppress-health-check", "all", "--no-color"]);
    command.current_dir(home.path());
    let said = run_within(LIMIT, command, Vec::new()).text();
    assert!(said.contains("passed"), "{said}");
}
