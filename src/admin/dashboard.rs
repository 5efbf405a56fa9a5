//! The dashboard: files in the binary, no build step, nothing from elsewhere.
//!
//! They say nothing about this process, so they need no token; the page asks for it and reads the
//! API with it.

use axum::response::Response;
use http::StatusCode;

use super::{
    query::Segment,
    reply::{self, Answer, Fault},
};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file, what it is and what it says.
type File = (&'static str, &'static str, &'static str);

/// The files of the page.
macro_rules! files {
    ($($kind:ident $name:literal,)*) => {
        [$(($name, $kind, include_str!(concat!("dashboard/", $name)))),*]
    };
}

const FILES: [File; 25] = files! {
    STYLE "frame.css",
    STYLE "parts.css",
    STYLE "pages.css",
    SCRIPT "theme.js",
    SCRIPT "main.js",
    SCRIPT "api.js",
    SCRIPT "breaker.js",
    SCRIPT "calls.js",
    SCRIPT "configuration.js",
    SCRIPT "dom.js",
    SCRIPT "format.js",
    SCRIPT "heat.js",
    SCRIPT "operation.js",
    SCRIPT "row.js",
    SCRIPT "spark.js",
    SCRIPT "statistics.js",
    SCRIPT "steer.js",
    SCRIPT "store.js",
    SCRIPT "stream.js",
    SCRIPT "table.js",
    SCRIPT "timeline.js",
    SCRIPT "trace.js",
    SCRIPT "upstreams.js",
    SCRIPT "warnings.js",
    SCRIPT "words.js",
};

/// `GET /`
pub(super) async fn page() -> Response {
    let page = include_str!("dashboard/index.html");
    reply::typed(StatusCode::OK, "text/html; charset=utf-8", page)
}

/// `GET /dashboard/{file}`
pub(super) async fn file(Segment(name): Segment) -> Answer {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = found.ok_or_else(|| Fault::NotFound("such file".to_owned()))?;
    Ok(reply::typed(StatusCode::OK, kind, *text))
}
