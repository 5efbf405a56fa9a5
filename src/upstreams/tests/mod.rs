//! Live upstreams from the outside: resolving, dialling, sharing.

mod dialling;
mod resolving;
mod sharing;
mod threads;

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{Address, Host, Live, Upstreams, sample::upstream};
use crate::clock;

/// The one upstream with these settings, and what it is part of.
fn start(settings: &str) -> (Arc<Upstreams>, Arc<Live>) {
    let upstreams = Upstreams::new([&upstream(settings)], clock::now());
    let live = upstreams.of("payments").unwrap();
    (upstreams, live)
}

fn shown(hosts: &[Arc<Host>]) -> Vec<String> {
    let shown = |host: &Arc<Host>| match host.address() {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
    };
    hosts.iter().map(shown).collect()
}

/// The messages that are told on this thread for as long as the guard is held.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let told = Self::default();
        let subscriber = tracing_subscriber::registry().with(told.clone());
        (told, tracing::subscriber::set_default(subscriber))
    }

    fn count(&self, part: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|message| message.contains(part)).count()
    }
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                write!(message, "{value:?}").unwrap();
            }
        });
        self.0.lock().unwrap().push(message);
    }
}
