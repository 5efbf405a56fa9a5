//! The fleet's orders about one breaker as this instance has heard of them, against a store that has
//! forgotten the last one.
//!
//! Orders are numbered, those that lift one included. So an older number says that the store went back
//! to an earlier copy, and so does a breaker that the store does not show any more although an order
//! about it is in force: what is lifted is shown to everybody once. Whoever sees that says it again,
//! under its number; it holds unless the store knows of a later one.
//!
//! When an order ends the store's clock says, also where that is set meanwhile.

use std::time::{Duration, Instant};

use super::decree::{Decree, Forgotten, StoredOrder};
use crate::domain::order::Act;

/// The end of an order as it is known here may be as far from that in the store: clocks drift.
const DRIFT: Duration = Duration::from_secs(10);

/// What was ordered here and what the store says of orders, about one breaker.
#[derive(Debug, Default)]
pub struct Desk {
    orders: Orders,
    /// What was ordered here, and how far it has got.
    given: Option<(Act, Way)>,
    /// Something was ordered since that for this instance alone.
    is_overruled: bool,
    /// How many orders the store has shown at most.
    shown: u64,
}

/// How far an order has got that was given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The store is to be told,
    Untold,
    /// and was told when there had been so many. Until it has shown that it knows, it may go back to a
    /// copy from before, and nobody else would know. Then it is told again, once.
    Unseen { known: u64, is_again: bool },
    /// It is to be told again.
    Lost,
}

impl Desk {
    /// Somebody did this here, for all.
    pub fn given(&mut self, act: Act) {
        self.given = Some((act, Way::Untold));
        self.orders.is_outdone = true;
        self.is_overruled = false;
    }

    /// Somebody did something here, for this instance alone: what was ordered for all before then, as
    /// far as that is known here, is not obeyed here any more.
    pub const fn overruled(&mut self) {
        self.is_overruled = self.given.is_some();
        self.orders.is_overruled = true;
    }

    /// The store shows the order that is in force, and how many there have been, or does not show the
    /// breaker, which is quiet perhaps.
    pub fn hear(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) -> Heed {
        self.shown = told.as_ref().map_or(self.shown, |(_, number)| self.shown.max(*number));
        let Some((act, way)) = self.given.take() else { return self.orders.hear(told, now) };
        let Way::Unseen { known, is_again } = way else {
            self.given = Some((act, way));
            return Heed::Nothing;
        };
        let (order, number) =
            told.as_ref().map_or((None, 0), |(order, number)| (order.as_ref(), *number));
        let decree = Decree::of(&act, 0, now);
        let is_over = decree.ttl.is_some_and(|left| left.is_zero());
        // A store that has one user does not number orders.
        let is_unnumbered = number == 0 && known == 0;
        let is_done = number > known || (is_unnumbered && (is_over || decree.is_done_by(order)));
        let is_lost = !is_done;
        if is_lost && !is_again {
            self.given = Some((act, Way::Lost));
            return Heed::Nothing;
        }
        if !std::mem::take(&mut self.is_overruled) {
            return self.orders.hear(told, now);
        }
        // What comes from here is older than what was ordered here alone; anything else is not.
        let is_ours = match order {
            Some(_) => decree.is_done_by(order),
            // Lifted by it, or over since.
            None => number <= known + 1 && (decree.mode.is_none() || decree.ttl.is_some()),
        };
        let is_ours = is_ours || is_lost;
        self.orders.is_outdone &= !is_ours;
        let heed = self.orders.hear(told, now);
        self.orders.is_overruled |= is_ours;
        if is_ours { Heed::Nothing } else { heed }
    }

    /// What was ordered here and the store is to be told.
    pub fn decree(&self, now: Instant) -> Option<Decree> {
        let (act, way) = self.given.as_ref()?;
        let is_untold = matches!(way, Way::Untold | Way::Lost);
        is_untold.then(|| Decree::of(act, self.known(), now))
    }

    /// What the store has forgotten, and is to be told again.
    pub fn forgotten(&self, now: Instant) -> Option<Decree> {
        self.orders.forgotten(now)
    }

    /// How many orders there have been at least.
    fn known(&self) -> u64 {
        self.orders.number().max(self.shown)
    }

    /// The store was told one of them. Returns whether it was one that was given here.
    pub fn told(&mut self) -> bool {
        let known = self.known();
        if let Some((_, way)) = &mut self.given {
            let is_again = matches!(way, Way::Lost);
            if is_again || matches!(way, Way::Untold) {
                *way = Way::Unseen { known, is_again };
                return true;
            }
        }
        self.orders.memory = Memory::Told;
        false
    }
}

/// What the store says of orders, as this instance has heard.
#[derive(Debug, Default)]
struct Orders {
    /// The order that was obeyed last, and when its end was read; none where it was lifted.
    obeyed: Option<(StoredOrder, Instant)>,
    /// How many there had been by then; none before the first look.
    number: Option<u64>,
    memory: Memory,
    /// Something else was ordered here since, for all,
    is_outdone: bool,
    /// or for this instance alone.
    is_overruled: bool,
}

/// Whether the store knows what this instance knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Memory {
    #[default]
    Same,
    /// The store has forgotten it,
    Lost,
    /// and was told.
    Told,
}

/// What an instance is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Heed {
    /// Go on as before.
    Nothing,
    /// Obey this.
    Obey(StoredOrder),
    /// Go on as configured.
    Lift,
}

impl Orders {
    /// See [`Desk::hear`].
    fn hear(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) -> Heed {
        let has_forgotten = match &told {
            Some((_, number)) => *number < self.number(),
            None => self.left(now).is_some() && self.number() > 0,
        };
        if has_forgotten && self.memory != Memory::Told {
            self.memory = Memory::Lost;
            return Heed::Nothing;
        }
        self.memory = Memory::Same;
        let (order, number) =
            told.map_or((None, self.number), |(order, number)| (order, Some(number)));
        let known = std::mem::replace(&mut self.number, number);
        let is_same = self
            .obeyed
            .as_ref()
            .zip(order.as_ref())
            .is_some_and(|((before, _), order)| before.is_same(order));
        let is_outdone = std::mem::take(&mut self.is_outdone);
        let is_numbered_later = known.is_some_and(|known| number > Some(known));
        // A store that has one user does not number orders.
        if is_numbered_later || is_outdone || (order.is_some() && !is_same) {
            self.is_overruled = false;
            self.obeyed = order.clone().map(|order| (order, now));
            return order.map_or(Heed::Lift, Heed::Obey);
        }
        let Some((before, since)) = self.obeyed.take() else { return Heed::Nothing };
        let left = before.left_at(since, now);
        let shown = order.as_ref().map_or(Some(Duration::ZERO), |order| order.left);
        let is_as_known = match (left, shown) {
            (Some(left), Some(shown)) if order.is_some() => left.abs_diff(shown) <= DRIFT,
            (left, shown) => left == shown,
        };
        if is_as_known {
            self.obeyed = Some((before, since));
            return Heed::Nothing;
        }
        // One that is over is remembered: the store's clock may be set back.
        self.obeyed = Some((StoredOrder { left: shown, ..before }, now));
        match order {
            _ if self.is_overruled => Heed::Nothing,
            Some(order) => Heed::Obey(order),
            None => Heed::Lift,
        }
    }

    fn number(&self) -> u64 {
        self.number.unwrap_or_default()
    }

    /// What the store is to be told again.
    fn forgotten(&self, now: Instant) -> Option<Decree> {
        if self.memory != Memory::Lost {
            return None;
        }
        // Which breaker it is about, its seat knows.
        let in_force = self.left(now);
        let signature = in_force.map(|StoredOrder { by, reason, .. }| (by.clone(), reason.clone()));
        let lifted =
            || (String::new(), "the store had forgotten that the order was lifted".to_owned());
        let (by, reason) = signature.unwrap_or_else(lifted);
        let until_us = in_force.and_then(|order| order.until_us);
        Some(Decree {
            key: String::new(),
            upstream: String::new(),
            mode: in_force.map(|order| order.mode),
            by,
            reason,
            ttl: None,
            length: None,
            known: self.number(),
            is_reset: false,
            forgotten: Some(Forgotten { number: self.number(), until_us }),
        })
    }

    /// The order, while it is in force.
    fn left(&self, now: Instant) -> Option<&StoredOrder> {
        let (order, since) = self.obeyed.as_ref()?;
        let left = order.left_at(*since, now);
        left.is_none_or(|left| !left.is_zero()).then_some(order)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Desk, Heed};
    use crate::{
        clock,
        domain::{
            breaker::Mode,
            fleet::decree::OrderBook,
            order::{Act, Order, Wish},
        },
    };

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR_US: i64 = 3_600_000_000;

    fn open(reason: &str, now: Instant) -> Act {
        let wish = Wish { mode: Mode::ForcedOpen, reason, by: None, ttl: Some(MINUTE) };
        Act::Order(Order::new(wish, now).unwrap())
    }

    /// Tells the store what is to be told, and hears of it.
    fn exchange(desk: &mut Desk, book: &mut OrderBook, now: Instant) -> Heed {
        let decree = desk.decree(now).unwrap();
        assert!(book.hear(&decree, 0) && desk.told());
        desk.hear(Some(book.told(0)), now)
    }

    #[test]
    fn an_order_for_all_is_obeyed_when_it_is_seen() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.given(open("for all", now));
        assert!(matches!(exchange(&mut desk, &mut book, now), Heed::Obey(_)));
    }

    #[test]
    fn an_order_for_one_instance_outlives_the_one_for_all_before_it() {
        for is_known in [false, true] {
            let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
            desk.given(open("for all", now));
            if is_known {
                assert!(matches!(exchange(&mut desk, &mut book, now), Heed::Obey(_)));
                desk.overruled();
            } else {
                desk.overruled();
                assert_eq!(exchange(&mut desk, &mut book, now), Heed::Nothing);
            }
            for at in [0, 1_000_000, -HOUR_US, HOUR_US, 0] {
                assert_eq!(desk.hear(Some(book.told(at)), now), Heed::Nothing, "{at}");
            }
            desk.given(open("for all again", now));
            assert!(matches!(exchange(&mut desk, &mut book, now), Heed::Obey(_)), "it is later");
        }
    }

    #[test]
    fn so_it_does_where_that_one_is_over_before_the_store_is_told() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.hear(Some(book.told(0)), now);
        desk.given(open("for all", now));
        desk.overruled();
        assert_eq!(exchange(&mut desk, &mut book, now + 2 * MINUTE), Heed::Nothing);
    }

    #[test]
    fn what_was_lifted_before_the_first_look_lifts_nothing() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        let mut other = Desk::default();
        other.given(open("for all", now));
        exchange(&mut other, &mut book, now);
        assert_eq!(desk.hear(Some(book.told(HOUR_US)), now), Heed::Nothing);
        assert!(matches!(desk.hear(Some(book.told(0)), now), Heed::Obey(_)), "nor hides it");
    }

    #[test]
    fn what_another_orders_for_all_is_obeyed_also_by_one_that_has_its_own_order() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.given(open("here, for all", now));
        assert!(book.hear(&desk.decree(now).unwrap(), 0) && desk.told());
        desk.overruled();
        let mut other = Desk::default();
        other.given(open("elsewhere, for all", now));
        assert!(matches!(exchange(&mut other, &mut book, now), Heed::Obey(_)));
        let Heed::Obey(order) = desk.hear(Some(book.told(0)), now) else { panic!("not obeyed") };
        assert_eq!(order.reason, "elsewhere, for all");
    }

    #[test]
    fn an_order_ends_when_the_stores_clock_says_so_also_where_that_is_set() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.given(open("for a minute", now));
        exchange(&mut desk, &mut book, now);
        let drifted = Some(book.told(-9_000_000));
        assert_eq!(desk.hear(drifted, now), Heed::Nothing, "clocks drift");
        let Heed::Obey(order) = desk.hear(Some(book.told(-HOUR_US)), now) else {
            panic!("it goes on")
        };
        assert_eq!(order.left, Some(61 * MINUTE));
        assert_eq!(desk.hear(Some(book.told(-HOUR_US)), now), Heed::Nothing, "once");
        assert_eq!(desk.hear(Some(book.told(HOUR_US)), now), Heed::Lift);
    }
}
