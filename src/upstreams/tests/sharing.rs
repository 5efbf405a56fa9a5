//! What one upstream's callers share: choice, ejection, limits, budget. In paused time.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use proptest::{
    collection::vec,
    prelude::{prop_assert, prop_assert_eq, proptest},
};

use super::{Told, start};
use crate::{
    clock,
    domain::outcome::{Reason, Verdict},
    upstreams::{InFlight, Live},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const THREE: &str =
    "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]";

/// Ports of the hosts that many picks lead to.
fn picked(live: &Live) -> Vec<usize> {
    let (hosts, now) = (live.hosts(), clock::now());
    let mut picked: Vec<_> =
        (0..200).filter_map(|_| hosts.pick(&[], fastrand::u64(..), now)).collect();
    picked.sort_unstable();
    picked.dedup();
    picked
}

fn fail(live: &Live, host: usize, times: usize) {
    let hosts = live.hosts();
    (0..times).for_each(|_| live.record(&hosts[host], Verdict::Failure, clock::now()));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_keeps_failing_is_left_out_and_returns_each_told_once() {
    let (_, live) = start(THREE);
    let (told, _guard) = Told::listen();
    fail(&live, 1, 4);
    assert_eq!(picked(&live), [0, 1, 2]);
    fail(&live, 1, 20);
    assert_eq!((picked(&live), live.ejections()), (vec![0, 2], 1));
    tokio::time::advance(29 * SECOND).await;
    live.tick(clock::now());
    assert_eq!(picked(&live), [0, 2]);
    assert_eq!((told.count("is left out"), told.count("gets calls again")), (1, 0));
    tokio::time::advance(8 * SECOND).await;
    assert_eq!(picked(&live), [0, 1, 2], "it returns on its own");
    live.tick(clock::now());
    live.tick(clock::now());
    assert_eq!((told.count("is left out"), told.count("gets calls again")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_share_is_left_out_and_a_lone_host_never() {
    let (_, live) = start(THREE);
    (0..3).for_each(|host| fail(&live, host, 10));
    assert_eq!((picked(&live), live.ejections()), (vec![1, 2], 1));
    let (_, live) = start("endpoints: [\"http://127.0.0.1:1\"]");
    fail(&live, 0, 100);
    assert_eq!((picked(&live), live.ejections()), (vec![0], 0));
    let (_, live) = start(&format!("{THREE}, ejection: {{ max_share: 0% }}"));
    fail(&live, 0, 100);
    assert_eq!((picked(&live), live.ejections()), (vec![0, 1, 2], 0));
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_and_what_says_nothing_eject_nobody() {
    let (_, live) = start(THREE);
    let (hosts, now) = (live.hosts(), clock::now());
    for _ in 0..10 {
        fail(&live, 0, 4);
        live.record(&hosts[0], Verdict::Success, now);
        for verdict in [Verdict::Overload, Verdict::Neutral] {
            (0..10).for_each(|_| live.record(&hosts[1], verdict, now));
        }
    }
    assert_eq!(live.ejections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_elsewhere_while_there_is_an_elsewhere() {
    let (_, live) = start(THREE);
    let (hosts, now) = (live.hosts(), clock::now());
    for random in (0..100).map(|_| fastrand::u64(..)) {
        let tried = [Arc::clone(&hosts[0]), Arc::clone(&hosts[2])];
        assert_eq!(hosts.pick(&tried, random, now), Some(1));
        assert!(hosts.pick(&hosts.to_vec(), random, now).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_each_other_within_queue_and_deadline() {
    let limits = "limits: { concurrency: 1, queue: 1, queue_timeout: 250ms }";
    let (_, live) = start(&format!("{THREE}, {limits}"));
    let began = clock::now();
    let call = live.try_admit().unwrap();
    assert!(live.try_admit().is_none());
    let late = live.admit(began + 60 * SECOND).await;
    assert_eq!((late.unwrap_err(), clock::now() - began), (Reason::QueueTimeout, 250 * MS));
    let (first, second) =
        tokio::join!(live.admit(began + 260 * MS), live.admit(began + 60 * SECOND));
    assert_eq!(
        (first.unwrap_err(), second.unwrap_err()),
        (Reason::QueueTimeout, Reason::BulkheadFull)
    );
    assert_eq!(clock::now() - began, 260 * MS, "the deadline comes before the timeout");
    let waits = live.admit(began + 60 * SECOND);
    let (admitted, ()) = tokio::join!(waits, async { drop(call) });
    assert!(admitted.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_every_call_is_admitted() {
    let (_, live) = start(THREE);
    let calls: Vec<_> = (0..10_000).filter_map(|_| live.try_admit()).collect();
    assert_eq!(calls.len(), 10_000);
    assert!(live.admit(clock::now()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_the_budget() {
    let (_, live) = start(&format!("{THREE}, retry: {{ budget: 20%, min: 3 }}"));
    let few: Vec<_> = (0..10).map_while(|_| live.retry()).collect();
    assert_eq!(few.len(), 3);
    let hosts = live.hosts();
    let calls: Vec<InFlight> = (0..50).map(|n| hosts[n % 3].begin()).collect();
    let more: Vec<_> = (0..50).map_while(|_| live.retry()).collect();
    assert_eq!((few.len() + more.len(), live.retries()), (10, 10));
    drop((few, more, calls));
    assert_eq!((live.retries(), live.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_makes_all_threads_hungry() {
    let (upstreams, live) = start(&format!("{THREE}, limits: {{ connections: 1, pending: 1 }}"));
    let mut hunger = upstreams.hunger();
    let (hosts, until) = (live.hosts(), clock::now() + SECOND);
    let idle = live.try_connection(&hosts[0]).unwrap();
    assert!(!live.is_hungry() && hunger.next().now_or_never().is_none());
    let (permit, ()) = tokio::join!(live.connection(&hosts[1], until), async {
        assert!(live.is_hungry() && live.try_connection(&hosts[1]).is_none());
        let refused = live.connection(&hosts[2], until).now_or_never();
        assert_eq!(refused.unwrap().unwrap_err(), Reason::NoConnection);
        hunger.next().await;
        drop(idle);
        assert!(!live.is_hungry());
    });
    let permit = permit.unwrap();
    assert_eq!((hosts[0].connections(), hosts[1].connections(), live.connections()), (0, 1, 1));
    let late = live.connection(&hosts[2], until).await;
    assert_eq!((late.unwrap_err(), clock::now()), (Reason::NoConnection, until));
    assert_eq!(permit.host().connections(), 1);
}

proptest! {
    #[test]
    fn guards_give_back_exactly_what_they_took(
        events in vec((0..3_usize, 0..3_usize, 0..100_usize), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _context = runtime.enter();
        let (_, live) = start(&format!("{THREE}, limits: {{ connections: 5 }}"));
        let hosts = live.hosts();
        let (mut attempts, mut permits) = (Vec::new(), Vec::new());
        for (event, host, at) in events {
            match event {
                0 => attempts.push(hosts[host].begin()),
                1 => permits.extend(live.try_connection(&hosts[host])),
                _ if at % 2 == 0 && !attempts.is_empty() => {
                    drop(attempts.swap_remove(at % attempts.len()));
                }
                _ if !permits.is_empty() => drop(permits.swap_remove(at % permits.len())),
                _ => {}
            }
            for host in hosts.iter() {
                let of = |other| usize::from(Arc::ptr_eq(host, other));
                prop_assert_eq!(host.in_flight() as usize, attempts.iter().map(|a| of(a.host())).sum::<usize>());
                prop_assert_eq!(host.connections() as usize, permits.iter().map(|p| of(p.host())).sum::<usize>());
            }
            prop_assert!(live.connections() as usize == permits.len() && permits.len() <= 5);
        }
    }
}
