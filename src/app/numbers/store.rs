//! What history and the exchange with the fleet tell.

use super::{flag, number};
use crate::{
    clock,
    fleet::{Status, SyncMode},
    history::Counters,
    telemetry::metrics::{Family, Kind, Sample},
};

/// Rows on their way to the store.
pub(super) fn history(counters: &Counters) -> Vec<Family> {
    let count = |name, help, value| Family::single(name, help, Kind::Counter, number(value));
    let gauge = |name, help, value| Family::single(name, help, Kind::Gauge, value);
    vec![
        count("fusebox_history_recorded", "Calls that the writer was given", counters.recorded()),
        count(
            "fusebox_history_written",
            "Calls whose rows the store has committed",
            counters.written(),
        ),
        count(
            "fusebox_history_dropped",
            "Calls that lost their row because the journal was full",
            counters.dropped(),
        ),
        count(
            "fusebox_history_set_aside",
            "Calls whose rows the store would not take",
            counters.set_aside(),
        ),
        count(
            "fusebox_history_damaged",
            "Records of the journal that could not be read",
            counters.damaged(),
        ),
        count(
            "fusebox_history_batches",
            "Batches that the store has committed",
            counters.batches(),
        ),
        gauge(
            "fusebox_history_waiting",
            "Rows in the journal on their way to the store",
            number(counters.rows_waiting()),
        ),
        gauge("fusebox_journal_bytes", "What the journal takes", number(counters.spool_bytes())),
        gauge(
            "fusebox_journal_on_disk",
            "Whether rows that wait survive the process",
            flag(counters.in_memory_because().is_none()),
        ),
        gauge(
            "fusebox_store_up",
            "Whether the store took the last batch",
            flag(counters.store_up()),
        ),
    ]
}

/// The exchange with other instances.
pub(super) fn fleet(status: &Status) -> Vec<Family> {
    let count = |name, help, value| Family::single(name, help, Kind::Counter, number(value));
    let gauge = |name, help, value| Family::single(name, help, Kind::Gauge, value);
    let modes = [SyncMode::Listen, SyncMode::Poll, SyncMode::Off]
        .map(|mode| Sample::new(vec![("mode", mode.as_str().into())], flag(status.mode == mode)));
    let lag = status.lag(clock::now()).map(|lag| Sample::new(Vec::new(), lag.as_secs_f64()));
    vec![
        gauge(
            "fusebox_fleet_instances",
            "Instances that live, this one included",
            f64::from(status.live.max(1)),
        ),
        gauge(
            "fusebox_fleet_away",
            "Whether the store failed when it was last asked about other instances",
            flag(status.is_away),
        ),
        Family {
            name: "fusebox_fleet_lag_seconds",
            help: "How old the knowledge about other instances is; missing before it was first read",
            kind: Kind::Gauge,
            samples: lag.into_iter().collect(),
        },
        Family {
            name: "fusebox_fleet_sync",
            help: "1 for how changes of others are noticed, 0 for the other ways",
            kind: Kind::Gauge,
            samples: modes.into(),
        },
        count("fusebox_fleet_adopted", "Breaker states taken from others", status.adopted),
        count("fusebox_fleet_published", "Breaker states given to others", status.published),
        count("fusebox_fleet_lost", "Breaker states that another was faster with", status.lost),
        gauge(
            "fusebox_fleet_sick",
            "Whether upstreams fail here that work for other instances",
            flag(status.sick.is_some()),
        ),
        gauge(
            "fusebox_fleet_drifts",
            "Breakers that another instance has other rules for",
            number(status.drifts.len() as u64),
        ),
    ]
}
