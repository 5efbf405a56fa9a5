//! What of a configuration counts from the next start on, when it is changed while Fusebox runs.
//!
//! Everything about listeners and upstreams counts at once, and so does how long a drain may take.
//! What names this process, where it keeps what, and on which threads it runs is settled once.

use super::Config;

/// Takes the value of a key from the running configuration; whether the new one has another.
type Keep = fn(&mut Config, &Config) -> bool;

/// Every key that needs a restart.
const KEPT: [(&str, Keep); 22] = [
    ("service", |new, old| keep(&mut new.service, &old.service)),
    ("namespace", |new, old| keep(&mut new.namespace, &old.namespace)),
    ("environment", |new, old| keep(&mut new.environment, &old.environment)),
    ("version", |new, old| keep(&mut new.version, &old.version)),
    ("instance", |new, old| keep(&mut new.instance, &old.instance)),
    ("workers", |new, old| keep(&mut new.workers, &old.workers)),
    ("admin.listen", |new, old| keep(&mut new.admin.listen, &old.admin.listen)),
    ("admin.token", |new, old| keep(&mut new.admin.token, &old.admin.token)),
    ("admin.allowed_hosts", |new, old| {
        keep(&mut new.admin.allowed_hosts, &old.admin.allowed_hosts)
    }),
    ("data_dir", |new, old| keep(&mut new.data_dir, &old.data_dir)),
    ("database", |new, old| keep(&mut new.database, &old.database)),
    ("history.retention", |new, old| keep(&mut new.history.retention, &old.history.retention)),
    ("history.spool_max_bytes", |new, old| {
        keep(&mut new.history.spool_max_bytes, &old.history.spool_max_bytes)
    }),
    ("history.refused_per_second", |new, old| {
        keep(&mut new.history.refused_per_second, &old.history.refused_per_second)
    }),
    ("history.sample_successes", |new, old| {
        keep(&mut new.history.sample_successes, &old.history.sample_successes)
    }),
    ("telemetry", |new, old| keep(&mut new.telemetry, &old.telemetry)),
    ("warnings.enabled", |new, old| keep(&mut new.warnings.enabled, &old.warnings.enabled)),
    ("warnings.objective", |new, old| keep(&mut new.warnings.objective, &old.warnings.objective)),
    ("logs.calls", |new, old| keep(&mut new.logs.calls, &old.logs.calls)),
    ("logs.file", |new, old| keep(&mut new.logs.file, &old.logs.file)),
    ("logs.level", |new, old| keep(&mut new.logs.level, &old.logs.level)),
    // From the environment, which is that of the start.
    ("CIRCUIT_BREAKER_ENABLED", |new, old| keep(&mut new.breakers_enabled, &old.breakers_enabled)),
];

impl Config {
    /// What of this configuration counts at once where `running` does now, and the keys of which it
    /// has other values that wait for the next start.
    pub fn at_once(mut self, running: &Self) -> (Self, Vec<&'static str>) {
        let changed =
            KEPT.iter().filter_map(|(key, keep)| keep(&mut self, running).then_some(*key));
        let waiting = changed.collect();
        (self, waiting)
    }
}

/// Whether a change of the key at this path waits for the next start.
pub(super) fn is_needed(path: &str) -> bool {
    let is_within = |key: &str| {
        path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    KEPT.iter().any(|(key, _)| is_within(key))
}

fn keep<T: PartialEq + Clone>(new: &mut T, old: &T) -> bool {
    let is_other = new != old;
    if is_other {
        new.clone_from(old);
    }
    is_other
}

#[cfg(test)]
mod tests {
    use super::is_needed;
    use crate::config::{Environment, Source, keys, load};

    const GOOD: &str = "\
listeners:
  egress: { listen: \"127.0.0.1:8080\", upstream: payments }
upstreams:
  payments: { endpoints: [http://payments] }
";

    fn config(more: &str) -> crate::config::Config {
        let source = Source { name: "test".to_owned(), text: format!("{GOOD}{more}") };
        load(&source, &Environment::default()).unwrap().config
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is_and_is_named() {
        let more = "workers: 3\ndrain_timeout: 3s\ndatabase: { schema: other }\n";
        let (running, new) = (config(""), config(more));
        let (now, waiting) = new.at_once(&running);
        assert_eq!(waiting, ["workers", "database"]);
        assert_eq!((now.workers, &now.database), (running.workers, &running.database));
        assert_eq!(now.drain_timeout.as_secs(), 3);
        assert_eq!(config(more).at_once(&config(more)).1, [""; 0]);
    }

    #[test]
    fn every_key_outside_of_listeners_and_upstreams_needs_a_restart_or_is_known_not_to() {
        let values = keys::ALL.iter().filter(|about| !about.is_section);
        let at_once: Vec<_> = values
            .map(|about| about.path)
            .filter(|path| !path.starts_with("listeners.") && !path.starts_with("upstreams."))
            .filter(|path| !is_needed(path))
            .collect();
        assert_eq!(at_once, ["drain_timeout", "drain_quiet"]);
        assert!(keys::ALL.iter().all(|about| {
            let is_routing = ["listeners", "upstreams"].iter().any(|it| about.path.starts_with(it));
            !(is_routing && is_needed(about.path))
        }));
    }
}
