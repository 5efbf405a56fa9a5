//! Names, resolved by a script in paused time.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::advance};

use super::{Told, shown, start};
use crate::{
    clock,
    domain::outcome::Reason,
    upstreams::{Live, Lookup, Upstreams, sample::upstream},
};

const SECOND: Duration = Duration::from_secs(1);

/// A resolver that says what it is told to, after a millisecond; `None` is no answer at all.
#[derive(Clone, Default)]
struct Resolver {
    says: Arc<Mutex<Option<Vec<SocketAddr>>>>,
    is_silent: Arc<Mutex<bool>>,
    asked: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Resolver {
    fn saying(addresses: &[&str]) -> Self {
        let resolver = Self::default();
        resolver.say(addresses);
        resolver
    }

    fn say(&self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        *self.says.lock().unwrap() = Some(addresses);
    }

    fn fail(&self) {
        *self.says.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How long each round came after the one before.
    fn gaps(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|pair| pair[1].1 - pair[0].1).collect()
    }
}

impl Lookup for Resolver {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push((format!("{host}:{port}"), clock::now()));
        if *self.is_silent.lock().unwrap() {
            pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.says.lock().unwrap().clone().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn run(upstreams: &Arc<Upstreams>, resolver: &Resolver) -> JoinHandle<()> {
    let (upstreams, resolver) = (Arc::clone(upstreams), resolver.clone());
    tokio::spawn(async move { upstreams.run(&resolver, pending()).await })
}

/// Lets time pass in small steps, so that everything that is due in between happens.
async fn pass(time: Duration) {
    for _ in 0..time.as_millis() / 10 {
        advance(Duration::from_millis(10)).await;
        tokio::task::yield_now().await;
    }
}

fn addresses(live: &Live) -> Vec<String> {
    shown(&live.hosts())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_first_waits_for_the_first_answer() {
    let (upstreams, live) = start("endpoints: [http://a]");
    let resolver = Resolver::saying(&["10.0.0.1:80", "10.0.0.2:80"]);
    assert!(live.resolved().now_or_never().is_none());
    run(&upstreams, &resolver);
    let hosts = live.resolved().await.unwrap();
    assert_eq!(shown(&hosts), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!((hosts.generation(), live.generation()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_resolved_is_a_dns_failure_until_it_does() {
    let (upstreams, live) = start("endpoints: [http://a], dns: { refresh: 1h }");
    let (told, _guard) = Told::listen();
    let resolver = Resolver::default();
    run(&upstreams, &resolver);
    assert_eq!(live.resolved().await.unwrap_err(), Reason::DnsFailure);
    pass(30 * SECOND).await;
    assert_eq!(live.resolved().now_or_never().unwrap().unwrap_err(), Reason::DnsFailure);
    resolver.say(&["10.0.0.1:80"]);
    // That it was asked for is enough to try again soon.
    pass(2 * SECOND).await;
    assert_eq!(shown(&live.resolved().await.unwrap()), ["10.0.0.1:80"]);
    assert_eq!((told.count("does not resolve"), told.count("resolves again")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_addresses_and_is_told_once() {
    let (upstreams, live) = start("endpoints: [http://a]");
    let (told, _guard) = Told::listen();
    let resolver = Resolver::saying(&["10.0.0.1:80"]);
    run(&upstreams, &resolver);
    let before = live.resolved().await.unwrap();
    resolver.fail();
    pass(60 * SECOND).await;
    resolver.say(&[]);
    pass(60 * SECOND).await;
    *resolver.is_silent.lock().unwrap() = true;
    pass(60 * SECOND).await;
    assert!(Arc::ptr_eq(&before[0], &live.hosts()[0]));
    assert_eq!((told.count("does not resolve"), told.count("resolves again")), (1, 0));
    *resolver.is_silent.lock().unwrap() = false;
    resolver.say(&["10.0.0.1:80"]);
    pass(20 * SECOND).await;
    assert_eq!((told.count("does not resolve"), told.count("resolves again")), (1, 1));
    assert_eq!(live.generation(), before.generation(), "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_also_when_other_endpoints_change() {
    let (upstreams, _live) = start("endpoints: [http://a]");
    let (told, _guard) = Told::listen();
    let resolver = Resolver::default();
    run(&upstreams, &resolver);
    pass(SECOND).await;
    upstreams.renew(&[upstream("endpoints: [http://a, http://10.0.0.9]")], clock::now());
    pass(30 * SECOND).await;
    assert_eq!((told.count("does not resolve"), told.count("resolves again")), (1, 0));
    upstreams.renew(&[upstream("endpoints: [http://a, http://10.0.0.8]")], clock::now());
    resolver.say(&["10.0.0.1:80"]);
    pass(30 * SECOND).await;
    assert_eq!((told.count("does not resolve"), told.count("resolves again")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn rounds_come_about_as_often_as_they_should() {
    let (upstreams, _live) = start("endpoints: [http://a], dns: { refresh: 5s }");
    let resolver = Resolver::saying(&["10.0.0.1:80"]);
    run(&upstreams, &resolver);
    pass(100 * SECOND).await;
    let gaps = resolver.gaps();
    assert!((18..=23).contains(&gaps.len()), "{gaps:?}");
    let spread = 4_490..5_550;
    assert!(gaps.iter().all(|gap| spread.contains(&gap.as_millis())), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn doubts_bring_the_next_round_forward_but_not_more_than_one_a_second() {
    let (upstreams, live) = start("endpoints: [http://a], dns: { refresh: 1h }");
    let resolver = Resolver::saying(&["10.0.0.1:80"]);
    run(&upstreams, &resolver);
    let host = Arc::clone(&live.resolved().await.unwrap()[0]);
    for _ in 0..100 {
        host.connect_failed();
        pass(SECOND / 10).await;
    }
    assert!((9..=12).contains(&resolver.asked()), "{:?}", resolver.gaps());
    assert!(resolver.gaps().iter().all(|gap| *gap >= SECOND));
    pass(600 * SECOND).await;
    assert!(resolver.asked() <= 12, "no doubt, no round");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_vanishes_gets_no_new_calls_and_keeps_those_it_has() {
    let (upstreams, live) = start("endpoints: [http://a]");
    let resolver = Resolver::saying(&["10.0.0.1:80", "10.0.0.2:80"]);
    run(&upstreams, &resolver);
    let before = live.resolved().await.unwrap();
    let (under_way, permit) = (before[0].begin(), live.try_connection(&before[0]).unwrap());
    resolver.say(&["10.0.0.2:80", "10.0.0.3:80"]);
    pass(6 * SECOND).await;
    assert_eq!(addresses(&live), ["10.0.0.2:80", "10.0.0.3:80"]);
    assert!(Arc::ptr_eq(&before[1], &live.hosts()[0]), "the other is the same");
    assert_eq!((before[0].in_flight(), before[0].connections(), live.connections()), (1, 1, 1));
    drop((under_way, permit));
    assert_eq!((before[0].in_flight(), before[0].connections(), live.connections()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_several_use_is_resolved_once_and_as_often_as_the_most_impatient_wants() {
    let settings =
        ["endpoints: [http://a, http://b], dns: { refresh: 2s }", "endpoints: [http://a]"];
    let [first, second] = settings.map(upstream);
    let mut second = (*second).clone();
    second.name = "other".into();
    let upstreams = Upstreams::new([&first, &Arc::new(second)], clock::now());
    let resolver = Resolver::saying(&["10.0.0.1:80"]);
    run(&upstreams, &resolver);
    pass(SECOND).await;
    let mut asked: Vec<_> = resolver.asked.lock().unwrap().iter().map(|(n, _)| n.clone()).collect();
    asked.sort();
    assert_eq!(asked, ["a:80", "b:80"]);
    assert_eq!(addresses(&upstreams.of("other").unwrap()), ["10.0.0.1:80"]);
    pass(10 * SECOND).await;
    let rounds = resolver.asked.lock().unwrap().iter().filter(|(name, _)| name == "a:80").count();
    assert!((5..=7).contains(&rounds), "{rounds}");
}

#[tokio::test(start_paused = true)]
async fn one_name_that_resolves_is_enough() {
    let (upstreams, live) = start("endpoints: [http://a, \"http://127.0.0.1:81\"]");
    run(&upstreams, &Resolver::default());
    pass(SECOND).await;
    assert_eq!(shown(&live.resolved().await.unwrap()), ["127.0.0.1:81"]);
}
