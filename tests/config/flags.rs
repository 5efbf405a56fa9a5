//! Zero-file mode.

use fusebox::{
    config::{Environment, Flags, Loaded, Problems, UpstreamTls, from_flags},
    domain::route::{Found, Table},
};
use http::Method;

fn flags(upstreams: &[&str]) -> Flags {
    let upstreams = upstreams.iter().map(|&upstream| upstream.to_owned()).collect();
    Flags { upstreams, ..Flags::default() }
}

fn run(flags: &Flags, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    from_flags(flags, &Environment::new(variables.iter().copied(), "host"))
}

#[test]
fn one_upstream_takes_all_calls() {
    let config = run(&flags(&["payments=http://localhost:8081"]), &[]).expect("loads").config;
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9901");
    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert_eq!(listener.listen.to_string(), "127.0.0.1:8080");
    let [route] = &listener.routes[..] else { panic!("one route") };
    assert_eq!((&*route.upstream, route.strip_prefix), ("payments", false));
    assert_eq!(&*config.upstreams["payments"].endpoints[0].authority, "localhost:8081");
}

#[test]
fn of_several_the_host_decides_and_then_the_first_segment_which_is_stripped() {
    let flags = flags(&["payments=http://localhost:1", "music=http://localhost:2"]);
    let config = run(&flags, &[]).expect("loads").config;
    let routes = config.listeners[0].routes.iter();
    let table = Table::new(routes.map(|route| (route.matches.clone(), route)).collect());
    for (host, path, expected) in [
        ("payments", "/music/x", Some(("payments", false))),
        ("localhost", "/music/x", Some(("music", true))),
        ("localhost", "/payments", Some(("payments", true))),
        ("localhost", "/paymentsx", None),
    ] {
        let found = match table.find(host, path, &Method::GET) {
            Found::Route(route, _) => Some((&*route.upstream, route.strip_prefix)),
            _ => None,
        };
        assert_eq!(found, expected, "{host}{path}");
    }
}

#[test]
fn an_upstream_of_the_command_line_may_be_https() {
    let config = run(&flags(&["a=https://a.example"]), &[]).expect("loads").config;
    let upstream = &config.upstreams["a"];
    assert!(upstream.endpoints[0].is_tls());
    assert_eq!(&*upstream.endpoints[0].authority, "a.example:443");
    assert_eq!(upstream.tls, UpstreamTls::default());
}

#[test]
fn flags_and_variables_go_together() {
    let flags = Flags {
        listen: Some("127.0.0.1:0".to_owned()),
        admin: Some("0.0.0.0:0".to_owned()),
        ..flags(&["a=http://a"])
    };
    let variables = [("FUSEBOX_ADMIN_TOKEN", "token"), ("DATABASE_URL", "postgres://db/x")];
    let config = run(&flags, &variables).expect("loads").config;
    assert_eq!(config.listeners[0].listen.to_string(), "127.0.0.1:0");
    assert!(config.admin.token.is_some() && config.database.url.is_some());
}

#[test]
fn a_flag_may_name_a_unix_socket() {
    let flags = Flags { listen: Some("unix:f.sock".to_owned()), ..flags(&["a=http://a"]) };
    let config = run(&flags, &[]).expect("loads").config;
    assert_eq!(config.listeners[0].listen.to_string(), "unix:f.sock");
}

#[test]
fn problems_name_the_flags() {
    let all = Flags {
        listen: Some("8080".to_owned()),
        admin: Some("0.0.0.0:9901".to_owned()),
        ..flags(&["a", "b=redis://b", "c d=http://c", "e=http://e", "e=http://f", "=http://g"])
    };
    let problems = run(&all, &[]).expect_err("problems");
    let mut paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "--admin",
        "--listen",
        "--upstream",
        "--upstream ",
        "--upstream b",
        "--upstream c d",
        "--upstream e",
    ];
    assert_eq!(paths, expected, "{problems}");
    assert!(problems.iter().all(|problem| problem.file == "command line"));
    let none = run(&Flags::default(), &[]).expect_err("problems");
    assert_eq!(none.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["--upstream"]);
}

#[test]
fn a_password_on_the_command_line_is_not_told() {
    let problems = run(&flags(&["a=http://u:hunter2@a"]), &[]).expect_err("problems");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}
