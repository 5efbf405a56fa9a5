//! `/api/v1/openapi.json`: the paths of this port for programs, as OpenAPI 3.1.
//!
//! Written by hand beside the handlers; tests hold it to the routes that there are, and to what they
//! answer.

use axum::response::Response;
use http::StatusCode;

use super::{
    query::{Asked, Pairs},
    reply::{self, Fault},
};

/// The document.
const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /api/v1/openapi.json`, not enveloped.
pub(super) async fn document(pairs: Pairs) -> Result<Response, Fault> {
    Asked::read(pairs, &[])?;
    Ok(reply::typed(StatusCode::OK, "application/json", DOCUMENT))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::DOCUMENT;

    #[test]
    fn the_document_names_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let told = document["paths"].as_object().unwrap().keys().cloned();
        // The router does not tell its paths but to those who debug it.
        let shown = format!("{:?}", super::super::routes());
        let quoted = shown.split('"').filter(|text| text.starts_with('/'));
        let there = quoted.filter(|text| !text.contains("fallback")).map(str::to_owned);
        let (told, there): (BTreeSet<_>, BTreeSet<_>) = (told.collect(), there.collect());
        assert!(there.len() > 30, "{shown}");
        assert_eq!(told, there);
    }
}
