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
//! | `/`, `/dashboard/{file}` | no | the dashboard, which asks for the token itself |
//! | `/api/v1/circuit-breakers`, `…/{name}`, `…/{name}/events` | yes | breakers, and their past |
//! | `…/{name}/override`, `/open`, `/close`, `/disable`, `/shadow`, `/reset` | yes | people steer them |
//! | `/api/v1/tasks`, `/api/v1/tasks/{id}` | yes | rows |
//! | `/api/v1/tasks/history` | yes | statistics |
//! | POST `/api/v1/tasks`, `…/{id}/feedback` | yes | tasks that were no calls; late scores |
//! | `/api/v1/tasks/failures` | yes | what sets failures apart |
//! | `/api/v1/recommendations` | yes | which parameters work best |
//! | `/api/v1/predictions` | yes | early warnings, and how good they were |
//! | `/api/v1/timeouts` | yes | what learned timeouts would have done |
//! | `/api/v1/status`, `/api/v1/config` | yes | the process, and its configuration without secrets |
//! | POST `/api/v1/config/reload`, `/api/v1/drain` | yes | the file is read again; the process stops |
//! | `/api/v1/traffic`, `/api/v1/latency` | yes | the last minutes, and how long calls took |
//! | `/api/v1/transitions` | yes | what happened to all breakers |
//! | `/api/v1/traces/{correlationId}` | yes | the calls of one id as a tree |
//! | `/api/v1/events` | yes | what the dashboard shows, as it happens |
//! | `/api/v1/openapi.json` | yes | all of this for programs |

mod body;
mod breakers;
mod configuration;
mod control;
mod csv;
mod cursor;
mod dashboard;
mod events;
mod export;
mod feedback;
mod guard;
mod health;
mod hearing;
mod latency;
mod openapi;
mod predictions;
mod pulse;
mod query;
mod questions;
mod recommendations;
mod reply;
mod reports;
mod rollups;
mod rows;
mod series;
mod server;
mod statistics;
mod status;
mod steering;
mod tasks;
mod throttle;
pub mod timeline;
mod timeouts;
mod traces;
mod transitions;
pub mod view;
mod why;
mod window;

pub use control::Control;
pub use questions::{Questions, Refusal};
pub use reports::Intake;
pub use window::time_us;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use self::{
    guard::Guard, pulse::Pulse, questions::Turns, reply::Fault, timeline::Timeline, view::View,
};
use crate::{
    breakers::Breakers,
    config,
    learning::{Advisor, waits::Waits, warnings},
    store::{HistoryStore, StateStore},
};

/// Event streams at a time. Far below the connections, so that dashboards left open in many tabs
/// never keep a probe out.
const STREAMS: usize = 16;

/// Scrapes at a time. Of many upstreams each has megabytes and needs no token, so that sixty callers
/// who ask and do not read would cost more memory than all that this process does.
const SCRAPES: usize = 4;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// The running process.
    pub view: Arc<dyn View>,
    /// What people ask of it as a whole.
    pub control: Arc<dyn Control>,
    /// Its circuits, for those who steer them.
    pub breakers: Arc<Breakers>,
    /// The last transitions of its breakers.
    pub timeline: Arc<Timeline>,
    /// What instances share.
    pub state: Arc<dyn StateStore>,
    /// What happened.
    pub history: Arc<dyn HistoryStore>,
    /// Where reports go.
    pub intake: Arc<dyn Intake>,
    /// What follows from that.
    pub advisor: Arc<Advisor>,
    /// What is about to go wrong.
    pub warnings: Arc<warnings::Board>,
    /// How long each upstream is worth waiting for.
    pub waits: Arc<Waits>,
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
    let admin = Arc::new(Admin {
        questions: Questions::in_turn(Arc::clone(&sources.history), Arc::clone(&turns)),
        sources,
        turns,
        streams: Arc::new(Semaphore::new(STREAMS)),
        scrapes: Arc::new(Semaphore::new(SCRAPES)),
        reported: reports::Sites::default(),
        scores: Semaphore::new(feedback::WAITING),
        pulse: Pulse::default(),
        closing: closing.clone(),
    });
    let guard = Arc::new(Guard::new(settings));
    let router = routes().with_state(Arc::clone(&admin));
    let app = server::App { router, guard, closing };
    let mut serving = std::pin::pin!(server::run(listener, app, close, shutdown));
    tokio::select! {
        () = &mut serving => return,
        () = pulse::beat(admin) => {}
    }
    serving.await;
}

/// What every handler can reach.
struct Admin {
    sources: Sources,
    questions: Questions,
    turns: Arc<Turns>,
    streams: Arc<Semaphore>,
    scrapes: Arc<Semaphore>,
    /// Operations that were reported, and late scores that wait for their rows.
    reported: reports::Sites,
    scores: Semaphore,
    pulse: Pulse,
    /// Changes once, when the port closes; streams end then.
    closing: watch::Receiver<()>,
}

impl Admin {
    /// How long rows are kept.
    fn retention(&self) -> Duration {
        self.sources.view.config().history.retention
    }
}

fn routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/api/v1/circuit-breakers", get(breakers::all))
        .route("/api/v1/circuit-breakers/{name}", get(breakers::one))
        .route("/api/v1/circuit-breakers/{name}/events", get(breakers::events))
        .merge(steering::router())
        .merge(control::router())
        .route("/api/v1/tasks", get(tasks::list).post(reports::take))
        .route("/api/v1/tasks/history", get(statistics::history))
        .route("/api/v1/tasks/failures", get(why::failures))
        .route("/api/v1/tasks/{id}", get(tasks::one))
        .route("/api/v1/tasks/{id}/feedback", post(feedback::take))
        .route("/api/v1/recommendations", get(recommendations::recommendations))
        .route("/api/v1/predictions", get(predictions::predictions))
        .route("/api/v1/timeouts", get(timeouts::timeouts))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/config", get(configuration::effective))
        .route("/api/v1/traffic", get(series::traffic))
        .route("/api/v1/latency", get(latency::latency))
        .route("/api/v1/transitions", get(transitions::transitions))
        .route("/api/v1/traces/{correlationId}", get(traces::one))
        .route("/api/v1/events", get(events::stream))
        .route("/api/v1/openapi.json", get(openapi::document))
        .fallback(async |request: Request| {
            Fault::NotFound(format!("path {}", request.uri().path()))
        })
        .method_not_allowed_fallback(async || Fault::MethodNotAllowed)
}
