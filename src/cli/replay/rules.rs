//! The rules that a configuration has for its circuits, as a replay tries them.

use std::sync::Arc;

use crate::{
    config::Config,
    domain::{
        breaker::{Mode, Policy},
        replay::{OfRoute, Rules},
    },
};

/// The rules of all circuits, or of those that lead to one upstream.
pub(super) fn of(config: &Config, upstream: Option<&str>) -> Rules {
    let routes = config.listeners.iter().flat_map(|listener| &listener.routes);
    let routes = routes.filter(|route| upstream.is_none_or(|wanted| wanted == &*route.upstream));
    let of_routes = routes.filter_map(|route| {
        Some(OfRoute {
            upstream: Arc::clone(&route.upstream),
            route: route.name.as_str().into(),
            circuit: Arc::clone(&route.breaker.as_ref()?.name),
        })
    });
    let of_routes: Vec<OfRoute> = of_routes.collect();
    let is_wanted = |circuit: &str| {
        upstream.is_none_or(|wanted| wanted == circuit)
            || of_routes.iter().any(|of_route| &*of_route.circuit == circuit)
    };
    let circuits = config.circuits().filter(|(name, ..)| is_wanted(name));
    let circuits = circuits.map(|(name, _, policy)| {
        // The kill switch goes before the file, as it does live.
        let mode = if config.breakers_enabled { policy.mode } else { Mode::Disabled };
        (name, Policy { mode, ..policy })
    });
    Rules { circuits: circuits.collect(), of_routes }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::{
        config::{Config, Environment, Source, load},
        domain::{breaker::Mode, replay::Rules},
    };

    const YAML: &str = "\
listeners:
  egress:
    listen: 127.0.0.1:0
    routes:
      - match: { path_prefix: /charges }
        upstream: payments
        breaker: { consecutive_failures: 2, mode: shadow }
      - { name: paid, match: { path_prefix: /paid }, upstream: payments }
      - { name: beats, match: { path_prefix: /beats }, upstream: music, breaker: {} }
upstreams:
  payments: { endpoints: [\"http://127.0.0.1:1\"] }
  music: { endpoints: [\"http://127.0.0.1:2\"], breaker: { consecutive_failures: 9 } }
";

    fn config(environment: &[(&str, &str)]) -> Config {
        let source = Source { name: "new.yaml".to_owned(), text: YAML.to_owned() };
        load(&source, &Environment::new(environment.iter().copied(), "host")).unwrap().config
    }

    /// Each circuit with its failures in a row.
    fn circuits(rules: &Rules) -> Vec<(&str, u32)> {
        let each = rules.circuits.iter();
        each.map(|(name, policy)| (&**name, policy.consecutive_failures.get())).collect()
    }

    fn routes(rules: &Rules) -> Vec<[&str; 3]> {
        let each = rules.of_routes.iter();
        each.map(|of_route| [&*of_route.upstream, &*of_route.route, &*of_route.circuit]).collect()
    }

    #[test]
    fn a_route_has_rules_of_its_own_where_it_asks_for_them() {
        let rules = of(&config(&[]), None);
        let all = [("music", 9), ("music/beats", 5), ("payments", 5), ("payments/charges", 2)];
        assert_eq!(circuits(&rules), all);
        let charges = ["payments", "/charges", "payments/charges"];
        assert_eq!(routes(&rules), [charges, ["music", "beats", "music/beats"]]);
    }

    #[test]
    fn an_upstream_comes_with_the_circuits_of_its_routes_and_without_those_of_others() {
        let rules = of(&config(&[]), Some("payments"));
        assert_eq!(circuits(&rules), [("payments", 5), ("payments/charges", 2)]);
        assert_eq!(routes(&rules), [["payments", "/charges", "payments/charges"]]);
    }

    #[test]
    fn the_mode_is_the_configured_one_unless_the_kill_switch_is_set() {
        let modes = |environment: &[(&str, &str)]| -> Vec<Mode> {
            let rules = of(&config(environment), Some("payments"));
            rules.circuits.values().map(|policy| policy.mode).collect()
        };
        assert_eq!(modes(&[]), [Mode::Auto, Mode::Shadow]);
        assert_eq!(modes(&[("CIRCUIT_BREAKER_ENABLED", "false")]), [Mode::Disabled; 2]);
    }
}
