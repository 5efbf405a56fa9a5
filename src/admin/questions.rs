//! Questions to the history: those of the admin port, and the same without one.
//!
//! A few at a time and each for a limited time, so that whoever asks much waits himself. Commands
//! that have the store at hand ask here too, and so read, check and answer as the port does.

use std::{sync::Arc, time::Duration};

use axum::extract::RawQuery;
use http::StatusCode;
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use super::{reply::Fault, statistics, tasks};
use crate::store::{self, HistoryStore};

/// Questions to the store at a time; the next ones wait.
const AT_A_TIME: usize = 4;

/// How long a question to the store may take, the wait for its turn included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the history.
pub struct Questions {
    pub(super) history: Arc<dyn HistoryStore>,
    turns: Arc<Turns>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The status that the admin port would answer.
    pub status: StatusCode,
    /// Its message.
    pub message: String,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { status: fault.status(), message: fault.to_string() }
    }
}

impl Questions {
    /// Asks this history.
    pub fn to(history: Arc<dyn HistoryStore>) -> Self {
        Self::in_turn(history, Arc::default())
    }

    /// Asks this history, in turn with other questions.
    pub(super) fn in_turn(history: Arc<dyn HistoryStore>, turns: Arc<Turns>) -> Self {
        Self { history, turns }
    }

    /// The `data` of `GET /api/v1/tasks` with this query string. `retention` says how long rows
    /// are kept.
    ///
    /// # Errors
    /// The question cannot be read, or the store does not answer it.
    pub async fn tasks(&self, query: &str, retention: Duration) -> Result<Value, Refusal> {
        let page = async {
            let asked = tasks::read(RawQuery(Some(query.to_owned())))?;
            tasks::page(self, &asked, retention).await
        };
        page.await
            .and_then(|page| serde_json::to_value(page).map_err(|_| Fault::Internal))
            .map_err(Refusal::from)
    }

    /// The `data` of `GET /api/v1/tasks/history` with this query string.
    ///
    /// # Errors
    /// The question cannot be read, or the store does not answer it.
    pub async fn statistics(&self, query: &str) -> Result<Value, Refusal> {
        let found = statistics::statistics(self, RawQuery(Some(query.to_owned()))).await;
        found
            .and_then(|found| serde_json::to_value(found).map_err(|_| Fault::Internal))
            .map_err(Refusal::from)
    }

    /// What `GET /api/v1/tasks/history` with this query string, which names a format, exports.
    ///
    /// # Errors
    /// The question cannot be read, or the store does not answer it.
    pub async fn export(&self, query: &str) -> Result<String, Refusal> {
        let exported = statistics::records(self, RawQuery(Some(query.to_owned()))).await;
        exported.map_err(Refusal::from)
    }

    /// Asks the store, in turn and for a limited time.
    pub(super) async fn read<T>(
        &self,
        question: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, Fault> {
        self.turns.read(question).await
    }
}

/// Lets a few at a time.
pub(super) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }
}

impl Turns {
    /// Asks the store, in turn and for a limited time.
    pub(super) async fn read<T>(
        &self,
        question: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, Fault> {
        let answer = async {
            let _turn = self.0.acquire().await;
            question.await
        };
        match timeout(TIMEOUT, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::StoreUnavailable),
        }
    }
}
