//! The writer against a store that can be away, slow, strict or forgetful of its answers.

mod restart;
mod store;

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use crate::{
    clock, config,
    domain::task::{Origin, TaskId},
    history::{
        Lane, Recorder,
        journal::{Journal, KEPT, Limits, home::Home},
        samples,
    },
    store::HistoryStore,
};
use store::{Mood, Store};

/// A running writer.
struct Rig {
    store: Arc<Store>,
    recorder: Recorder,
    lane: Lane,
    stop: oneshot::Sender<Instant>,
    run: JoinHandle<Vec<TaskId>>,
}

impl Rig {
    /// Two lanes into a journal in memory.
    fn start() -> Self {
        Self::start_sampling(1)
    }

    /// Of so many successes one has a row.
    fn start_sampling(every: u32) -> Self {
        let limits = limits(every);
        let (recorder, writer) = Recorder::new(2, Journal::in_memory(2), &limits, None);
        let store = Arc::<Store>::default();
        let (stop, stopped) = oneshot::channel();
        let dyn_store: Arc<dyn HistoryStore> = Arc::clone(&store) as _;
        let run = tokio::spawn(async move {
            let mut left = Vec::new();
            let stop = async { stopped.await.unwrap() };
            writer.run(dyn_store, stop, |row| left.push(row.id)).await;
            left
        });
        let lane = recorder.lane(0);
        Self { store, recorder, lane, stop, run }
    }

    /// Records calls that succeeded; returns their ids.
    fn record(&self, calls: usize) -> Vec<TaskId> {
        let site = samples::site("payments");
        let calls = std::iter::repeat_with(|| samples::success(&site)).take(calls);
        calls.inspect(|call| self.lane.record(call, None)).map(|call| call.id).collect()
    }

    /// Stops with this much time; returns what was left over.
    async fn stop_within(self, time: Duration) -> (Arc<Store>, Recorder, Vec<TaskId>) {
        self.stop.send(clock::now() + time).unwrap();
        (self.store, self.recorder, self.run.await.unwrap())
    }

    /// `recorded = written + dropped + set aside + waiting`, with every lane collected.
    fn assert_balance(&self) {
        let c = self.recorder.counters();
        assert_eq!(c.recorded(), c.written() + c.dropped() + c.set_aside() + c.rows_waiting());
    }
}

fn limits(sample_successes: u32) -> config::History {
    config::History {
        retention: Duration::from_secs(14 * 86_400),
        spool_max_bytes: 16 << 20,
        refused_per_second: 3,
        sample_successes: NonZeroU32::new(sample_successes).unwrap(),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn every_call_becomes_a_row_in_the_order_of_its_end() {
    let rig = Rig::start();
    let ids = rig.record(2_500);
    sleep(SECOND).await;
    assert_eq!(rig.store.ids(), ids);
    assert_eq!(rig.store.asked(), [1_000, 1_000, 500]);
    let counters = rig.recorder.counters();
    assert_eq!((counters.written(), counters.rows_waiting(), counters.batches()), (2_500, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_few_calls_wait_a_quarter_of_a_second_and_a_full_batch_does_not() {
    let rig = Rig::start();
    sleep(SECOND + Duration::from_millis(1)).await;
    rig.record(999);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.store.ids().len(), 0);
    rig.record(1);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.store.ids().len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_nothing_while_memory_lasts() {
    let rig = Rig::start();
    rig.store.be(Mood::Away);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.extend(rig.record(300));
        sleep(SECOND).await;
    }
    assert_eq!(rig.store.ids(), []);
    assert!(!rig.recorder.counters().store_up());
    let error = rig.recorder.counters().last_error().unwrap();
    assert_eq!(error.message, "the store is unavailable: connection refused");
    rig.assert_balance();
    rig.store.be(Mood::Well);
    sleep(6 * SECOND).await;
    assert_eq!(rig.store.ids(), ids);
    assert!(rig.recorder.counters().store_up());
}

#[tokio::test(start_paused = true)]
async fn tries_grow_rarer_while_the_store_is_away() {
    let rig = Rig::start();
    rig.store.be(Mood::Away);
    rig.record(1);
    sleep(60 * SECOND).await;
    let tries = rig.store.tries.load(Relaxed);
    assert!((60 / 5..60).contains(&tries), "{tries} tries in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_is_set_aside_and_the_others_are_written() {
    let rig = Rig::start();
    let ids = rig.record(1_000);
    rig.store.bad.lock().unwrap().extend([ids[17], ids[999]]);
    sleep(SECOND).await;
    let good: Vec<_> = ids.iter().copied().filter(|id| *id != ids[17] && *id != ids[999]).collect();
    assert_eq!(rig.store.ids(), good);
    let counters = rig.recorder.counters();
    assert_eq!((counters.set_aside(), counters.written()), (2, 998));
    assert!(counters.store_up(), "a bad row is no outage");
    assert!(rig.store.asked().len() < 45, "{} writes", rig.store.asked().len());
    assert_eq!(*rig.store.sums.lock().unwrap(), (1_000, 998), "the sums miss no call");
}

#[tokio::test(start_paused = true)]
async fn a_refusing_store_is_asked_rarely_and_gets_everything_once_it_is_mended() {
    let rig = Rig::start();
    rig.store.be(Mood::Refusing);
    let ids = rig.record(10);
    sleep(60 * SECOND).await;
    let tries = rig.store.tries.load(Relaxed);
    assert!((2..=12).contains(&tries), "{tries} tries in a minute");
    rig.store.be(Mood::Well);
    sleep(61 * SECOND).await;
    assert_eq!(rig.store.ids(), ids);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_an_outage() {
    let rig = Rig::start();
    rig.store.be(Mood::Stuck);
    let ids = rig.record(10);
    sleep(SECOND).await;
    rig.store.be(Mood::Well);
    assert_eq!(rig.store.ids(), []);
    sleep(61 * SECOND).await;
    assert_eq!(rig.store.ids(), ids);
}

#[tokio::test(start_paused = true)]
async fn refused_calls_of_all_workers_share_their_rows() {
    let rig = Rig::start();
    let site = samples::site("payments");
    for call in 0..50 {
        rig.recorder.lane(call).record(&samples::refused(&site), None);
    }
    sleep(4 * SECOND).await;
    let mut weights: Vec<_> = rig.store.rows.lock().unwrap().iter().map(|row| row.weight).collect();
    weights.sort_unstable();
    assert_eq!(weights, [1, 1, 1, 23, 24], "one folded row for each worker");
    let counters = rig.recorder.counters();
    assert_eq!((counters.written(), counters.rows_written()), (50, 5));
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_the_lanes_hold_folded_rows_included() {
    let rig = Rig::start();
    sleep(SECOND).await;
    rig.record(10);
    let site = samples::site("payments");
    (0..10).for_each(|_| rig.lane.record(&samples::refused(&site), None));
    let stopped_at = clock::now();
    let (store, recorder, left) = rig.stop_within(5 * SECOND).await;
    assert_eq!((store.ids().len(), left.len(), recorder.counters().written()), (14, 0, 20));
    assert!(clock::now() - stopped_at < SECOND, "a stop does not wait for its deadline");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_by_the_deadline_is_handed_over() {
    for mood in [Mood::Away, Mood::Refusing, Mood::Stuck] {
        let rig = Rig::start();
        rig.store.be(mood);
        let mut ids = rig.record(1_500);
        sleep(SECOND).await;
        ids.extend(rig.record(5));
        let stopped_at = clock::now();
        let (store, _, left) = rig.stop_within(5 * SECOND).await;
        assert_eq!((store.ids(), left), (Vec::new(), ids));
        let took = clock::now() - stopped_at;
        assert!((SECOND * 9 / 2..=5 * SECOND).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_returns_before_the_deadline_still_gets_the_rows() {
    let rig = Rig::start();
    rig.store.be(Mood::Refusing);
    let ids = rig.record(10);
    sleep(20 * SECOND).await;
    let store = Arc::clone(&rig.store);
    let mend = tokio::spawn(async move {
        sleep(SECOND).await;
        store.be(Mood::Well);
    });
    let (store, _, left) = rig.stop_within(5 * SECOND).await;
    mend.await.unwrap();
    assert_eq!((store.ids(), left), (ids, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn the_tables_are_kept_at_start_and_every_minute() {
    let rig = Rig::start();
    sleep(SECOND).await;
    assert_eq!(rig.store.upkeeps.load(Relaxed), 1);
    sleep(3 * 66 * SECOND).await;
    assert!((3..=5).contains(&rig.store.upkeeps.load(Relaxed)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_answer_was_lost_is_found_applied() {
    let rig = Rig::start();
    rig.store.be(Mood::Forgetful);
    let mut ids = rig.record(10);
    sleep(SECOND).await;
    ids.extend(rig.record(5));
    sleep(SECOND).await;
    rig.store.be(Mood::Well);
    sleep(6 * SECOND).await;
    assert_eq!(rig.store.ids(), ids);
    let counters = rig.recorder.counters();
    assert_eq!((counters.written(), counters.rows_written(), counters.rows_waiting()), (15, 15, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_an_answer_is_found_applied() {
    let rig = Rig::start();
    rig.store.be(Mood::Silent);
    let ids = rig.record(10);
    sleep(SECOND).await;
    rig.store.be(Mood::Well);
    sleep(61 * SECOND).await;
    assert_eq!((rig.store.ids(), rig.recorder.counters().written()), (ids, 10));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fell_back_gets_again_what_it_lost() {
    let rig = Rig::start();
    let mut ids = rig.record(10);
    sleep(SECOND).await;
    let before = rig.store.cursors_now();
    ids.extend(rig.record(2_500));
    sleep(SECOND).await;
    rig.store.fall_back(before, 10);
    ids.extend(rig.record(1));
    sleep(SECOND).await;
    assert_eq!(rig.store.ids(), ids);
}

#[tokio::test(start_paused = true)]
async fn one_of_many_successes_stands_for_all_where_that_is_wished() {
    let rig = Rig::start_sampling(10);
    rig.record(95);
    let site = samples::site("payments");
    (0..5).for_each(|_| rig.lane.record(&samples::failure(&site), None));
    sleep(SECOND).await;
    let rows = rig.store.rows.lock().unwrap().clone();
    let weights: u32 = rows.iter().map(|row| row.weight).sum();
    assert_eq!((rows.len(), weights), (10 + 5, 100));
    assert_eq!(*rig.store.sums.lock().unwrap(), (100, 15), "the sums tell how many rows there are");
    assert_eq!(rig.recorder.counters().written(), 100);
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_full_the_oldest_rows_go_and_their_sums_stay() {
    let rig = Rig::start();
    rig.store.be(Mood::Away);
    let mut ids = Vec::new();
    for _ in 0..150 {
        ids.extend(rig.record(1_000));
        sleep(SECOND / 4).await;
    }
    sleep(SECOND).await;
    rig.assert_balance();
    let dropped = rig.recorder.counters().dropped();
    assert!((1..150_000).contains(&dropped), "{dropped} dropped");
    rig.store.be(Mood::Well);
    sleep(30 * SECOND).await;
    let kept = rig.store.ids();
    assert_eq!(kept.len() as u64 + dropped, 150_000);
    assert!(ids.ends_with(&kept[1_000..]), "all but what was on its way are the newest");
    assert_eq!(*rig.store.sums.lock().unwrap(), (150_000, kept.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn while_the_tables_are_not_there_every_row_goes_to_the_directory() {
    let path = std::env::temp_dir().join(format!("fusebox-tables-{}", fastrand::u128(..)));
    let bounds = Limits { spool_max_bytes: 64 << 20, kept: KEPT };
    let journal = Journal::open(Home::claim(&path).unwrap(), Origin::default(), 1, bounds);
    let supply = Arc::clone(&journal.supply);
    let (recorder, writer) = Recorder::new(1, journal, &limits(1), None);
    let (lane, site) = (recorder.lane(0), samples::site("payments"));
    let load = async {
        for _ in 0..60 {
            (0..1_000).for_each(|_| lane.record(&samples::success(&site), None));
            assert_eq!(supply.in_memory(), 0);
            sleep(SECOND / 4).await;
        }
        clock::now() + SECOND
    };
    lane.record(&samples::success(&site), None);
    assert_eq!(supply.in_memory(), 0, "nobody has looked yet");
    let store = Arc::<Store>::default();
    let left = writer.run_after(std::future::pending(), store.clone(), load, |_| {}).await;
    assert_eq!((store.ids().len(), left), (60_001, 0), "a stop does not wait for the tables");
    std::fs::remove_dir_all(path).unwrap();
}
