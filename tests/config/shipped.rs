//! The files in `config/`.

use std::fs;

use fusebox::config::{Environment, Loaded, Source, load};

use crate::root;

fn loaded(file: &str, variables: &[(&str, &str)]) -> Loaded {
    let source = Source::from_file(&root().join("config").join(file)).expect("a file");
    let environment = Environment::new(variables.iter().copied(), "host");
    load(&source, &environment).unwrap_or_else(|problems| panic!("{file}\n{problems}"))
}

#[test]
fn every_file_in_config_loads_without_a_warning() {
    for file in fs::read_dir(root().join("config")).expect("the directory") {
        let name = file.expect("an entry").file_name();
        let name = name.to_str().expect("a name");
        let loaded = loaded(name, &[("FUSEBOX_ADMIN_TOKEN", "secret")]);
        assert_eq!(loaded.warnings, [], "{name}");
    }
}

#[test]
fn every_upstream_that_we_ship_has_a_health_check() {
    for file in ["demo.yaml", "compose.yaml", "ecs.yaml"] {
        let config = loaded(file, &[("FUSEBOX_ADMIN_TOKEN", "secret")]).config;
        let unchecked: Vec<_> =
            config.upstreams.values().filter(|u| u.health_check.is_none()).collect();
        assert!(unchecked.is_empty(), "{file}: {unchecked:?}");
    }
}

#[test]
fn one_compose_file_serves_both_services() {
    let variables = [("FUSEBOX_ADMIN_TOKEN", "secret"), ("SERVICE", "payments")];
    let config = loaded("compose.yaml", &variables).config;
    assert_eq!(config.service, "payments");
    assert_eq!(config.admin.listen.to_string(), "0.0.0.0:9901");
    assert_eq!(config.listeners[0].listen.to_string(), "0.0.0.0:8080");
    let url = config.database.url.expect("a database");
    assert!(url.expose().ends_with("?sslmode=disable"));
    assert_eq!(loaded("compose.yaml", &variables[..1]).config.service, "orders");
}

#[test]
fn without_a_token_the_compose_file_is_refused() {
    let source = Source::from_file(&root().join("config/compose.yaml")).expect("a file");
    let problems = load(&source, &Environment::default()).expect_err("a problem");
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["admin.listen"]);
}
