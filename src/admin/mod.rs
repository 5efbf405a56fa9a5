//! The admin port: JSON, health, metrics and the dashboard, for operators and orchestrators.
//!
//! GET reads and never changes anything: what it shows of the process comes through [`View`], what
//! happened comes from the store. It shares nothing with the data plane but values and the circuits,
//! so it answers when the data plane is full and when the store is away, and cannot slow down a call.
//!
//! | path | token | answer |
//! | --- | --- | --- |
//! | `/live`, `/ready` | no | 200, or 503 while not ready |
//! | `/health` | no | always 200: what each upstream answered last is in the body |
//! | `/metrics` | no | OpenMetrics text |
//! | `/`, `/dashboard.css`, `/dashboard.js` | no | the dashboard, which asks for the token itself |
//! | `/api/v1/circuit-breakers`, `…/{name}`, `…/{name}/events` | yes | breakers, and their past |
//! | `…/{name}/override`, `/open`, `/close`, `/disable`, `/shadow`, `/reset` | yes | people steer them |
//! | `/api/v1/tasks`, `/api/v1/tasks/{id}` | yes | rows |
//! | `/api/v1/tasks/history` | yes | statistics |
//! | `/api/v1/status`, `/api/v1/config` | yes | the process, and its configuration without secrets |
//! | `/api/v1/events` | yes | all that the dashboard shows, as it happens |

mod breakers;
mod configuration;
mod cursor;
mod dashboard;
mod events;
mod guard;
mod health;
mod query;
mod questions;
mod reply;
mod rollups;
mod server;
mod statistics;
mod status;
mod steering;
mod tasks;
mod throttle;
pub mod timeline;
pub mod view;
mod window;

pub use questions::{Questions, Refusal};
pub use window::time_us;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::Request, routing::get};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use self::{guard::Guard, questions::Turns, reply::Fault, timeline::Timeline, view::View};
use crate::{
    breakers::Breakers,
    config,
    store::{HistoryStore, StateStore},
};

/// Event streams at a time. Far below the connections, so that dashboards left open in many tabs
/// never keep a probe out.
const STREAMS: usize = 16;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// The running process.
    pub view: Arc<dyn View>,
    /// Its circuits, for those who steer them.
    pub breakers: Arc<Breakers>,
    /// The last transitions of its breakers.
    pub timeline: Arc<Timeline>,
    /// What instances share.
    pub state: Arc<dyn StateStore>,
    /// What happened.
    pub history: Arc<dyn HistoryStore>,
}

/// Answers on `listener` until `shutdown` ends, then lets answers under way end for a moment.
pub async fn serve(
    listener: TcpListener,
    settings: &config::Admin,
    sources: Sources,
    shutdown: impl Future<Output = ()>,
) {
    let (close, closing) = watch::channel(());
    let turns = Arc::new(Turns::default());
    let admin = Admin {
        questions: Questions::in_turn(Arc::clone(&sources.history), Arc::clone(&turns)),
        sources,
        turns,
        streams: Arc::new(Semaphore::new(STREAMS)),
        closing: closing.clone(),
    };
    let guard = Arc::new(Guard::new(settings));
    let app = server::App { router: router(admin), guard, closing };
    server::run(listener, app, close, shutdown).await;
}

/// What every handler can reach.
struct Admin {
    sources: Sources,
    questions: Questions,
    turns: Arc<Turns>,
    streams: Arc<Semaphore>,
    /// Changes once, when the port closes; streams end then.
    closing: watch::Receiver<()>,
}

impl Admin {
    /// How long rows are kept.
    fn retention(&self) -> Duration {
        self.sources.view.config().history.retention
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/", get(dashboard::page))
        .route("/dashboard.css", get(dashboard::style))
        .route("/dashboard.js", get(dashboard::script))
        .route("/api/v1/circuit-breakers", get(breakers::all))
        .route("/api/v1/circuit-breakers/{name}", get(breakers::one))
        .route("/api/v1/circuit-breakers/{name}/events", get(breakers::events))
        .merge(steering::router())
        .route("/api/v1/tasks", get(tasks::list))
        .route("/api/v1/tasks/history", get(statistics::history))
        .route("/api/v1/tasks/{id}", get(tasks::one))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/config", get(configuration::effective))
        .route("/api/v1/events", get(events::stream))
        .fallback(async |request: Request| {
            Fault::NotFound(format!("path {}", request.uri().path()))
        })
        .method_not_allowed_fallback(async || Fault::MethodNotAllowed)
        .with_state(Arc::new(admin))
}
