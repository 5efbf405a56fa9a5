//! A writer that finds the journal of a dead process, and a store that is not there.

use std::{
    fs,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use super::{
    SECOND,
    store::{Mood, Store},
};
use crate::{
    config,
    domain::task::{CallRecord, Origin, TaskId},
    history::{
        Recorder,
        journal::{Journal, KEPT, Limits, home::Home, inspect},
        samples,
    },
    store::HistoryStore,
};

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("fusebox-restart-{}", TaskId::mint(0, fastrand::u128(..)));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The rows on disk.
    fn rows(&self) -> u64 {
        inspect::report(&self.0).unwrap().segments.iter().map(|segment| segment.rows).sum()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Best effort: a test that fails has more to say than this.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A process with one lane. Its tables are there when `ready` says so.
struct Process {
    recorder: Recorder,
    run: JoinHandle<()>,
    ready: Option<oneshot::Sender<()>>,
    _stop: oneshot::Sender<Instant>,
}

impl Process {
    fn start(directory: &Directory, store: &Arc<Store>) -> Self {
        let history = config::History {
            retention: Duration::from_secs(14 * 86_400),
            spool_max_bytes: 16 << 20,
            refused_per_second: 3,
            sample_successes: NonZeroU32::MIN,
        };
        let limits = Limits { spool_max_bytes: history.spool_max_bytes, kept: KEPT };
        let instance = TaskId::mint(0, fastrand::u128(..)).to_string();
        let origin = Origin { instance, ..Origin::default() };
        let journal = Journal::open(Home::claim(&directory.0).unwrap(), origin, 1, limits);
        let (recorder, writer) = Recorder::new(1, journal, &history, None);
        let ((ready, is_ready), (_stop, stopped)) = (oneshot::channel(), oneshot::channel());
        let store: Arc<dyn HistoryStore> = Arc::clone(store) as _;
        let run = tokio::spawn(async move {
            let ready = async { is_ready.await.unwrap() };
            let stop = async { stopped.await.unwrap() };
            writer.run_after(ready, store, stop, |row| panic!("{row:?}")).await;
        });
        Self { recorder, run, ready: Some(ready), _stop }
    }

    fn be_ready(&mut self) {
        self.ready.take().unwrap().send(()).unwrap();
    }

    /// Makes calls, and lets the writer look at them now and then.
    async fn calls(&self, count: usize) -> Vec<CallRecord> {
        let (site, lane) = (samples::site("payments"), self.recorder.lane(0));
        let calls: Vec<_> = (0..count).map(|_| samples::success(&site)).collect();
        for some in calls.chunks(500) {
            some.iter().for_each(|call| lane.record(call, None));
            sleep(Duration::from_millis(300)).await;
        }
        calls
    }

    /// Dies without a word.
    async fn kill(self) {
        self.run.abort();
        assert!(self.run.await.unwrap_err().is_cancelled());
    }
}

fn waiting(process: &Process) -> u64 {
    process.recorder.counters().rows_waiting()
}

#[tokio::test(start_paused = true)]
async fn calls_are_on_disk_from_the_first_on_while_the_tables_are_waited_for() {
    let (directory, store) = (Directory::new(), Arc::<Store>::default());
    let process = Process::start(&directory, &store);
    process.recorder.lane(0).record(&samples::success(&samples::site("payments")), None);
    assert_eq!(directory.rows(), 1, "before the writer has looked once");
    process.calls(20_000).await;
    assert_eq!((directory.rows(), store.tries.load(Relaxed)), (20_001, 0));
    assert_eq!(store.upkeeps.load(Relaxed), 0, "there is nothing to keep yet");
    process.kill().await;
    let mut next = Process::start(&directory, &store);
    next.be_ready();
    sleep(SECOND).await;
    assert_eq!(store.ids().len(), 20_001);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_dead_process_wait_and_are_told_to() {
    let (directory, store) = (Directory::new(), Arc::<Store>::default());
    let mut process = Process::start(&directory, &store);
    process.be_ready();
    process.calls(700).await;
    store.be(Mood::Away);
    process.calls(500).await;
    assert_eq!(waiting(&process), 500);
    process.kill().await;
    let mut next = Process::start(&directory, &store);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(waiting(&next), 1_200, "nobody knows yet which of them the store has");
    next.be_ready();
    store.be(Mood::Well);
    sleep(10 * SECOND).await;
    assert_eq!((waiting(&next), store.ids().len()), (0, 1_200));
    let before = store.cursors_now();
    next.calls(100).await;
    store.fall_back(before, 1_200);
    next.calls(1).await;
    sleep(SECOND).await;
    assert_eq!((waiting(&next), store.ids().len()), (0, 1_301), "after a fall-back too");
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_counts_no_row_as_lost_that_the_store_has() {
    let (directory, store) = (Directory::new(), Arc::<Store>::default());
    let mut process = Process::start(&directory, &store);
    process.be_ready();
    let mut calls = process.calls(10_000).await;
    sleep(SECOND).await;
    assert_eq!(store.ids().len(), 10_000);
    store.be(Mood::Away);
    process.kill().await;
    let mut next = Process::start(&directory, &store);
    next.be_ready();
    calls.extend(next.calls(100_000).await);
    let dropped = next.recorder.counters().dropped();
    assert!(dropped > 0, "the bound is reached");
    store.be(Mood::Well);
    sleep(60 * SECOND).await;
    let (all, rows) = (calls.len() as u64, store.ids().len() as u64);
    assert_eq!((all - rows, *store.sums.lock().unwrap()), (dropped, (all, rows)));
    assert_eq!(waiting(&next), 0);
}
