//! Reports on their way into history: through the journal, like calls.

use super::emf::Reported;
use crate::{admin::Intake, domain::task::CallRecord, history::Lane};

/// Takes reports. See the module docs.
#[derive(Debug)]
pub(super) struct Reports {
    lane: Lane,
    reported: Reported,
}

impl Reports {
    /// Tells reports to this lane, and adds them up.
    pub(super) const fn through(lane: Lane, reported: Reported) -> Self {
        Self { lane, reported }
    }
}

impl Intake for Reports {
    fn take(&self, rows: &[CallRecord]) {
        self.reported.add(rows);
        rows.iter().for_each(|row| self.lane.record(row, None));
    }
}
