//! The hosts that new attempts may go to, as one unchanging list.
//!
//! Each change of an upstream's addresses makes a new list with the next generation; who keeps
//! something per host compares generations, and by [`Arc::ptr_eq`] sees which hosts stayed.

use std::{ops::Deref, sync::Arc, time::Instant};

use super::Host;
use crate::domain::balance::{self, Candidate};

/// See the module's text.
#[derive(Debug, Default)]
pub struct Hosts {
    pub(super) generation: u64,
    pub(super) list: Vec<Arc<Host>>,
}

impl Hosts {
    /// Which list of its upstream this is, counted from 0.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The index of the host for the next attempt: the less busy of two that 64 random bits name,
    /// not one that is ejected or was tried when there are others. None when there is no host.
    pub fn pick(&self, tried: &[Arc<Host>], random: u64, now: Instant) -> Option<usize> {
        let about = |index: usize| {
            let host = &self.list[index];
            Candidate {
                in_flight: host.in_flight(),
                is_ejected: host.is_ejected(now),
                was_tried: tried.iter().any(|other| Arc::ptr_eq(other, host)),
            }
        };
        balance::choose(self.list.len(), about, random)
    }

    /// How many are ejected.
    pub fn ejected(&self, now: Instant) -> usize {
        self.list.iter().filter(|host| host.is_ejected(now)).count()
    }
}

impl Deref for Hosts {
    type Target = [Arc<Host>];

    fn deref(&self) -> &[Arc<Host>] {
        &self.list
    }
}
