//! Several threads, each with idle connections of its own, under one cap.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{runtime::Builder, sync::Barrier, task::LocalSet};

use super::start;
use crate::{
    clock,
    upstreams::{ConnectionPermit, Live, Upstreams},
};

/// Never reached: it only ends a test that would hang.
const FOREVER: Duration = Duration::from_secs(10);

/// A data-plane thread, reduced to its idle connections.
struct Worker {
    live: Arc<Live>,
    idle: RefCell<Vec<ConnectionPermit>>,
}

impl Worker {
    /// A call: takes an idle connection or makes one, and keeps it for the next.
    async fn call(&self, host: usize, busy: &AtomicU32, cap: u32) {
        let host = Arc::clone(&self.live.hosts()[host]);
        let idle = {
            let mut idle = self.idle.borrow_mut();
            let at = idle.iter().position(|permit| Arc::ptr_eq(permit.host(), &host));
            at.map(|at| idle.swap_remove(at))
        };
        let permit = match idle {
            Some(permit) => permit,
            None => self.live.connection(&host, clock::now() + FOREVER).await.unwrap(),
        };
        assert!(busy.fetch_add(1, Ordering::SeqCst) < cap, "more connections than the cap");
        tokio::task::yield_now().await;
        busy.fetch_sub(1, Ordering::SeqCst);
        if !self.live.is_hungry() {
            self.idle.borrow_mut().push(permit);
        }
    }

    /// Closes idle connections for as long as others wait.
    async fn feed(self: Rc<Self>, upstreams: Arc<Upstreams>) {
        let mut hunger = upstreams.hunger();
        loop {
            while self.live.is_hungry()
                && let Some(permit) = { self.idle.borrow_mut().pop() }
            {
                drop(permit);
            }
            hunger.next().await;
        }
    }
}

#[test]
fn idle_connections_of_one_thread_never_starve_another() {
    const CAP: u32 = 3;
    const THREADS: usize = 4;
    const ROUNDS: usize = 60;
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let endpoints = "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]";
    let (upstreams, _) = start(&format!("{endpoints}, limits: {{ connections: {CAP} }}"));
    let (busy, round_over) = (Arc::new(AtomicU32::new(0)), Arc::new(Barrier::new(THREADS)));
    let threads = [0, 1, 2, 3].map(|number| {
        let (upstreams, busy) = (Arc::clone(&upstreams), Arc::clone(&busy));
        let round_over = Arc::clone(&round_over);
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            LocalSet::new().block_on(&runtime, async {
                let live = Arc::clone(upstreams.of("payments").unwrap());
                let worker = Rc::new(Worker { live, idle: RefCell::default() });
                tokio::task::spawn_local(Rc::clone(&worker).feed(Arc::clone(&upstreams)));
                for round in 0..ROUNDS {
                    // One thread after the other has the upstream to itself, and keeps what it made
                    // while the next one needs it; every third round is for all of them.
                    let calls = if round % 3 == 0 { 50 } else { CAP as usize };
                    if round % 3 == 0 || round % THREADS == number {
                        join_all((0..calls).map(|n| worker.call((n + round) % 2, &busy, CAP)))
                            .await;
                    }
                    round_over.wait().await;
                }
            });
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let live = upstreams.of("payments").unwrap();
    assert_eq!((live.connections(), live.pending()), (0, 0));
}
