//! Reports that came before: a reporter that heard no answer sends again, with the same ids.
//!
//! Rows of calls are written once by the cursor alone. A report that comes again is another record
//! in the journal; the writer, through whom all of a journal goes one lot after the other, leaves out
//! those whose row is there, in the store or earlier in the lot. So a repeat is harmless also across
//! a restart, while the first may still have been on its way.

use std::{collections::HashSet, time::Duration};

use tokio::time::timeout;

use crate::{
    domain::{report, task::CallRecord},
    store::{Error, HistoryStore},
};

/// How long the question may take which of them are there.
const LIMIT: Duration = Duration::from_secs(10);

/// The rows without those that came before; none where there is nothing to leave out.
pub(super) async fn without(
    store: &dyn HistoryStore,
    rows: &[CallRecord],
) -> Result<Option<Vec<CallRecord>>, Error> {
    let reports = rows.iter().filter(|row| report::is_one(row));
    let reports: Vec<_> = reports.map(|row| (row.started_at_us, row.id)).collect();
    if reports.is_empty() {
        return Ok(None);
    }
    let known = timeout(LIMIT, store.known(&reports)).await;
    let mut known = known.unwrap_or_else(|late| Err(Error::Unavailable(late.into())))?;
    let before: HashSet<_> = known.clone();
    let is_new = |row: &&CallRecord| !report::is_one(row) || known.insert(row.id);
    let news: Vec<CallRecord> = rows.iter().filter(is_new).cloned().collect();
    if news.len() < rows.len() {
        let (again, stored) = (rows.len() - news.len(), before.len());
        tracing::debug!(again, stored, "reports came again and are left out");
    }
    Ok((news.len() < rows.len()).then_some(news))
}
