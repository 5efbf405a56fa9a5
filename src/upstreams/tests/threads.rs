//! Several threads, each with idle connections of its own, under one cap.

use std::{
    cell::{Cell, RefCell},
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
    upstreams::{ConnectionPermit, Leave, Live, Upstreams},
};

/// Never reached: it only ends a test that would hang.
const FOREVER: Duration = Duration::from_secs(10);

/// A data-plane thread, reduced to its idle connections.
struct Worker {
    number: usize,
    live: Arc<Live>,
    idle: RefCell<Vec<ConnectionPermit>>,
    /// Connections that were made, and not used again.
    made: Cell<usize>,
}

impl Worker {
    fn new(number: usize, live: &Arc<Live>) -> Rc<Self> {
        let live = Arc::clone(live);
        Rc::new(Self { number, live, idle: RefCell::default(), made: Cell::default() })
    }

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
            None => {
                let until = clock::now() + FOREVER;
                match self.live.connection_or_kept(&host, self.number, until).await.unwrap() {
                    Leave::Make(permit) => {
                        self.made.set(self.made.get() + 1);
                        permit
                    }
                    Leave::Use(permit) => permit,
                }
            }
        };
        assert!(busy.fetch_add(1, Ordering::SeqCst) < cap, "more connections than the cap");
        tokio::task::yield_now().await;
        busy.fetch_sub(1, Ordering::SeqCst);
        let kept = self.live.keep(&host, self.number, permit, clock::now());
        self.idle.borrow_mut().extend(kept);
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
                let live = upstreams.of("payments").unwrap();
                let worker = Worker::new(number, &live);
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

#[tokio::test]
async fn a_thread_that_waits_for_itself_uses_its_connections_again() {
    let (_, live) = start("endpoints: [\"http://127.0.0.1:1\"], limits: { connections: 2 }");
    let (worker, busy) = (Worker::new(0, &live), AtomicU32::new(0));
    join_all((0..500).map(|_| worker.call(0, &busy, 2))).await;
    assert_eq!((worker.made.get(), live.connections(), live.pending()), (2, 2, 0));
}
