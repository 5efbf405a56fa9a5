//! What the pages show and do.

use serde_json::{Value, json};

use crate::{
    harness::Setup,
    peer::run,
    scene::{Scene, python},
};

const TOKEN: &str = "correct-horse-battery-staple";

#[test]
fn pages_show_what_happened_and_nothing_of_it_as_markup() {
    Scene::new().look("content.py", &[]);
}

#[test]
fn a_circuit_is_steered_with_a_reason_and_an_end() {
    let scene = Scene::new();
    scene.look("steering.py", &[]);
    let breaker = scene.fusebox.breaker("payments");
    assert_eq!((&breaker["mode"], &breaker["order"]), (&json!("auto"), &Value::Null));
}

#[test]
fn a_change_is_seen_soon() {
    Scene::new().look("live.py", &[]);
}

#[test]
fn what_is_drawn_anew_leaves_people_where_they_are() {
    Scene::new().look("staying.py", &[]);
}

#[test]
fn a_token_is_asked_for_and_a_wrong_one_is_told() {
    let fusebox = Setup::payments("http://127.0.0.1:9", &[]).env("FUSEBOX_ADMIN_TOKEN", TOKEN);
    let fusebox = fusebox.start();
    let mut command = python("sign_in.py");
    command.args([format!("http://{}", fusebox.admin), TOKEN.to_owned()]);
    run(command, vec![]).text();
}

#[test]
fn five_hundred_upstreams_are_shown_sorted_and_filtered() {
    Scene::crowd(500).look("crowd.py", &[]);
}
