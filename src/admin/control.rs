//! What people ask of the process as a whole: to read its configuration again, to stop.
//!
//! | path | what |
//! | --- | --- |
//! | `POST /api/v1/config/reload`, `/api/v1/reload` | reads the configuration's file again |
//! | `POST /api/v1/drain` | lets calls in flight end, then stops, as SIGTERM does |

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    Admin, body,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    view::ConfigurationView,
    window::show_time,
};
use crate::config::Problem;

/// A request to reload or to drain has nothing to say.
const BODY_BYTES: usize = 1_024;

/// Whoever does what is asked.
#[async_trait]
pub trait Control: Send + Sync {
    /// Reads the configuration again. What came of it is in the view.
    async fn reload(&self) -> ConfigurationView;

    /// Begins to stop, as SIGTERM would have it.
    fn drain(&self);
}

/// The configuration as `/api/v1/status` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationJson {
    /// Counted from 1 since the start.
    generation: u64,
    source: String,
    in_force_since: Option<String>,
    /// Keys whose new values count from the next start on.
    needs_restart: Vec<&'static str>,
    last_reload: Option<ReloadJson>,
}

/// What came of the last time that the file was read again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReloadJson {
    at: Option<String>,
    trigger: &'static str,
    successful: bool,
    problems: Vec<ProblemJson>,
    /// The problems in words, with the lines of the file; empty after a success.
    report: String,
}

/// One problem.
#[derive(Debug, Serialize)]
struct ProblemJson {
    severity: &'static str,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    path: String,
    message: String,
}

impl From<&Problem> for ProblemJson {
    fn from(problem: &Problem) -> Self {
        Self {
            severity: problem.severity.as_str(),
            file: problem.file.clone(),
            line: problem.line(),
            column: problem.column(),
            path: problem.path.clone(),
            message: problem.message.clone(),
        }
    }
}

impl From<&ConfigurationView> for ConfigurationJson {
    fn from(view: &ConfigurationView) -> Self {
        let last_reload = view.last.as_ref().map(|last| ReloadJson {
            at: show_time(last.at_us),
            trigger: last.trigger,
            successful: last.fault.is_none(),
            problems: last.problems.iter().map(ProblemJson::from).collect(),
            report: last.fault.clone().unwrap_or_default(),
        });
        Self {
            generation: view.generation,
            source: view.source.clone(),
            in_force_since: show_time(view.since_us),
            needs_restart: view.needs_restart.clone(),
            last_reload,
        }
    }
}

pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/config/reload", post(reload))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/drain", post(drain))
}

/// Nothing is asked but what the path says.
async fn is_plain(pairs: Pairs, request: Request) -> Result<(), Fault> {
    Asked::read(pairs, &[])?;
    let (_, bytes) = body::read(request, BODY_BYTES).await?;
    match bytes.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => Err(Fault::BadRequest("the body must be empty, or `{}`".to_owned())),
    }
}

async fn reload(State(admin): State<Arc<Admin>>, pairs: Pairs, request: Request) -> Answer {
    is_plain(pairs, request).await?;
    let view = admin.sources.control.reload().await;
    let json = ConfigurationJson::from(&view);
    match view.last.and_then(|last| last.fault) {
        None => Ok(reply::data(json)),
        Some(fault) => Ok(refused(&fault, &json)),
    }
}

/// The new configuration is not in force; what is, is in `data`.
fn refused(fault: &str, json: &ConfigurationJson) -> Response {
    let error = json!({ "code": "configuration_refused", "message": fault });
    let envelope = json!({ "success": false, "error": error, "data": json });
    reply::json(StatusCode::UNPROCESSABLE_ENTITY, &envelope)
}

async fn drain(State(admin): State<Arc<Admin>>, pairs: Pairs, request: Request) -> Answer {
    is_plain(pairs, request).await?;
    admin.sources.control.drain();
    let mut response = reply::data(json!({ "draining": true })).into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
