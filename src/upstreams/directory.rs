//! Which hosts an upstream's endpoints stand for.
//!
//! Nothing here resolves, waits or locks. A name may have addresses of both families, IPv4 and
//! IPv6, and often only one of them works; so a name's hosts are those of one family at a time, the
//! first that the resolver named or the one that was found to work, and the other stands by.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tokio::sync::Notify;

use super::host::{Address, Host};
use crate::{
    config::{Endpoint, Location},
    domain::outcome::Reason,
};

/// More addresses than this a name does not have; what a resolver says beyond is left out.
const MAX_ADDRESSES: usize = 256;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Directory {
    entries: Vec<Entry>,
    born: Instant,
}

/// One endpoint.
#[derive(Debug)]
struct Entry {
    endpoint: Arc<Endpoint>,
    /// Has its name resolved anew, if it has one.
    doubt: Option<Arc<Notify>>,
    found: Found,
}

#[derive(Debug, Clone)]
enum Found {
    /// The name was not resolved yet.
    NotYet,
    /// It has never been resolved, and this is why.
    Never(Reason),
    /// All its addresses; of the family that is in use, if there are several.
    Hosts { all: Vec<Arc<Host>>, is_v6: bool },
}

impl Directory {
    /// What is known without asking anybody of these endpoints, each with what has its name
    /// resolved anew, if it has one.
    pub(super) fn new(
        endpoints: impl Iterator<Item = (Endpoint, Option<Arc<Notify>>)>,
        born: Instant,
    ) -> Self {
        let entry = |(endpoint, doubt): (Endpoint, Option<Arc<Notify>>)| {
            let endpoint = Arc::new(endpoint);
            let known = match &endpoint.location {
                Location::Address(address) => Some(Address::Tcp(*address)),
                Location::Unix(path) => Some(Address::Unix(path.clone())),
                Location::Name(..) => None,
            };
            let found = known.map_or(Found::NotYet, |address| {
                let is_v6 = is_v6(&address);
                Found::Hosts { all: vec![Host::new(&endpoint, address, None, born)], is_v6 }
            });
            Entry { endpoint, doubt, found }
        };
        Self { entries: endpoints.map(entry).collect(), born }
    }

    /// Takes over what is known of endpoints that are in both.
    pub(super) fn inherit(&mut self, before: &Self) {
        for entry in &mut self.entries {
            let same = before.entries.iter().find(|other| other.endpoint == entry.endpoint);
            if let Some(same) = same {
                // Hosts know their endpoint by its address.
                entry.endpoint = Arc::clone(&same.endpoint);
                entry.found = same.found.clone();
            }
        }
    }

    /// Whether these are its endpoints.
    pub(super) fn is_of(&self, endpoints: &[Endpoint]) -> bool {
        self.entries.iter().map(|entry| &*entry.endpoint).eq(endpoints)
    }

    /// A name has these addresses now. Whether that changes the hosts.
    pub(super) fn resolved(&mut self, endpoint: usize, addresses: &[SocketAddr]) -> bool {
        let born = self.born;
        let Some(entry) = self.entries.get_mut(endpoint) else { return false };
        let Entry { endpoint, doubt, found } = entry;
        let (known, was_v6) = match found {
            Found::Hosts { all, is_v6 } => (std::mem::take(all), Some(*is_v6)),
            Found::NotYet | Found::Never(_) => (Vec::new(), None),
        };
        let mut all: Vec<Arc<Host>> = Vec::new();
        for address in addresses.iter().take(MAX_ADDRESSES).map(|address| Address::Tcp(*address)) {
            if all.iter().any(|host| *host.address() == address) {
                continue;
            }
            let stays = known.iter().find(|host| *host.address() == address).map(Arc::clone);
            all.push(stays.unwrap_or_else(|| Host::new(endpoint, address, doubt.as_ref(), born)));
        }
        let has_family = |v6: bool| all.iter().any(|host| is_v6(host.address()) == v6);
        let first = all.first().is_some_and(|host| is_v6(host.address()));
        let family = was_v6.filter(|v6| has_family(*v6)).unwrap_or(first);
        // Resolvers change the order all the time, which means nothing.
        let is_same = was_v6 == Some(family)
            && all.len() == known.len()
            && all.iter().all(|host| known.iter().any(|other| Arc::ptr_eq(host, other)));
        let all = if is_same { known } else { all };
        *found = Found::Hosts { all, is_v6: family };
        !is_same
    }

    /// A name did not resolve. Whether that is news: addresses that were found once are kept.
    pub(super) fn failed(&mut self, endpoint: usize, reason: Reason) -> bool {
        let Some(entry) = self.entries.get_mut(endpoint) else { return false };
        let is_first = matches!(entry.found, Found::NotYet);
        if !matches!(entry.found, Found::Hosts { .. }) {
            entry.found = Found::Never(reason);
        }
        is_first
    }

    /// The hosts for new attempts.
    pub(super) fn hosts(&self) -> Vec<Arc<Host>> {
        let in_use = self.entries.iter().flat_map(|entry| match &entry.found {
            Found::Hosts { all, is_v6 } => {
                all.iter().filter(|host| self::is_v6(host.address()) == *is_v6).collect()
            }
            Found::NotYet | Found::Never(_) => Vec::new(),
        });
        in_use.map(Arc::clone).collect()
    }

    /// Has all names resolved anew.
    pub(super) fn doubt(&self) {
        self.entries.iter().filter_map(|entry| entry.doubt.as_ref()).for_each(|d| d.notify_one());
    }

    /// Why there are no hosts. None while an answer is outstanding.
    pub(super) fn fault(&self) -> Option<Reason> {
        let mut fault = None;
        for entry in &self.entries {
            match entry.found {
                Found::NotYet => return None,
                Found::Never(reason) => fault = fault.or(Some(reason)),
                Found::Hosts { .. } => {}
            }
        }
        fault
    }

    /// The addresses of the other family that the host's endpoint has.
    pub(super) fn others(&self, host: &Host) -> Vec<SocketAddr> {
        let entry = self.entries.iter().find(|entry| Arc::ptr_eq(&entry.endpoint, host.endpoint()));
        let Some(Entry { found: Found::Hosts { all, .. }, .. }) = entry else { return Vec::new() };
        let family = is_v6(host.address());
        let others = all.iter().filter_map(|other| match other.address() {
            Address::Tcp(address) if address.is_ipv6() != family => Some(*address),
            _ => None,
        });
        others.collect()
    }

    /// The other family works and the host's does not. Whether that changes the hosts.
    pub(super) fn turn_from(&mut self, host: &Host) -> bool {
        let family = is_v6(host.address());
        let has_others = !self.others(host).is_empty();
        let mut entries = self.entries.iter_mut();
        let entry = entries.find(|entry| Arc::ptr_eq(&entry.endpoint, host.endpoint()));
        match entry.map(|entry| &mut entry.found) {
            Some(Found::Hosts { is_v6, .. }) if *is_v6 == family && has_others => {
                *is_v6 = !family;
                true
            }
            _ => false,
        }
    }
}

const fn is_v6(address: &Address) -> bool {
    matches!(address, Address::Tcp(SocketAddr::V6(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Address, Directory, Host};
    use crate::{clock, domain::outcome::Reason, upstreams::sample::endpoint};

    /// Directories with one name each, at the port 80.
    fn directory() -> Directory {
        Directory::new([(endpoint("http://payments"), None)].into_iter(), clock::now())
    }

    fn resolve(directory: &mut Directory, addresses: &[&str]) -> bool {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        directory.resolved(0, &addresses)
    }

    fn shown(hosts: &[Arc<Host>]) -> Vec<String> {
        let shown = |host: &Arc<Host>| match host.address() {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => path.display().to_string(),
        };
        hosts.iter().map(shown).collect()
    }

    #[test]
    fn what_is_no_name_is_known_at_once() {
        let endpoints = ["http://10.0.0.1:81", "unix:/run/a.sock"].map(|url| (endpoint(url), None));
        let directory = Directory::new(endpoints.into_iter(), clock::now());
        assert_eq!(shown(&directory.hosts()), ["10.0.0.1:81", "/run/a.sock"]);
        assert_eq!(directory.fault(), None);
    }

    #[test]
    fn a_host_stays_the_same_as_long_as_its_address_does() {
        let mut directory = directory();
        assert!(resolve(&mut directory, &["10.0.0.1:80", "10.0.0.2:80"]));
        let before = directory.hosts();
        assert!(!resolve(&mut directory, &["10.0.0.2:80", "10.0.0.1:80", "10.0.0.1:80"]));
        assert!(resolve(&mut directory, &["10.0.0.3:80", "10.0.0.2:80"]));
        let after = directory.hosts();
        assert_eq!(shown(&after), ["10.0.0.3:80", "10.0.0.2:80"]);
        assert!(Arc::ptr_eq(&before[1], &after[1]));
    }

    #[test]
    fn a_name_that_fails_keeps_what_it_had_and_has_a_fault_only_when_it_had_nothing() {
        let mut directory = directory();
        assert_eq!(directory.fault(), None, "not yet");
        assert!(directory.failed(0, Reason::DnsFailure));
        assert!(!directory.failed(0, Reason::DnsFailure), "no news");
        assert_eq!(directory.fault(), Some(Reason::DnsFailure));
        resolve(&mut directory, &["10.0.0.1:80"]);
        directory.failed(0, Reason::DnsFailure);
        assert_eq!(shown(&directory.hosts()), ["10.0.0.1:80"]);
    }

    #[test]
    fn of_two_families_one_is_in_use_until_the_other_is_found_to_work() {
        let mut directory = directory();
        resolve(&mut directory, &["[::1]:80", "127.0.0.1:80"]);
        let v6 = directory.hosts();
        assert_eq!(shown(&v6), ["[::1]:80"]);
        assert_eq!(directory.others(&v6[0]), ["127.0.0.1:80".parse().unwrap()]);
        assert!(directory.turn_from(&v6[0]));
        assert!(!directory.turn_from(&v6[0]), "once");
        let v4 = directory.hosts();
        assert_eq!(shown(&v4), ["127.0.0.1:80"]);
        assert!(!resolve(&mut directory, &["[::1]:80", "127.0.0.1:80"]), "it is remembered");
        assert!(resolve(&mut directory, &["[::1]:80"]));
        assert!(Arc::ptr_eq(&directory.hosts()[0], &v6[0]));
    }

    #[test]
    fn a_host_of_the_only_family_stays_in_use() {
        let mut directory = directory();
        resolve(&mut directory, &["10.0.0.1:80", "10.0.0.2:80"]);
        let hosts = directory.hosts();
        assert!(directory.others(&hosts[0]).is_empty() && !directory.turn_from(&hosts[0]));
    }
}
