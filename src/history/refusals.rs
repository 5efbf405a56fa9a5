//! The refused calls of one worker: rows of their own within the allowance, one row for all others
//! of a second, a site and a reason.
//!
//! A row that is still growing is in the journal from its first call on, so a kill loses no call of
//! it. It is done when its second is over.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    allowance::{Allowance, Allowances},
    fold::Folded,
    journal::{Tail, Ticket},
};
use crate::domain::{
    outcome::Reason,
    task::{CallRecord, CallSite},
};

/// How long a row grows.
const GROWS_FOR: Duration = Duration::from_secs(1);

/// See the module docs.
#[derive(Debug)]
pub(super) struct Refusals {
    per_second: u32,
    allowances: Arc<Allowances>,
    /// By the address of the site, which is held with it.
    known: HashMap<usize, (Arc<CallSite>, Arc<Allowance>)>,
    growing: HashMap<(usize, Option<Reason>), Growing>,
}

#[derive(Debug)]
struct Growing {
    second: u64,
    since: Instant,
    folded: Folded,
    ticket: Ticket,
}

impl Refusals {
    /// Gives so many calls a second and upstream rows of their own.
    pub(super) fn new(per_second: u32, allowances: Arc<Allowances>) -> Self {
        Self { per_second, allowances, known: HashMap::new(), growing: HashMap::new() }
    }

    /// Takes a refused call.
    pub(super) fn take(&mut self, call: &CallRecord, tail: &mut Tail, now: Instant) {
        let site = Arc::as_ptr(&call.site).addr();
        let second = u64::try_from(call.started_at_us / 1_000_000).unwrap_or(0);
        let (_, allowance) = self
            .known
            .entry(site)
            .or_insert_with(|| (Arc::clone(&call.site), self.allowances.of(&call.site.upstream)));
        if allowance.grants(second, self.per_second) {
            tail.end(None, call);
            return;
        }
        let key = (site, call.reason);
        if let Some(row) = self.growing.get_mut(&key)
            && row.second == second
            && row.folded.add(call)
        {
            tail.count(&row.ticket, row.folded.sums());
            return;
        }
        let folded = Folded::new(call.clone());
        let ticket = tail.fold(call, folded.sums());
        let grown = self.growing.insert(key, Growing { second, since: now, folded, ticket });
        grown.into_iter().for_each(|row| row.end(tail));
    }

    /// Ends the rows whose second is over.
    pub(super) fn settle(&mut self, tail: &mut Tail, now: Instant) {
        let is_over = |row: &Growing| now.saturating_duration_since(row.since) >= GROWS_FOR;
        let over = self.growing.extract_if(|_, row| is_over(row));
        over.for_each(|(_, row)| row.end(tail));
        if self.growing.is_empty() {
            self.known.retain(|_, (site, _)| Arc::strong_count(site) > 1);
        }
    }

    /// Ends all rows.
    pub(super) fn finish(&mut self, tail: &mut Tail) {
        self.growing.drain().for_each(|(_, row)| row.end(tail));
    }
}

impl Growing {
    fn end(self, tail: &mut Tail) {
        tail.end(Some(self.ticket), &self.folded.into_row());
    }
}
