//! The tasks of all upstreams since the start, of those too that a change of the configuration has
//! removed: a sum that went down would hide what the others did meanwhile.

use std::sync::Arc;

use crate::{
    domain::emf::Totals,
    proxy::plane::{NOWHERE, TrafficBoard},
    telemetry::traffic::Traffic,
};

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Those in which somebody counts. There is one more for an upstream that was removed while its
    /// last calls end.
    open: Vec<Arc<Traffic>>,
    /// What was counted in all others.
    closed: Totals,
}

impl Ledger {
    /// All tasks, now that these are the upstreams.
    pub(super) fn tasks(&mut self, board: &TrafficBoard) -> Totals {
        for (name, traffic) in board {
            let is_known = self.open.iter().any(|known| Arc::ptr_eq(known, traffic));
            if &**name != NOWHERE && !is_known {
                self.open.push(Arc::clone(traffic));
            }
        }
        // Where nobody else holds it nobody will count in it.
        let (open, closed): (Vec<_>, Vec<_>) =
            self.open.drain(..).partition(|traffic| Arc::strong_count(traffic) > 1);
        self.closed = sum(self.closed, &closed);
        self.open = open;
        sum(self.closed, &self.open)
    }
}

fn sum(begin: Totals, of: &[Arc<Traffic>]) -> Totals {
    of.iter().fold(begin, |sum, traffic| sum.plus(traffic.tasks()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Ledger;
    use crate::{
        clock,
        domain::emf::Totals,
        history::samples::{failure, site, success},
        proxy::plane::{NOWHERE, TrafficBoard},
        telemetry::traffic::Traffic,
    };

    fn board(names: &[&str]) -> TrafficBoard {
        let one = |name: &&str| (Arc::from(*name), Arc::new(Traffic::new(clock::now())));
        names.iter().map(one).collect()
    }

    fn count(totals: Totals) -> (u64, u64) {
        (totals.succeeded, totals.failed)
    }

    #[test]
    fn what_was_counted_of_an_upstream_stays_when_it_is_removed() {
        let (site, now) = (site("payments"), clock::now());
        let mut upstreams = board(&["payments", "music", NOWHERE]);
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            upstreams["payments"].count(&success(&site), now);
        }
        upstreams["music"].count(&failure(&site), now);
        upstreams[NOWHERE].count(&failure(&site), now);
        assert_eq!(count(ledger.tasks(&upstreams)), (3, 1));

        // A call that goes on when its upstream is removed counts when it ends.
        let last_call = upstreams.remove("payments").unwrap();
        last_call.count(&success(&site), now);
        assert_eq!(count(ledger.tasks(&upstreams)), (4, 1));
        last_call.count(&success(&site), now);
        drop(last_call);
        assert_eq!(count(ledger.tasks(&upstreams)), (5, 1));
        assert_eq!(ledger.open.len(), 1, "nothing is kept of what is over");

        // Another one of the same name begins anew, and so does nobody's sum.
        upstreams.extend(board(&["payments"]));
        assert_eq!(count(ledger.tasks(&upstreams)), (5, 1));
        upstreams["payments"].count(&success(&site), now);
        assert_eq!(count(ledger.tasks(&upstreams)), (6, 1));
    }
}
