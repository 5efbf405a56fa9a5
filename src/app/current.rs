//! The configuration in force, with what is made of it anew each time.

use std::{sync::Arc, time::Instant};

use crate::{
    config::{Config, Listen},
    proxy::plane::{Captures, TrafficBoard, traffic_board},
    tls::Tls,
};

/// One configuration. It never changes; another takes its place.
#[derive(Debug)]
pub(super) struct Current {
    /// Which it is, counted from 1 since the start.
    pub(super) generation: u64,
    /// When it came into force, in microseconds since the Unix epoch.
    pub(super) since_us: i64,
    pub(super) config: Arc<Config>,
    /// What is odd about it.
    pub(super) warnings: Vec<String>,
    /// Where calls come in, as really bound.
    pub(super) listeners: Vec<(String, Listen)>,
    pub(super) tls: Tls,
    pub(super) traffic: Arc<TrafficBoard>,
    pub(super) captures: Arc<Captures>,
}

impl Current {
    /// Counters for every upstream of a configuration; those that were there go on.
    pub(super) fn traffic_of(&self, config: &Config, now: Instant) -> TrafficBoard {
        let mut board = traffic_board(config, now);
        for (name, traffic) in &mut board {
            if let Some(known) = self.traffic.get(name) {
                *traffic = Arc::clone(known);
            }
        }
        board
    }
}
