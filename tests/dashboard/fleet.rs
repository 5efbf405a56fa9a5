//! What three instances agreed on, on the pages of one of them.

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status},
    local::wait_until,
    peer::run,
    scene::python,
};

const INSTANCES: usize = 3;

/// Waits until each knows of all.
fn wait_for_hearts(fleet: &[Fusebox]) {
    for fusebox in fleet {
        wait_until("all are there", PATIENCE, || {
            let store = fusebox.ask("/api/v1/status")["store"].take();
            (store["instances"] == INSTANCES).then_some(())
        });
    }
}

#[test]
fn the_votes_of_all_instances_are_shown() {
    let (database, upstream) = (Database::new(), ScriptedUpstream::start());
    upstream.answer_on("/fail", status(500));
    let keys = ["breaker: { open_for: 5m }"];
    let start = |_| Setup::payments(&upstream.url(), &keys).database(&database.url).start();
    let fleet: Vec<Fusebox> = (0..INSTANCES).map(start).collect();
    wait_for_hearts(&fleet);
    for fusebox in &fleet {
        for _ in 0..5 {
            fusebox.get("/fail", &[]);
        }
    }
    for fusebox in &fleet {
        fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    }
    let mut command = python("votes.py");
    command.args([fleet[0].admin, fleet[0].proxy].map(|address| format!("http://{address}")));
    run(command, vec![]).text();
}
