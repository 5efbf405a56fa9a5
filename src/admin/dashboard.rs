//! The dashboard: three files in the binary, no build step, nothing from elsewhere.
//!
//! They say nothing about this process, so they need no token; the page asks for it and reads
//! `/api/v1/events` with it.

use axum::response::Response;
use http::StatusCode;

use super::reply;

/// `GET /`
pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("dashboard/index.html"))
}

/// `GET /dashboard.css`
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("dashboard/dashboard.css"))
}

/// `GET /dashboard.js`
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("dashboard/dashboard.js"))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    reply::typed(StatusCode::OK, content_type, text)
}
