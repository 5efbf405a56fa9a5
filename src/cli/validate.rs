//! What `fusebox validate` says: every problem, or what the configuration amounts to.
//!
//! Text in, text out; reading files, printing and exit codes are the caller's.

use std::fmt::Write as _;

use crate::config::{Config, Loaded, Problem, Problems};

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
        line(
            "listener",
            format_args!("{} {}: {}", listener.name, listener.listen, routes.join(", ")),
        );
    }
    for upstream in config.upstreams.values() {
        let endpoints: Vec<_> = upstream.endpoints.iter().map(|e| e.authority.as_ref()).collect();
        let check = upstream.health_check.as_ref().map_or("no check", |check| &check.path);
        let (name, key) = (&upstream.name, &upstream.breaker_key);
        line("upstream", format_args!("{name} {} ({check}), breaker {key}", endpoints.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::report;
    use crate::config::{Environment, Source, load};

    fn check(text: &str) -> String {
        let name = "fusebox.yaml";
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        report(name, &load(&source, &Environment::new([("", ""); 0], "host")))
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
    fn warnings_come_before_the_summary_and_errors_in_place_of_it() {
        let warned = check(&format!("{GOOD}  idle: {{ endpoints: [http://idle] }}\n"));
        assert!(warned.starts_with("warning: upstreams.idle: "), "{warned}");
        assert!(warned.contains("\n\nfusebox.yaml is good\n"), "{warned}");
        let refused = check("service: 1\n");
        assert!(refused.ends_with("\n2 errors\n"), "{refused}");
    }
}
