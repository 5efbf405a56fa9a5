//! The questions, and how long their answers take.

use std::time::Duration;

use fusebox::{
    clock,
    domain::{outcome::Outcome, task::TaskId},
    store::{HistoryStore, RollupQuery, TaskQuery},
};

use crate::{Result, figures::Times, lab::Lab};

/// How often each question is asked before it counts, and then.
const WARM_UP: usize = 20;
const ROUNDS: usize = 120;

/// What a median must stay below, in milliseconds.
const BAR_MS: f64 = 20.0;

/// Rows of a page, and one more to know of the next page, as the admin API asks.
const PAGE: u32 = 51;

/// One question, in a few variants that are asked in turn.
enum Question {
    Rows(Vec<TaskQuery>),
    Sums(RollupQuery),
}

pub(crate) async fn print(lab: &Lab) -> Result<()> {
    let history = &*lab.history;
    println!("{:<44}{:>8}{:>12}{:>10}", "all 14 days unless said", "rows", "median ms", "p95 ms");
    for (name, question) in questions(history).await? {
        let mut times = Times::default();
        let mut found = 0;
        for round in 0..WARM_UP + ROUNDS {
            let began = clock::now();
            found = ask(history, &question, round).await?;
            if round >= WARM_UP {
                times.add(clock::now().duration_since(began));
            }
        }
        let (median, p95) = (times.ms(50), times.ms(95));
        let verdict = if median < BAR_MS { "" } else { "  over the bar" };
        println!("{name:<44}{found:>8}{median:>12.2}{p95:>10.2}{verdict}");
    }
    Ok(())
}

/// Asks once; how many rows or sums came back.
async fn ask(history: &dyn HistoryStore, question: &Question, round: usize) -> Result<usize> {
    Ok(match question {
        Question::Rows(variants) => history.tasks(&variants[round % variants.len()]).await?.len(),
        Question::Sums(query) => history.totals(query).await?.len(),
    })
}

async fn questions(history: &dyn HistoryStore) -> Result<Vec<(&'static str, Question)>> {
    let text = |text: &str| Some(text.to_owned());
    let day_us = i64::try_from(Duration::from_secs(86_400).as_micros())?;
    let now = clock::wall_us();
    let samples = samples(history, now, day_us).await?;
    let one = |query: TaskQuery| Question::Rows(vec![query]);
    let of_samples =
        |query: &dyn Fn(&Sample) -> TaskQuery| Question::Rows(samples.iter().map(query).collect());
    let by_outcome = |outcome, upstream: Option<&str>| TaskQuery {
        outcome: Some(outcome),
        upstream: upstream.map(str::to_owned),
        ..page()
    };
    let operation = |domain: &str, action: &str| TaskQuery {
        domain: text(domain),
        action: text(action),
        ..page()
    };
    let month = RollupQuery { from_minute: now / 60_000_000 - 30 * 1_440, ..Default::default() };
    let (domain, action) = (text("music"), text("create"));
    let of_one = RollupQuery { domain, action, ..month.clone() };
    Ok(vec![
        ("newest page", one(page())),
        (
            "a page ten days back (keyset)",
            of_samples(&|s| TaskQuery { after: Some(s.at), ..page() }),
        ),
        ("an id", of_samples(&|s| TaskQuery { id: Some(s.at.1), limit: 1, ..page() })),
        (
            "a correlation id",
            of_samples(&|s| TaskQuery { correlation_id: text(&s.correlation_id), ..page() }),
        ),
        (
            "a correlation id that nobody had",
            one(TaskQuery { correlation_id: text("nobody"), ..page() }),
        ),
        ("failures of an upstream", one(by_outcome(Outcome::Failure, Some("stock")))),
        ("a seldom outcome (1 call in 200,000)", one(by_outcome(Outcome::Interrupted, None))),
        ("an outcome that never was", one(by_outcome(Outcome::Refused, None))),
        ("domain and action", one(operation("music", "create"))),
        (
            "a seldom domain and action (1 in 200,000)",
            one(operation("users", "reconcile-accounts")),
        ),
        ("an upstream", one(TaskQuery { upstream: text("mail"), ..page() })),
        (
            "an upstream that was never called",
            one(TaskQuery { upstream: text("nobody"), ..page() }),
        ),
        (
            "a seldom action, last 24 h",
            one(TaskQuery { action: text("reconcile-accounts"), from_us: now - day_us, ..page() }),
        ),
        ("statistics of 30 days, one operation", Question::Sums(of_one)),
        ("statistics of 30 days, all operations", Question::Sums(month)),
    ])
}

/// A row somewhere in the past: its place and its correlation id.
struct Sample {
    at: (i64, TaskId),
    correlation_id: String,
}

/// Some rows of different days.
async fn samples(history: &dyn HistoryStore, now: i64, day_us: i64) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for day in 8..12 {
        let query = TaskQuery { to_us: now - day * day_us, limit: 5, ..page() };
        for row in history.tasks(&query).await? {
            let (_, id) = row
                .columns
                .iter()
                .find(|(name, _)| *name == "correlation_id")
                .ok_or("a row has a correlation id")?;
            let correlation_id = id.as_str().unwrap_or_default().to_owned();
            samples.push(Sample { at: (row.started_at_us, row.id), correlation_id });
        }
    }
    Ok(samples)
}

fn page() -> TaskQuery {
    TaskQuery { limit: PAGE, ..TaskQuery::default() }
}
