//! What a route does instead when its upstream refuses a call or fails it: it asks others, one after
//! the other, or gives an answer that is always the same.
//!
//! Each of those that are asked admits the call by its own limits and circuit, with its own timeouts
//! and credentials; one that refuses it is passed over at once.

use std::{rc::Rc, slice, sync::Arc, time::Instant};

use super::{
    attempts::{Call, Ended, attempts},
    endpoint::Asks,
    exchange::Exchange,
    routes::Upstreams,
    spare::Sendable,
    upstream::Upstream,
};
use crate::{
    clock,
    config::{self, FixedAnswer},
    domain::{
        deadline::Deadline,
        fallback::{Occasion, Occasions},
        outcome::Reason,
    },
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Fallback {
    to: Instead,
    on: Occasions,
}

#[derive(Debug)]
enum Instead {
    /// This one, in a time of its own.
    Upstream(Rc<Upstream>),
    /// These in turn, within the time of the route's upstream, and then the answer if there is one.
    Upstreams(Vec<Rc<Upstream>>, Option<FixedAnswer>),
    Answer(FixedAnswer),
}

impl Fallback {
    /// That of a route. The checked configuration names no upstream that does not exist.
    pub(super) fn of(route: &config::Route, upstreams: &Upstreams) -> Option<Self> {
        let config::Fallback { to, on } = route.fallback.as_ref()?;
        let named = |name: &Arc<str>| upstreams.get(name).map(Rc::clone);
        let to = match to {
            config::Instead::Upstream(name) => Instead::Upstream(named(name)?),
            config::Instead::Upstreams(names, answer) => {
                Instead::Upstreams(names.iter().filter_map(named).collect(), answer.clone())
            }
            config::Instead::Answer(answer) => Instead::Answer(answer.clone()),
        };
        Some(Self { to, on: *on })
    }

    /// Whether a call that ended so is to be sent to another upstream.
    pub(super) fn asks_others(&self, reason: Option<Reason>) -> bool {
        !self.upstreams().is_empty() && self.takes(reason)
    }

    /// Whether a call may have to be sent once more after some of it has been sent.
    pub(super) fn may_need_it_again(&self) -> bool {
        !self.upstreams().is_empty() && self.on.has(Occasion::Failed)
    }

    /// Asks the others in turn: until one of them does not refuse the call or fail it, or what is
    /// left of the request, or of the time, is not enough for another.
    pub(super) async fn ask(
        &self,
        request: &mut Sendable,
        call: &mut Call,
        exchange: &mut Exchange,
        mut ended: Ended,
    ) -> Ended {
        let deadline = call.deadline;
        for other in self.upstreams() {
            let now = clock::now();
            let its = self.deadline(deadline, other, now);
            let is_over = its.expired(now).is_some();
            let is_taken = self.takes_of(ended.reason, call.instead.is_some());
            if is_over || !is_taken || !request.is_at_hand() {
                break;
            }
            // Before the next is asked: the connection and the place at the last one are free by then.
            drop(ended);
            request.hold();
            exchange.enter(None);
            call.instead = Some(Arc::clone(other.live.name()));
            call.deadline = its;
            ended = attempts(other, request, call, exchange, now).await;
        }
        ended
    }

    /// The answer that a call gets when it ended so, at a stand-in or at the route's own upstream. For
    /// gRPC there is none: it would not be understood.
    pub(super) fn answer(
        &self,
        reason: Option<Reason>,
        (asks, is_instead): (Asks, bool),
    ) -> Option<(&FixedAnswer, Reason)> {
        let answer = match &self.to {
            Instead::Upstream(_) => None,
            Instead::Upstreams(_, answer) => answer.as_ref(),
            Instead::Answer(answer) => Some(answer),
        };
        let answer = answer.filter(|_| !asks.is_grpc && self.takes_of(reason, is_instead))?;
        Some((answer, reason?))
    }

    fn upstreams(&self) -> &[Rc<Upstream>] {
        match &self.to {
            Instead::Upstream(one) => slice::from_ref(one),
            Instead::Upstreams(all, _) => all,
            Instead::Answer(_) => &[],
        }
    }

    fn takes(&self, reason: Option<Reason>) -> bool {
        reason.is_some_and(|reason| self.on.take(reason, false))
    }

    /// The same for one that may stand in itself: one that refuses the call is passed over in any case.
    fn takes_of(&self, reason: Option<Reason>, is_instead: bool) -> bool {
        let has_refused = || reason.and_then(Occasion::of) == Some(Occasion::Refused);
        self.takes(reason) || (is_instead && has_refused())
    }

    /// When one of the others that is asked now has to have answered. `first` is the deadline at the
    /// route's own upstream.
    fn deadline(&self, first: Deadline, other: &Upstream, now: Instant) -> Deadline {
        match &self.to {
            Instead::Upstreams(..) => first.in_turn(other.timeouts.total, now),
            Instead::Upstream(_) | Instead::Answer(_) => first.instead(other.timeouts.total, now),
        }
    }
}
