//! `POST /api/v1/tasks`: tasks that were no calls, told by whoever did them.
//!
//! Checked as a whole before any is taken: one that cannot be read refuses its batch. What is taken
//! goes through the journal like calls, so it survives a kill and waits out an outage. A batch that
//! comes again under the same `Idempotency-Key`, and a task under the same id, has one row.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::task::{Context, TaskJson};
use super::{
    Admin, body,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
};
use crate::{
    clock,
    domain::{
        report,
        task::{CallRecord, CallSite},
    },
};

mod task;

/// Tasks of a batch at most, and the largest body.
const MAX_TASKS: usize = 500;
const MAX_BODY: usize = 512 * 1024;

/// Different operations that a process takes reports of.
const MAX_SITES: usize = 1_000;

/// The longest key of a batch.
const MAX_KEY: usize = 128;
const KEY: &str = "Idempotency-Key";

/// Takes rows on their way to the store. It may not wait.
pub trait Intake: Send + Sync {
    /// These rows are to be stored.
    fn take(&self, rows: &[CallRecord]);
}

/// Whether a body holds a batch.
#[derive(serde::Deserialize)]
struct Peek {
    tasks: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    tasks: Vec<TaskJson>,
}

/// `POST /api/v1/tasks`
pub(super) async fn take(
    State(admin): State<Arc<Admin>>,
    pairs: Pairs,
    request: Request,
) -> Answer {
    Asked::read(pairs, &[])?;
    let status = admin.sources.view.status();
    if status.draining {
        return Err(Fault::NotReady("Fusebox is stopping".to_owned()));
    }
    let (headers, bytes) = body::read(request, MAX_BODY).await?;
    let key = key_of(&headers)?;
    let tasks = tasks_of(&bytes)?;
    let context =
        Context { now_us: clock::wall_us(), retention: admin.retention(), has_key: key.is_some() };
    let service = &admin.sources.view.config().service;
    let mut rows = Vec::with_capacity(tasks.len());
    for (at, task) in tasks.iter().enumerate() {
        let wrong = |problem: task::Problem| Fault::BadRequest(format!("tasks[{at}].{problem}"));
        let random = || key.map_or_else(|| fastrand::u128(..), |key| digest(service, key, at));
        let (domain, action) = task.operation().map_err(wrong)?;
        let report = task.read(&context, random).map_err(wrong)?;
        rows.push(report.into_row(admin.reported.of(domain, action)?));
    }
    admin.sources.intake.take(&rows);
    Ok(accepted(&rows))
}

fn tasks_of(bytes: &[u8]) -> Result<Vec<TaskJson>, Fault> {
    let Peek { tasks } = body::parse(bytes)?;
    let tasks = match tasks {
        Some(_) => body::parse::<Batch>(bytes)?.tasks,
        None => vec![body::parse::<TaskJson>(bytes)?],
    };
    if (1..=MAX_TASKS).contains(&tasks.len()) {
        return Ok(tasks);
    }
    Err(Fault::unreadable("tasks", format_args!("1 to {MAX_TASKS} tasks")))
}

fn accepted(rows: &[CallRecord]) -> Response {
    let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let data = json!({ "accepted": ids.len(), "ids": ids });
    reply::json(StatusCode::ACCEPTED, &json!({ "success": true, "data": data }))
}

fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_graphic = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().filter(is_graphic);
    let key = key.filter(|key| (1..=MAX_KEY).contains(&key.len()) && keys.next().is_none());
    let expected = format!("one, of 1 to {MAX_KEY} visible letters of ASCII");
    key.map(Some).ok_or_else(|| Fault::unreadable(KEY, expected))
}

/// What takes the place of randomness in the id of a batch's task, so that it is the same again.
fn digest(service: &str, key: &str, at: usize) -> u128 {
    let mut sum = Sha256::new();
    for text in [service, key, &at.to_string()] {
        sum.update((text.len() as u64).to_be_bytes());
        sum.update(text);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&sum.finalize()[..16]);
    u128::from_be_bytes(first)
}

/// The operations that were reported: few, and each kept once. A std mutex: held for a look.
#[derive(Debug, Default)]
pub(super) struct Sites(Mutex<HashMap<(String, String), Arc<CallSite>>>);

impl Sites {
    fn of(&self, domain: &str, action: &str) -> Result<Arc<CallSite>, Fault> {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (domain.to_owned(), action.to_owned());
        if let Some(site) = sites.get(&name) {
            return Ok(Arc::clone(site));
        }
        if sites.len() >= MAX_SITES {
            return Err(Fault::BadRequest(format!(
                "{MAX_SITES} different operations were reported, which is all that may: is there \
                 an id or a name of a person in `domain` or `action`?"
            )));
        }
        let site = Arc::new(report::site(domain, action));
        sites.insert(name, Arc::clone(&site));
        Ok(site)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SITES, Sites, digest};

    #[test]
    fn the_same_key_makes_the_same_ids_and_no_other_does() {
        let one = digest("orders", "key", 0);
        assert_eq!(one, digest("orders", "key", 0));
        for other in [("orders", "key", 1), ("orders", "kex", 0), ("order", "skey", 0)] {
            assert_ne!(one, digest(other.0, other.1, other.2), "{other:?}");
        }
    }

    #[test]
    fn operations_are_few() {
        let sites = Sites::default();
        for at in 0..MAX_SITES {
            assert!(sites.of("jobs", &at.to_string()).is_ok());
        }
        assert!(sites.of("jobs", "0").is_ok(), "one that is known");
        assert!(sites.of("jobs", "one more").is_err());
    }
}
