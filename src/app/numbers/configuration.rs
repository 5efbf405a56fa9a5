//! What came of changes to the configuration.

use super::{flag, number};
use crate::{
    app::{current::Current, renewal::Reloads},
    telemetry::metrics::{Family, Kind, Sample},
};

pub(super) fn families(current: &Current, reloads: &Reloads) -> Vec<Family> {
    let gauge = |name, help, value| Family::single(name, help, Kind::Gauge, value);
    let is_good = reloads.last.as_ref().is_none_or(|last| last.fault.is_none());
    let since_s = u64::try_from(current.since_us).unwrap_or_default() / 1_000_000;
    let result =
        |result: &'static str, count| Sample::new(vec![("result", result.into())], number(count));
    vec![
        gauge(
            "fusebox_config_last_reload_successful",
            "Whether the configuration could be used when it was last read",
            flag(is_good),
        ),
        gauge(
            "fusebox_config_last_change_timestamp_seconds",
            "Since when the configuration is in force",
            number(since_s),
        ),
        gauge(
            "fusebox_config_generation",
            "Which configuration is in force, counted from 1 since the start",
            number(current.generation),
        ),
        gauge(
            "fusebox_config_waiting_for_restart",
            "Keys whose new values count from the next start on",
            number(reloads.needs_restart.len() as u64),
        ),
        Family {
            name: "fusebox_config_reloads",
            help: "Times that the configuration was read again, by whether it could be used",
            kind: Kind::Counter,
            samples: vec![result("success", reloads.good), result("failure", reloads.bad)],
        },
    ]
}
