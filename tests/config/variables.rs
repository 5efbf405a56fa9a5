//! Every variable of the environment: what it sets, what wins over it, what is wrong with it.

use std::time::Duration;

use fusebox::config::{Config, Environment, Problems, Severity, Source, load};

use crate::{MINIMAL, problems, read, with};

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    let loaded = read(text, variables);
    loaded.unwrap_or_else(|problems| panic!("{problems}")).config
}

/// The value of a setting with the variable alone, with the key as well, and with neither.
fn check<T: PartialEq + std::fmt::Debug>(
    variables: &[(&str, &str)],
    key: &str,
    value: impl Fn(&Config) -> T,
    expected: [T; 3],
) {
    let actual = [
        value(&config(MINIMAL, variables)),
        value(&config(&with(key), variables)),
        value(&config(MINIMAL, &[])),
    ];
    assert_eq!(actual, expected, "{variables:?}");
}

#[test]
fn database_url_counts_unless_the_file_says_otherwise_even_nothing() {
    let url = |config: &Config| config.database.url.as_ref().map(|url| url.expose().to_owned());
    let variable = [("DATABASE_URL", "postgres://one/x")];
    let one = Some("postgres://one/x".to_owned());
    let two = Some("postgres://two/x".to_owned());
    check(&variable, "database: { url: 'postgres://two/x' }", url, [one.clone(), two, None]);
    check(&variable, "database: { url: '' }", url, [one.clone(), None, None]);
    check(&variable, "database: { url: '${DATABASE_URL:-}' }", url, [one.clone(), one, None]);
}

#[test]
fn log_level_sets_the_filter() {
    let level = |config: &Config| config.logs.level.clone();
    let expected = ["debug", "warn", "info"].map(str::to_owned);
    check(&[("LOG_LEVEL", "debug")], "logs: { level: warn }", level, expected);
}

#[test]
fn the_admin_token_has_an_alias() {
    let token = |config: &Config| config.admin.token.as_ref().map(|t| t.expose().to_owned());
    let some = |text: &str| Some(text.to_owned());
    let key = "admin: { token: file }";
    check(&[("FUSEBOX_ADMIN_TOKEN", "one")], key, token, [some("one"), some("file"), None]);
    check(&[("JARVIS_AUTH_TOKEN", "two")], key, token, [some("two"), some("file"), None]);
    let both = [("FUSEBOX_ADMIN_TOKEN", "one"), ("JARVIS_AUTH_TOKEN", "two")];
    check(&both, key, token, [some("one"), some("file"), None]);
}

#[test]
fn who_an_instance_is_and_where_it_runs_may_be_told_from_outside() {
    let name = |config: &Config| config.instance.name.clone();
    let names = ["orders-3", "file", "host"].map(str::to_owned);
    check(&[("FUSEBOX_INSTANCE_NAME", "orders-3")], "instance: { name: file }", name, names);
    let host = |config: &Config| config.instance.host.clone();
    let hosts = ["ip-10-0-3-7", "file", "host"].map(str::to_owned);
    check(&[("FUSEBOX_HOST", "ip-10-0-3-7")], "instance: { host: file }", host, hosts);
    let zone = |config: &Config| config.instance.zone.clone();
    let zones = [Some("eu-1b".to_owned()), Some("file".to_owned()), None];
    check(&[("FUSEBOX_ZONE", "eu-1b")], "instance: { zone: file }", zone, zones);
    let attributes = [("OTEL_RESOURCE_ATTRIBUTES", "cloud.availability_zone=eu-1c,host.name=h")];
    let config = config(MINIMAL, &attributes);
    assert_eq!((zone(&config).as_deref(), &*host(&config)), (Some("eu-1c"), "h"));
}

#[test]
fn the_environment_has_an_alias_and_an_attribute() {
    let label = |config: &Config| config.environment.clone();
    let attributes = "deployment.environment=qa,service.version=7";
    for (variables, expected) in [
        (vec![("FUSEBOX_ENV", "staging"), ("NODE_ENV", "x")], "staging"),
        (vec![("FUSEBOX_ENV", ""), ("NODE_ENV", "production")], "production"),
        (vec![("OTEL_RESOURCE_ATTRIBUTES", attributes)], "qa"),
    ] {
        check(&variables, "environment: file", label, [expected, "file", ""].map(str::to_owned));
    }
    let version = |config: &Config| config.version.clone();
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", attributes)];
    check(&variables, "version: file", version, ["7", "file", ""].map(str::to_owned));
}

#[test]
fn the_service_is_named_by_opentelemetry_or_the_host() {
    let service = |config: &Config| config.service.clone();
    let name = ("OTEL_SERVICE_NAME", "one");
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=two");
    for (variables, expected) in
        [(vec![name], "one"), (vec![attributes], "two"), (vec![attributes, name], "one")]
    {
        check(&variables, "service: file", service, [expected, "file", "host"].map(str::to_owned));
    }
}

#[test]
fn breaker_variables_are_defaults_of_upstreams_that_set_none() {
    let text = "\
listeners:
  egress: { listen: \"127.0.0.1:8080\", routes: [{ upstream: a }, { match: { host: b }, upstream: b }] }
upstreams:
  a: { endpoints: [http://a] }
  b: { endpoints: [http://b], breaker: { consecutive_failures: 7, open_for: 9s } }
";
    let variables =
        [("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "3"), ("CIRCUIT_BREAKER_TIMEOUT_MS", "1500")];
    let config = config(text, &variables);
    let rules = |name: &str| {
        let policy = &config.upstreams[name].breaker;
        (policy.consecutive_failures.get(), policy.open_for)
    };
    assert_eq!(rules("a"), (3, Duration::from_millis(1500)));
    assert_eq!(rules("b"), (7, Duration::from_secs(9)));
}

#[test]
fn the_kill_switch_wins_and_says_so() {
    for (value, enabled) in [("false", false), ("FALSE", false), ("0", false), ("true", true)] {
        let loaded = read(MINIMAL, &[("CIRCUIT_BREAKER_ENABLED", value)]).expect("loads");
        assert_eq!(loaded.config.breakers_enabled, enabled, "{value}");
        assert_eq!(loaded.warnings.is_empty(), enabled, "{value}");
        let paths = loaded.warnings.iter().map(|warning| warning.path.as_str());
        assert!(paths.eq((!enabled).then_some("CIRCUIT_BREAKER_ENABLED")), "{value}");
    }
}

#[test]
fn a_configuration_may_be_in_a_variable() {
    let environment = Environment::new([("FUSEBOX_CONFIG", MINIMAL)], "host");
    let source = Source::from_environment(&environment).expect("a source");
    assert_eq!(source.name, "FUSEBOX_CONFIG");
    assert!(load(&source, &environment).is_ok());
    assert_eq!(Source::from_environment(&Environment::default()), None);
}

#[test]
fn a_bad_variable_is_a_problem_under_its_name_and_is_not_told() {
    let bad = "hunter2 \u{1}";
    for name in [
        "DATABASE_URL",
        "LOG_LEVEL",
        "FUSEBOX_ADMIN_TOKEN",
        "JARVIS_AUTH_TOKEN",
        "FUSEBOX_ENV",
        "NODE_ENV",
        "OTEL_SERVICE_NAME",
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "CIRCUIT_BREAKER_TIMEOUT_MS",
        "CIRCUIT_BREAKER_ENABLED",
    ] {
        let problems = problems(MINIMAL, &[(name, bad)]);
        let seen: Vec<_> = problems.iter().map(|p| (p.file.as_str(), p.path.as_str())).collect();
        assert_eq!(seen, [("environment", name)]);
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
    let out_of_bounds =
        [("CIRCUIT_BREAKER_TIMEOUT_MS", "1"), ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "0")];
    assert_eq!(problems(MINIMAL, &out_of_bounds).count(Severity::Error), 2);
}

#[test]
fn broken_resource_attributes_are_a_warning() {
    let loaded = read(MINIMAL, &[("OTEL_RESOURCE_ATTRIBUTES", "a=b,c")]).expect("loads");
    let paths: Vec<_> = loaded.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["OTEL_RESOURCE_ATTRIBUTES"]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_a_problem_where_it_is_used() {
    use std::os::unix::ffi::OsStringExt;
    let variable = ("LOG_LEVEL".into(), std::ffi::OsString::from_vec(vec![0xff]));
    let environment = Environment::new([variable as (std::ffi::OsString, _)], "host");
    let load = |text: String| load(&Source { name: String::new(), text }, &environment);
    let path = |problems: Problems| problems.iter().map(|p| p.path.clone()).collect::<Vec<_>>();
    assert_eq!(path(load(with("")).expect_err("a problem")), ["LOG_LEVEL"]);
    let used = with("logs: { level: \"${LOG_LEVEL}\" }");
    assert_eq!(path(load(used).expect_err("a problem")), ["logs.level"]);
}
