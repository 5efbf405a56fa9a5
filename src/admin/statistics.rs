//! `/api/v1/tasks/history`: statistics of operations, from rollups.
//!
//! The same sums for both stores: exact even where rows are folded or expired, to the minute. Only
//! what rollups do not tell apart, versions and instances, is read from rows, so many at most, and
//! the answer says so.

mod figures;
mod grouped;
mod question;

use std::sync::Arc;

use axum::extract::State;
use futures_util::stream;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) use self::figures::ratio;
use self::{
    figures::{Figures, reasons},
    grouped::{Grouped, GroupedJson},
    question::Question,
};
use super::{
    Admin,
    export::Format,
    query::{Asked, Pairs},
    questions::Questions,
    recommendations::{self, RecommendationJson},
    reply::{self, Answer, Fault},
    rollups::{self, MINUTE_US},
    window::show_time,
};
use crate::{
    clock,
    domain::learn::operation::{Operations, Tally},
    store::{OperationName, RollupQuery},
};

/// Operations that are listed at most.
const LISTED: usize = 500;

/// Failures that are listed at most.
const TOP_FAILURES: usize = 20;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct History {
    domain: Option<String>,
    action: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    /// Which parameters work best. Of several operations together none do.
    optimal_parameters: RecommendationJson,
    /// The operations behind the numbers; left out when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<Vec<Operation>>,
    /// What fails most, whichever operation it is; left out likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_failures: Option<Vec<TopFailure>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    grouped: Option<GroupedJson>,
}

#[derive(Serialize)]
struct Operation {
    domain: String,
    action: String,
    #[serde(flatten)]
    figures: Figures,
}

/// A reason of an operation's failures.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopFailure {
    domain: String,
    action: String,
    #[serde(flatten)]
    reason: figures::FailureReason,
    /// Among the failures of all operations.
    share_of_all: Option<f64>,
}

/// What was found.
struct Found {
    question: Question,
    now: Operations,
    before: Operations,
    grouped: Option<Grouped>,
}

/// `GET /api/v1/tasks/history`
pub(super) async fn history(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Answer {
    let (question, asked) = Question::read(pairs, clock::wall_us())?;
    let format = Format::read(&asked, &headers)?;
    let found = Found::find(&admin.questions, question).await?;
    if format == Format::Json {
        let mut history = found.show();
        if let (Some(domain), Some(action)) = (&history.domain, &history.action) {
            let (domain, action) = (domain.as_str().into(), action.as_str().into());
            let operation = OperationName { domain, action };
            history.optimal_parameters = recommendations::of(&admin, &operation, None).await?;
        }
        return Ok(reply::data(history));
    }
    let (columns, records) = found.records();
    let chunks: Vec<_> =
        records.chunks(LISTED).map(|records| Ok(format.lines(&columns, records))).collect();
    Ok(format.response(&columns, stream::iter(chunks)))
}

/// The statistics that are asked for, without a format.
pub(super) async fn statistics(questions: &Questions, pairs: Pairs) -> Result<History, Fault> {
    let (question, asked) = Question::read(pairs, clock::wall_us())?;
    refuse_format(&asked)?;
    Ok(Found::find(questions, question).await?.show())
}

/// The same as records, for a command that writes them.
pub(super) async fn records(questions: &Questions, pairs: Pairs) -> Result<String, Fault> {
    let (question, asked) = Question::read(pairs, clock::wall_us())?;
    let format = Format::read(&asked, &HeaderMap::new())?;
    let (columns, records) = Found::find(questions, question).await?.records();
    Ok(format.whole(&columns, &records))
}

fn refuse_format(asked: &Asked) -> Result<(), Fault> {
    match asked.text("format") {
        None | Some("json") => Ok(()),
        Some(_) => Err(Fault::unreadable("format", "`json` here")),
    }
}

impl Found {
    async fn find(questions: &Questions, question: Question) -> Result<Self, Fault> {
        let now = operations(questions, &question.calls).await?;
        let before = operations(questions, &question.before()).await?;
        let grouped = match &question.grouping {
            Some(grouping) => {
                let total = now.total().calls();
                Some(Grouped::find(questions, grouping, &question, total).await?)
            }
            None => None,
        };
        Ok(Self { question, now, before, grouped })
    }

    fn show(self) -> History {
        let Self { question, now, before, grouped } = self;
        let is_about_one = question.is_about_one();
        let calls = question.calls;
        History {
            figures: Figures::of(&now.total(), Some(&before.total())),
            optimal_parameters: RecommendationJson::default(),
            operations: (!is_about_one).then(|| list(&now, &before)),
            top_failures: (!is_about_one).then(|| top_failures(&now, &before)),
            grouped: grouped.map(Grouped::show),
            from: show_time(calls.from_minute.saturating_mul(MINUTE_US)),
            to: show_time(calls.to_minute.saturating_mul(MINUTE_US)),
            domain: calls.domain,
            action: calls.action,
        }
    }

    /// The groups, or the operations where nothing is grouped, as flat records and their columns.
    fn records(&self) -> (Vec<&'static str>, Vec<Map<String, Value>>) {
        if let Some(grouped) = &self.grouped {
            return grouped.records();
        }
        let columns = ["domain", "action"].into_iter().chain(grouped::COLUMNS).collect();
        let record = |(domain, action, tally): (&str, &str, &Tally)| {
            let names = [("domain", domain), ("action", action)];
            let names = names.map(|(name, value)| (name.to_owned(), Value::from(value)));
            let figures = Figures::of(tally, self.before.of(domain, action));
            names.into_iter().chain(grouped::flat(&figures)).collect()
        };
        (columns, busiest(&self.now).into_iter().map(record).collect())
    }
}

async fn operations(questions: &Questions, query: &RollupQuery) -> Result<Operations, Fault> {
    let mut operations = Operations::default();
    let add = |key: &_, rollup: &_| operations.add(key, rollup);
    rollups::each(questions, query, add).await?;
    Ok(operations)
}

/// The operations with the most calls first.
fn busiest(operations: &Operations) -> Vec<(&str, &str, &Tally)> {
    let mut busiest: Vec<_> = operations.iter().collect();
    busiest.sort_by_key(|(_, _, tally)| u64::MAX - tally.calls());
    busiest.truncate(LISTED);
    busiest
}

fn list(now: &Operations, before: &Operations) -> Vec<Operation> {
    let show = |(domain, action, tally): (&str, &str, &Tally)| Operation {
        domain: domain.to_owned(),
        action: action.to_owned(),
        figures: Figures::of(tally, before.of(domain, action)),
    };
    busiest(now).into_iter().map(show).collect()
}

fn top_failures(now: &Operations, before: &Operations) -> Vec<TopFailure> {
    let all = now.total().failures();
    let failures = now.iter().flat_map(|(domain, action, tally)| {
        let reasons = reasons(tally, before.of(domain, action));
        reasons.into_iter().map(move |reason| TopFailure {
            domain: domain.to_owned(),
            action: action.to_owned(),
            share_of_all: ratio(reason.count, all),
            reason,
        })
    });
    let mut failures: Vec<_> = failures.collect();
    failures.sort_by_key(|failure| u64::MAX - failure.reason.count);
    failures.truncate(TOP_FAILURES);
    failures
}
