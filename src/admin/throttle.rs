//! How many wrong tokens an address may send.
//!
//! Beyond [`ALLOWED`] in a second the next ones are refused unread, so that guessing is slow. Only
//! wrong tokens count: whoever has the right one, or sends none, is never slowed down by his own
//! requests. The table is bounded; when it is full of fresh entries, newcomers are refused too.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Wrong tokens that an address may send in a [`PERIOD`].
pub(super) const ALLOWED: u32 = 5;

const PERIOD: Duration = Duration::from_secs(1);

/// Addresses that are remembered at a time.
const PEERS: usize = 256;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    peers: HashMap<IpAddr, Strikes>,
}

#[derive(Debug)]
struct Strikes {
    since: Instant,
    count: u32,
}

impl Throttle {
    /// Whether a token from this address may be looked at.
    pub(super) fn admits(&mut self, peer: IpAddr, now: Instant) -> bool {
        self.peers.retain(|_, strikes| now.saturating_duration_since(strikes.since) < PERIOD);
        match self.peers.get(&peer) {
            Some(strikes) => strikes.count < ALLOWED,
            None => self.peers.len() < PEERS,
        }
    }

    /// Notes a wrong token.
    pub(super) fn strike(&mut self, peer: IpAddr, now: Instant) {
        if self.peers.len() < PEERS || self.peers.contains_key(&peer) {
            self.peers.entry(peer).or_insert(Strikes { since: now, count: 0 }).count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    use super::{ALLOWED, PEERS, PERIOD, Throttle};
    use crate::clock;

    fn peer(n: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(n).unwrap()).into()
    }

    #[test]
    fn after_some_wrong_tokens_an_address_waits_for_the_period_to_end() {
        let (mut throttle, now) = (Throttle::default(), clock::now());
        for _ in 0..ALLOWED {
            assert!(throttle.admits(peer(1), now));
            throttle.strike(peer(1), now);
        }
        assert!(!throttle.admits(peer(1), now));
        assert!(throttle.admits(peer(2), now), "others are not affected");
        assert!(!throttle.admits(peer(1), now + PERIOD - Duration::from_millis(1)));
        assert!(throttle.admits(peer(1), now + PERIOD));
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table() {
        let (mut throttle, now) = (Throttle::default(), clock::now());
        (0..PEERS * 2).for_each(|n| throttle.strike(peer(n), now));
        assert_eq!(throttle.peers.len(), PEERS);
        assert!(!throttle.admits(peer(PEERS * 3), now));
        assert!(throttle.admits(peer(PEERS * 3), now + PERIOD));
    }
}
