//! What a listener holds its calls to, on one thread. It may be renewed while calls go on.
//!
//! A call takes what is current when it begins and keeps it. The thread that serves the calls is the
//! one that renews the rules, so what all that costs a call is a count in memory that it has at hand.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::routes::Routes;
use crate::{
    config::{Forwarded, Limits},
    tls::ServerTls,
};

/// The rules of a listener, as configured.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) routes: Routes,
    pub(super) forwarded: Forwarded,
    pub(super) limits: Limits,
    /// For connections to come; none where callers speak in plain text.
    pub(super) tls: Option<ServerTls>,
}

/// Where the rules are that hold now. All connections of the listener have it.
#[derive(Debug)]
pub(super) struct Rulebook {
    current: RefCell<Rc<Rules>>,
    leaving: Cell<bool>,
}

impl Rulebook {
    pub(super) fn new(rules: Rules) -> Rc<Self> {
        Rc::new(Self { current: RefCell::new(Rc::new(rules)), leaving: Cell::new(false) })
    }

    /// The rules for a call that begins now.
    pub(super) fn current(&self) -> Rc<Rules> {
        Rc::clone(&self.current.borrow())
    }

    /// From now on these are the rules.
    pub(super) fn renew(&self, rules: Rules) {
        // What was taken out may end connections, which must find the book closed.
        drop(self.current.replace(Rc::new(rules)));
    }

    /// The listener is about to close: answers ask callers to.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.get()
    }
}
