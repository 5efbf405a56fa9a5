//! What a store makes of it when an instance knows more than it has.
//!
//! Two histories of one breaker may meet here: the one that was lost, and the one that went on from
//! the copy. The later state holds. But a state that refuses calls is not put back where calls pass,
//! unless it is an open circuit whose time is not over: nobody is to be refused because a database
//! failed. Where this is news to those who know the highest epoch, it gets a higher one.

use super::{Entry, Moment, Span, age, micros};
use crate::domain::{
    breaker::{Cause, State},
    fleet::memory::Known,
};

impl Entry {
    pub(super) fn restore(&mut self, known: &Known, now: Moment) -> bool {
        let Known { shared: lost, .. } = known;
        let is_known = (lost.epoch, lost.state) == (self.epoch, self.state);
        if lost.epoch < self.epoch || is_known {
            return false;
        }
        let yields = self.yields_to(known, now);
        if yields {
            self.take_over(known, now);
        }
        // Its prober has tried in another history.
        if self.state == State::HalfOpen {
            (self.state, self.cause) = (State::Open, Cause::OpenTimeOver);
        }
        let is_the_lost = yields && lost.epoch > self.epoch && lost.state == self.state;
        if !is_the_lost && self.state == State::Closed {
            // Nobody has found out anything: who is open by itself stays so.
            self.cause = Cause::RampOver;
        }
        self.epoch = if is_the_lost { lost.epoch } else { lost.epoch + 1 };
        (self.lease, self.doubt, self.round) = (None, None, None);
        self.votes.clear();
        true
    }

    /// Whether what is known came later, and may hold here.
    fn yields_to(&self, known: &Known, now: Moment) -> bool {
        let is_later = self.entered_at.is_none_or(|at| age(at, now) >= known.age);
        let may_hold = match known.shared.state {
            State::Closed => true,
            State::Ramping => self.is_open(),
            State::Open | State::HalfOpen => self.is_open() || !known.shared.open_for.is_zero(),
        };
        is_later && may_hold
    }

    fn take_over(&mut self, known: &Known, now: Moment) {
        let Known { shared, age } = known;
        (self.state, self.cause, self.step) = (shared.state, shared.cause, shared.step);
        (self.failure_count, self.by_connection) = (shared.failure_count, shared.by_connection);
        self.entered_at = Some(now.saturating_sub(micros(*age)));
        self.opened = self.is_open().then(|| Span::new(now, shared.open_for));
        let is_ramping = shared.state == State::Ramping;
        self.ramp_started_at = is_ramping.then(|| now.saturating_sub(micros(shared.ramp_age)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Known, Moment, State};
    use crate::domain::{breaker::Shared, fleet::row::Row};
    use State::{Closed, HalfOpen, Open, Ramping};
    use std::time::Duration;

    const NOW: Moment = 1_000_000_000;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// An entry that has been in a state for so many seconds; one who has known of another for so
    /// many, open for so many more; and what comes of it.
    fn check(
        (epoch, state, since): (u64, State, Moment),
        (lost, known, age, left): (u64, State, u64, u64),
        expected: Option<(u64, State, u64)>,
    ) {
        let entered_at = Some(NOW - since * 1_000_000);
        let opened = Some(super::Span::new(NOW, s(7)));
        let mut entry = Entry { state, entered_at, opened, ..Entry::new(epoch) };
        let row = Row { state: known, open_for: s(left), ..Row::none(lost) };
        let shared = Shared { ramp_age: s(1), ..row.shared() };
        let is_done = entry.restore(&Known { shared, age: s(age) }, NOW);
        let after = entry.row("anybody", NOW);
        let after = (after.epoch, after.state, after.open_for.as_secs());
        let place = format!("{epoch} {state:?} {since}, {lost} {known:?} {age} {left}");
        assert_eq!(is_done.then_some(after), expected, "{place}");
    }

    #[test]
    fn what_is_not_forgotten_stays() {
        check((4, Closed, 9), (4, Closed, 3, 0), None);
        check((4, Open, 9), (3, Closed, 3, 0), None);
    }

    #[test]
    fn the_later_state_holds() {
        check((3, Closed, 90), (4, Open, 10, 40), Some((4, Open, 40)));
        check((3, Open, 90), (6, Closed, 10, 0), Some((6, Closed, 0)));
        check((3, Open, 90), (5, Ramping, 10, 0), Some((5, Ramping, 0)));
        check((5, Open, 9), (6, Closed, 60, 0), Some((7, Open, 7)));
        check((5, Closed, 9), (6, Open, 60, 40), Some((7, Closed, 0)));
        check((6, Closed, 9), (6, Open, 60, 40), Some((7, Closed, 0)));
    }

    #[test]
    fn calls_that_pass_are_not_refused_for_what_is_over() {
        check((3, Closed, 90), (4, Open, 70, 0), Some((5, Closed, 0)));
        check((3, Closed, 90), (4, HalfOpen, 10, 0), Some((5, Closed, 0)));
        check((3, Closed, 90), (5, Ramping, 10, 0), Some((6, Closed, 0)));
        check((3, Ramping, 90), (9, Closed, 10, 0), Some((9, Closed, 0)));
    }

    #[test]
    fn nobody_probes_in_a_history_that_was_lost() {
        check((3, HalfOpen, 90), (4, Open, 10, 40), Some((4, Open, 40)));
        check((3, Open, 90), (4, HalfOpen, 10, 0), Some((5, Open, 0)));
        check((3, HalfOpen, 9), (4, Closed, 60, 0), Some((5, Open, 7)));
    }
}
