//! `/api/v1/status`: the process at one glance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    control::ConfigurationJson,
    query::{Asked, Pairs},
    reply::{self, Answer},
    statistics::ratio,
    tasks::ms,
    view::{HistoryView, StatusView, StoreView, TrafficView},
    window::show_time,
};
use crate::{clock, domain::learn::recent::WINDOW_SECONDS};

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusJson {
    version: &'static str,
    started_at: Option<String>,
    uptime_ms: u64,
    service: String,
    service_version: String,
    namespace: String,
    environment: String,
    instance: String,
    display_name: String,
    workers: usize,
    draining: bool,
    listeners: BTreeMap<String, String>,
    in_flight: u64,
    store: StoreJson,
    history: HistoryJson,
    upstreams: BTreeMap<String, TrafficJson>,
    configuration: ConfigurationJson,
    /// Why it may be this instance that fails, and not what it calls.
    degraded: Option<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreJson {
    kind: &'static str,
    reachable: bool,
    fault: Option<String>,
    sync_mode: &'static str,
    /// Why it is not `listen`, where it might be.
    sync_reason: Option<String>,
    lag_ms: Option<u64>,
    instances: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryJson {
    waiting: u64,
    written: u64,
    dropped: u64,
    rejected: u64,
    damaged: u64,
    journal_bytes: u64,
    in_memory_because: Option<String>,
}

/// The traffic of the last seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrafficJson {
    in_flight: u64,
    window_seconds: u64,
    calls: u64,
    calls_per_second: Option<f64>,
    failures: u64,
    refused: u64,
    /// Failed and refused calls among all, 0 to 1: what callers see.
    error_share: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl TrafficJson {
    /// A process younger than the window has had less time for its calls.
    fn of(view: &TrafficView, uptime: Duration) -> Self {
        let counts = &view.counts;
        let seconds = uptime.as_secs().clamp(1, WINDOW_SECONDS);
        let quantile = |q| counts.durations.quantile(q).map(ms);
        Self {
            in_flight: view.in_flight,
            window_seconds: WINDOW_SECONDS,
            calls: counts.calls,
            calls_per_second: ratio(counts.calls, seconds),
            failures: counts.failures,
            refused: counts.refused,
            error_share: ratio(counts.failures + counts.refused, counts.calls),
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
        }
    }
}

impl From<StoreView> for StoreJson {
    fn from(store: StoreView) -> Self {
        Self {
            kind: store.kind,
            reachable: store.fault.is_none(),
            fault: store.fault,
            sync_mode: store.sync.as_str(),
            sync_reason: store.sync_reason,
            lag_ms: store.lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
            instances: store.instances,
        }
    }
}

impl From<HistoryView> for HistoryJson {
    fn from(view: HistoryView) -> Self {
        let HistoryView { waiting, written, dropped, rejected, .. } = view;
        let HistoryView { damaged, journal_bytes, in_memory_because, .. } = view;
        Self { waiting, written, dropped, rejected, damaged, journal_bytes, in_memory_because }
    }
}

impl StatusJson {
    /// What the process knows now.
    pub(super) fn of(admin: &Admin, now_us: i64) -> Self {
        let view = &admin.sources.view;
        let (config, status): (_, StatusView) = (view.config(), view.status());
        let traffic = view.traffic();
        let uptime_us = i64::try_from(status.uptime.as_micros()).unwrap_or(i64::MAX);
        Self {
            version: status.version,
            started_at: show_time(now_us.saturating_sub(uptime_us)),
            uptime_ms: u64::try_from(status.uptime.as_millis()).unwrap_or(u64::MAX),
            service: config.service.clone(),
            service_version: config.version.clone(),
            namespace: config.namespace.clone(),
            environment: config.environment.clone(),
            instance: status.instance,
            display_name: status.display_name,
            workers: status.workers,
            draining: status.draining,
            listeners: status
                .listeners
                .into_iter()
                .map(|(name, listen)| (name, listen.to_string()))
                .collect(),
            in_flight: status.in_flight,
            store: status.store.into(),
            history: status.history.into(),
            upstreams: traffic
                .iter()
                .map(|view| (view.name.to_string(), TrafficJson::of(view, status.uptime)))
                .collect(),
            configuration: (&status.configuration).into(),
            degraded: status.degraded,
            warnings: status.warnings,
        }
    }
}

/// `GET /api/v1/status`
pub(super) async fn status(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    Ok(reply::data(StatusJson::of(&admin, clock::wall_us())))
}
