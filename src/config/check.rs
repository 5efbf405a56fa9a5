//! From the file to the checked configuration: what belongs together, and whether it fits.
//!
//! The parts read themselves; here is what concerns several of them: names that must exist,
//! addresses that must differ, a port that must not stand open.

mod breaker;
mod fallback;
mod header_rules;
mod listener;
mod own;
mod provider;
mod resilience;
mod route;
mod task;
mod telemetry;
mod tls;
mod upstream;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use super::{
    Admin, Aws, Config, Database, History, Instance, Listen, Listener, Logs, Upstream, Warnings,
    environment::{Environment, Variable},
    keys,
    mapping::Mapping,
    path::shown,
    problem::Severity,
    reading::Reading,
    suggest,
    text::Token,
};

/// Reads the whole file. The result counts only when nothing was noted on the way.
pub(super) fn config(root: &Mapping<'_>, reading: &Reading<'_>) -> Config {
    let host_name = || reading.environment.host_name().to_owned();
    let service = root.optional(&keys::SERVICE).map_or_else(host_name, |service| service.0);
    let upstreams = root.named(&keys::UPSTREAMS);
    let names = Upstreams::read(&upstreams, &service);
    let admin = admin(&root.mapping(&keys::ADMIN));
    let listeners = listeners(root, &names, admin.listen);
    if !listeners.is_empty() {
        for (_, unused) in upstreams.iter().filter(|(name, _)| !names.is_used(name)) {
            unused.warning_here("no route leads to this upstream");
        }
    }
    own::check(&upstreams, &names.read, &listeners);
    let database = root.mapping(&keys::DATABASE);
    let history = root.mapping(&keys::HISTORY);
    let warnings = root.mapping(&keys::WARNINGS);
    let logs = root.mapping(&keys::LOGS);
    let instance = root.mapping(&keys::INSTANCE);
    Config {
        service,
        namespace: root.get(&keys::NAMESPACE).0,
        environment: root.get(&keys::ENVIRONMENT).0,
        version: root.get(&keys::VERSION).0,
        instance: Instance {
            machine: host_name(),
            name: instance.optional(&keys::INSTANCE_NAME).map_or_else(host_name, |name| name.0),
            host: instance.optional(&keys::INSTANCE_HOST).map_or_else(host_name, |host| host.0),
            zone: Some(instance.get(&keys::INSTANCE_ZONE).0).filter(|zone| !zone.is_empty()),
        },
        workers: root.get(&keys::WORKERS),
        admin,
        data_dir: root.get(&keys::DATA_DIR),
        database: Database {
            url: database.get(&keys::DATABASE_URL).0,
            schema: database.get(&keys::DATABASE_SCHEMA).0,
            migrate: database.get(&keys::DATABASE_MIGRATE),
            aws: Arc::new(Aws::of(reading.environment)),
        },
        history: History {
            retention: history.get(&keys::RETENTION),
            spool_max_bytes: history.get(&keys::SPOOL_MAX_BYTES).0 as u64,
            refused_per_second: history.get(&keys::REFUSED_PER_SECOND),
            sample_successes: history.get(&keys::SAMPLE_SUCCESSES),
        },
        warnings: Warnings {
            enabled: warnings.get(&keys::WARNINGS_ENABLED),
            objective: warnings.get(&keys::WARNINGS_OBJECTIVE),
        },
        logs: Logs {
            calls: logs.get(&keys::LOG_CALLS),
            file: logs.optional(&keys::LOG_FILE),
            level: logs.get(&keys::LOG_LEVEL).0,
        },
        telemetry: telemetry::read(&root.mapping(&keys::TELEMETRY), reading),
        drain_timeout: root.get(&keys::DRAIN_TIMEOUT),
        drain_quiet: root.get(&keys::DRAIN_QUIET),
        breakers_enabled: breakers_enabled(reading.environment, reading),
        listeners,
        upstreams: names.read,
    }
}

/// The upstreams, which of them routes lead to, and what they and their routes are called.
struct Upstreams<'a> {
    names: BTreeSet<&'a str>,
    used: RefCell<BTreeSet<&'a str>>,
    /// Those that are good.
    read: BTreeMap<Arc<str>, Arc<Upstream>>,
    circuits: RefCell<Circuits>,
}

/// What circuits are called; each may be there once.
#[derive(Default)]
struct Circuits {
    /// The keys that they are shared by, each with the circuit's name.
    keys: BTreeMap<String, String>,
    /// The names of those of routes.
    of_routes: BTreeSet<Arc<str>>,
}

impl<'a> Upstreams<'a> {
    /// Reads the upstreams of this service; no two of them may have the same breaker.
    fn read(mappings: &[(&'a str, Mapping<'_>)], service: &str) -> Self {
        let mut circuits = Circuits::default();
        let upstreams = mappings.iter().filter_map(|(name, mapping)| {
            upstream::read(name, service, mapping, &mut circuits.keys)
        });
        let read = upstreams.map(|one| (Arc::clone(&one.name), Arc::new(one))).collect();
        Self {
            names: mappings.iter().map(|(name, _)| *name).collect(),
            used: RefCell::default(),
            read,
            circuits: RefCell::new(circuits),
        }
    }

    /// Notes that a route leads to this one. When there is none, which may be meant, as the end
    /// of a sentence.
    fn refer(&self, name: &str) -> Result<(), String> {
        let known = self.names.get(name).copied();
        let near = known.or_else(|| suggest::nearest(name, self.names.iter().copied()));
        self.used.borrow_mut().extend(near);
        // With no upstream at all, that is the problem, and it is noted.
        if known.is_some() || self.names.is_empty() {
            return Ok(());
        }
        Err(suggest::sentence(near))
    }

    fn is_used(&self, name: &str) -> bool {
        self.used.borrow().contains(name)
    }
}

fn admin(admin: &Mapping<'_>) -> Admin {
    let listen = admin.get(&keys::ADMIN_LISTEN);
    let token = admin.good(&keys::ADMIN_TOKEN);
    if !listen.ip().is_loopback() && token == Some(Token(None)) {
        let message = "off loopback the admin port needs a token: set `admin.token` or \
                       FUSEBOX_ADMIN_TOKEN, or listen on 127.0.0.1";
        admin.error(&keys::ADMIN_LISTEN, message);
    }
    let allowed_hosts = admin.list(&keys::ADMIN_ALLOWED_HOSTS);
    let allowed_hosts = allowed_hosts.into_iter().map(|host| host.value.0).collect();
    Admin { listen, token: token.and_then(|token| token.0), allowed_hosts }
}

/// Reads the listeners; no two of them, nor the admin port, may have the same address.
fn listeners(root: &Mapping<'_>, upstreams: &Upstreams<'_>, admin: SocketAddr) -> Vec<Listener> {
    let mut taken = vec![(Listen::Tcp(admin), "the admin port".to_owned())];
    let mut listeners = Vec::new();
    for (name, mapping) in root.named(&keys::LISTENERS) {
        let Some(listener) = listener::read(name, &mapping, upstreams) else { continue };
        let other = taken.iter().find(|(place, _)| place.collides(&listener.listen));
        if let Some((place, who)) = other {
            let message = format!("{who} has this address already: {place}");
            mapping.error(&keys::LISTEN, &message);
        }
        taken.push((listener.listen.clone(), format!("the listener `{}`", shown(name))));
        listeners.push(listener);
    }
    listeners
}

/// The kill switch, which wins over the file.
fn breakers_enabled(environment: &Environment, reading: &Reading<'_>) -> bool {
    const SWITCH: Variable = Variable::Plain("CIRCUIT_BREAKER_ENABLED");
    let Some(text) = SWITCH.text(environment) else { return true };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => true,
        "false" | "0" => {
            let message =
                "every circuit breaker is off: nothing is cut off, whatever the file says";
            reading.variable(Severity::Warning, SWITCH, message);
            false
        }
        _ => {
            reading.variable(Severity::Error, SWITCH, "expected `true` or `false`");
            true
        }
    }
}
