//! A call that is over but for finding out what it meant.
//!
//! That is done when the connection has written what there was to write, so that no caller waits for
//! it; and when the thread ends before that, then.

use std::{rc::Rc, time::Instant};

use crate::{
    capture::Capture,
    domain::{
        outcome::{Outcome, Reason},
        task::CallRecord,
    },
    proxy::{
        routes::Place,
        upload::Upload,
        worker::{Ending, Worker},
    },
};

#[derive(Debug)]
pub(super) struct Late {
    pub(super) worker: Rc<Worker>,
    pub(super) place: Rc<Place>,
    pub(super) record: CallRecord,
    /// Present until it has ended.
    pub(super) ending: Option<Ending>,
    pub(super) capture: Box<Capture>,
    pub(super) upload: Rc<Upload>,
    /// The whole answer was passed on.
    pub(super) is_over: bool,
    pub(super) now: Instant,
}

impl Late {
    /// Ends the call when the thread has nothing more urgent to do.
    pub(super) fn end(self) {
        if !self.worker.is_aborting() {
            tokio::task::spawn_local(async move { drop(self) });
        }
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let Self { record, upload, .. } = self;
        // A call that was refused is no task.
        if record.outcome != Outcome::Refused {
            let is_sent = upload.done_at.get().is_some() && upload.fault.get().is_none();
            let copied = upload.copied.borrow();
            let conclusion = self.capture.conclude(copied.as_deref(), is_sent, self.is_over);
            record.captured =
                Some(conclusion.captured).filter(|known| !known.is_empty()).map(Box::new);
            if conclusion.has_failed && record.outcome == Outcome::Success {
                record.end_with(Reason::TaskFailed);
            }
        }
        if let Some(ending) = self.ending.take() {
            self.place.count(record, ending.hops.is_some(), self.now);
            self.worker.finish(record, ending, &self.place.line);
        }
    }
}
