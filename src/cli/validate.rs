//! What `fusebox validate` says: every problem, or what the configuration amounts to.
//!
//! Text in, text out; printing and exit codes are the caller's. Besides the configuration itself
//! the files are read that it names and that `run` would not start without.

use std::fmt::Write as _;

use serde_json::json;

use super::configuration;
use crate::{
    config::{Config, Endpoint, Explained, Loaded, Problem, Problems, Severity},
    tls::Tls,
};

/// The report about the configuration of this name.
pub fn report(name: &str, loaded: &Result<Loaded, Problems>) -> String {
    match loaded {
        Err(problems) => format!("{problems}\n"),
        Ok(Loaded { config, warnings }) => {
            let warnings: String = warnings.iter().map(with_gap).collect();
            format!("{warnings}{name} is good\n{}", summary(config))
        }
    }
}

/// The same for scripts, with the values in force where they are wished.
pub fn json(
    name: &str,
    loaded: &Result<Loaded, Problems>,
    values: Option<&[Explained]>,
) -> serde_json::Value {
    let problems: Vec<&Problem> = match loaded {
        Ok(loaded) => loaded.warnings.iter().collect(),
        Err(problems) => problems.iter().collect(),
    };
    let one = |problem: &&Problem| {
        json!({
            "severity": problem.severity.as_str(),
            "file": problem.file,
            "line": problem.line(),
            "column": problem.column(),
            "path": problem.path,
            "message": problem.message,
        })
    };
    json!({
        "source": name,
        "valid": loaded.is_ok(),
        "problems": problems.iter().map(one).collect::<Vec<_>>(),
        "values": values.map(configuration::as_json),
    })
}

/// The same with what is wrong with the certificates and keys that it names.
///
/// # Errors
/// They cannot be used; every fault is reported.
pub fn with_files(name: &str, mut loaded: Loaded) -> Result<Loaded, Problems> {
    // Where a key is written is forgotten by now; its path says as much.
    let problem = |severity, path: &str, message| Problem {
        severity,
        file: name.to_owned(),
        place: None,
        path: path.to_owned(),
        message,
    };
    match Tls::new(&loaded.config) {
        Ok((tls, _)) => {
            let warning = |path: &str, text| problem(Severity::Warning, path, text);
            let remarks = tls.remarks().into_iter();
            loaded.warnings.extend(remarks.map(|remark| warning(&remark.path, remark.text)));
            Ok(loaded)
        }
        Err(faults) => {
            let errors = faults.iter().map(|fault| (&fault.path, fault.message()));
            let errors = errors.map(|(path, message)| problem(Severity::Error, path, message));
            Err(loaded.warnings.into_iter().chain(errors).collect())
        }
    }
}

/// A warning with the empty line that sets it apart.
fn with_gap(warning: &Problem) -> String {
    format!("{warning}\n")
}

/// The configuration in a few lines: who, where from, where to.
fn summary(config: &Config) -> String {
    let mut text = String::new();
    let store = if config.database.url.is_some() { "Postgres" } else { "embedded" };
    let Config { service, namespace, admin, .. } = config;
    let mut line = |label: &str, value: std::fmt::Arguments<'_>| {
        // Writing to a `String` cannot fail.
        writeln!(text, "  {label:<9} {value}").ok();
    };
    line("service", format_args!("{service}, namespace {namespace}"));
    line("store", format_args!("{store}"));
    line("admin", format_args!("{}", admin.listen));
    for listener in &config.listeners {
        let routes: Vec<_> =
            listener.routes.iter().map(|r| format!("{} > {}", r.name, r.upstream)).collect();
        let tls = if listener.tls.is_some() { " over TLS" } else { "" };
        let (name, address, routes) = (&listener.name, &listener.listen, routes.join(", "));
        line("listener", format_args!("{name} {address}{tls}: {routes}"));
    }
    for upstream in config.upstreams.values() {
        let endpoints: Vec<_> = upstream.endpoints.iter().map(shown).collect();
        let check = upstream.health_check.as_ref().map_or("no check", |check| &check.path);
        let (name, key) = (&upstream.name, &upstream.breaker_key);
        line("upstream", format_args!("{name} {} ({check}), breaker {key}", endpoints.join(", ")));
    }
    text
}

/// An endpoint, and whether nobody can listen in on the way to it.
fn shown(endpoint: &Endpoint) -> String {
    let tls = if endpoint.is_tls() { " over TLS" } else { "" };
    format!("{}{tls}", endpoint.authority)
}

#[cfg(test)]
mod tests {
    use super::{report, with_files};
    use crate::config::{Environment, Source, load};

    fn check(text: &str) -> String {
        let name = "fusebox.yaml";
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        let loaded = load(&source, &Environment::new([("", ""); 0], "host"));
        report(name, &loaded.and_then(|loaded| with_files(name, loaded)))
    }

    const GOOD: &str = "\
listeners:
  egress: { listen: \"127.0.0.1:8080\", upstream: payments }
upstreams:
  payments: { endpoints: [http://payments], health_check: { path: /health } }
";

    #[test]
    fn a_good_configuration_is_summed_up() {
        let expected = "\
fusebox.yaml is good
  service   host, namespace default
  store     embedded
  admin     127.0.0.1:9901
  listener  egress 127.0.0.1:8080: all > payments
  upstream  payments payments:80 (/health), breaker payments@4adcca2bd7e5
";
        assert_eq!(check(GOOD), expected);
    }

    #[test]
    fn files_that_run_would_not_start_without_are_read() {
        let tls = "tls: { certificate: /no/such.crt, key: /no/such.key }";
        let text = GOOD.replace("upstream: payments }", &format!("upstream: payments, {tls} }}"));
        let expected = "\
error: listeners.egress.tls.certificate: cannot read /no/such.crt: No such file or directory (os error 2)
  --> fusebox.yaml

error: listeners.egress.tls.key: cannot read /no/such.key: No such file or directory (os error 2)
  --> fusebox.yaml

2 errors
";
        assert_eq!(check(&text), expected);
    }

    #[test]
    fn what_is_encrypted_is_told() {
        let text = GOOD.replace("http://payments", "https://payments");
        let source = Source { name: "fusebox.yaml".to_owned(), text };
        // Without the files, for not every machine has authorities.
        let report = report("fusebox.yaml", &load(&source, &Environment::default()));
        assert!(report.contains("upstream  payments payments:443 over TLS (/health)"), "{report}");
    }

    #[test]
    fn warnings_come_before_the_summary_and_errors_in_place_of_it() {
        let warned = check(&format!("{GOOD}  idle: {{ endpoints: [http://idle] }}\n"));
        assert!(warned.starts_with("warning: upstreams.idle: "), "{warned}");
        assert!(warned.contains("\n\nfusebox.yaml is good\n"), "{warned}");
        let refused = check("service: 1\n");
        assert!(refused.ends_with("\n2 errors\n"), "{refused}");
    }
}
