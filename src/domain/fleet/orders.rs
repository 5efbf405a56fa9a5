//! The fleet's orders about one breaker as this instance has heard of them, against a store that has
//! forgotten the last one.
//!
//! Orders are numbered, those that lift one included. So an older number says that the store went back
//! to an earlier copy, and so does a breaker that the store does not show any more although an order
//! about it is in force: what is lifted is shown to everybody once. Whoever sees that says it again,
//! under its number; it holds unless the store knows of a later one.
//!
//! An order with an end ends at each instance by that one's own clock. Where the store's was set back
//! meanwhile, it would go on for whoever starts anew: who sees that, lifts it.

use std::time::{Duration, Instant};

use super::decree::{Decree, Forgotten, StoredOrder};
use crate::domain::order::Act;

/// Between the end of an order here and in the store lies no more than this, unless a clock was set.
const ABOUT_THEN: Duration = Duration::from_secs(10);

/// What was ordered here and what the store says of orders, about one breaker.
#[derive(Debug, Default)]
pub struct Desk {
    orders: Orders,
    /// What was ordered here, and how far it has got.
    given: Option<(Act, Way)>,
    /// Something was ordered since for this instance alone.
    is_overruled: bool,
    /// How many orders the store has shown last.
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

    /// Somebody did something here, for this instance alone: what it was told to tell all before then
    /// is theirs, and not to be obeyed here when the store shows it.
    pub const fn overruled(&mut self) {
        self.is_overruled = self.given.is_some();
    }

    /// The store shows the order that is in force, and how many there have been, or no such breaker.
    pub fn hear(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) -> Heed {
        self.shown = told.as_ref().map_or(self.shown, |(_, number)| *number);
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
        let heed = self.orders.hear(told, now);
        if std::mem::take(&mut self.is_overruled) { Heed::Nothing } else { heed }
    }

    /// What was ordered here and the store is to be told.
    pub fn decree(&self, now: Instant) -> Option<Decree> {
        let (act, way) = self.given.as_ref()?;
        let is_untold = matches!(way, Way::Untold | Way::Lost);
        is_untold.then(|| Decree::of(act, self.orders.number, now))
    }

    /// What the store has forgotten, and is to be told again.
    pub fn forgotten(&self, now: Instant) -> Option<Decree> {
        self.orders.forgotten(now)
    }

    /// The store was told one of them. Returns whether it was one that was given here.
    pub const fn told(&mut self) -> bool {
        let known = if self.shown > self.orders.number { self.shown } else { self.orders.number };
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
    /// The order that was obeyed last, and when it was first read; none where it was lifted.
    obeyed: Option<(StoredOrder, Instant)>,
    /// How many there had been by then.
    number: u64,
    memory: Memory,
    /// Something else was ordered here since.
    is_outdone: bool,
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
    /// An order is over, and it goes on in the store.
    Outlived,
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
    /// The store shows the order that is in force, and how many there have been, or no such breaker.
    fn hear(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) -> Heed {
        let has_forgotten = match &told {
            Some((_, number)) => *number < self.number,
            None => self.left(now).is_some() && self.number > 0,
        };
        if has_forgotten && self.memory != Memory::Told {
            self.memory = Memory::Lost;
            return Heed::Nothing;
        }
        self.memory = Memory::Same;
        let (order, number) = told.unwrap_or((None, self.number));
        let known = std::mem::replace(&mut self.number, number);
        let is_outdone = std::mem::take(&mut self.is_outdone);
        let before = self.obeyed.take();
        if let (Some((before, since)), Some(order)) = (&before, &order)
            && before.is_same(order)
        {
            let left = before.left_at(*since, now);
            self.obeyed = Some((before.clone(), *since));
            let is_over = left.is_some_and(|left| left.is_zero());
            if is_over && order.left.is_some_and(|shown| shown > ABOUT_THEN) {
                self.memory = Memory::Outlived;
                return if is_outdone { Heed::Lift } else { Heed::Nothing };
            }
            let order = StoredOrder { left, ..order.clone() };
            return if is_outdone { Heed::Obey(order) } else { Heed::Nothing };
        }
        self.obeyed = order.clone().map(|order| (order, now));
        match (before, order) {
            // One that was given here and lifted elsewhere was never shown.
            (None, None) if number > known || is_outdone => Heed::Lift,
            (None, None) => Heed::Nothing,
            (_, Some(order)) => Heed::Obey(order),
            (Some(_), None) => Heed::Lift,
        }
    }

    /// What the store is to be told again, or is over.
    fn forgotten(&self, now: Instant) -> Option<Decree> {
        let (in_force, number, why) = match self.memory {
            Memory::Same | Memory::Told => return None,
            Memory::Lost => {
                (self.left(now), self.number, "the store had forgotten that the order was lifted")
            }
            Memory::Outlived => {
                (None, self.number + 1, "its time was over, though not by the store's clock")
            }
        };
        // Which breaker it is about, its seat knows.
        let signature = in_force.map(|StoredOrder { by, reason, .. }| (by.clone(), reason.clone()));
        let (by, reason) = signature.unwrap_or_else(|| (String::new(), why.to_owned()));
        let until_us = in_force.and_then(|order| order.until_us);
        Some(Decree {
            key: String::new(),
            upstream: String::new(),
            mode: in_force.map(|order| order.mode),
            by,
            reason,
            ttl: None,
            length: None,
            known: self.number,
            is_reset: false,
            forgotten: Some(Forgotten { number, until_us }),
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
    fn an_order_for_one_instance_is_not_undone_by_the_one_for_all_before_it() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.given(open("for all", now));
        desk.overruled();
        assert_eq!(exchange(&mut desk, &mut book, now), Heed::Nothing);
        assert_eq!(desk.hear(Some(book.told(0)), now), Heed::Nothing);
        desk.given(open("for all again", now));
        assert!(matches!(exchange(&mut desk, &mut book, now), Heed::Obey(_)), "it is later");
    }
    #[test]
    fn an_order_whose_time_is_over_is_lifted_where_the_stores_clock_was_set_back() {
        let (now, mut desk, mut book) = (clock::now(), Desk::default(), OrderBook::default());
        desk.given(open("for a minute", now));
        exchange(&mut desk, &mut book, now);
        let (later, hour_ago) = (now + MINUTE, -3_600_000_000);
        assert_eq!(desk.hear(Some(book.told(hour_ago)), now + MINUTE / 2), Heed::Nothing);
        assert_eq!(desk.forgotten(now + MINUTE / 2), None, "its time is not over");
        assert_eq!(desk.hear(Some(book.told(hour_ago)), later), Heed::Nothing);
        let lift = desk.forgotten(later).expect("it is to be lifted");
        assert!(book.hear(&lift, hour_ago) && !desk.told());
        assert!(!book.hear(&lift, hour_ago), "once, whoever says so");
        assert_eq!(desk.hear(Some(book.told(hour_ago)), later), Heed::Lift);
        assert_eq!(desk.forgotten(later), None);
    }
}
