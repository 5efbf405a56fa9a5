//! How long dropping a day keeps others waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fusebox::{
    clock,
    store::{HistoryStore, TaskQuery},
};
use tokio::task::JoinSet;

use crate::{
    Result,
    figures::Times,
    lab::{DAYS, Lab},
    writing::{calls, process, write},
};

/// What the longest wait must stay below, in milliseconds.
const BAR_MS: f64 = 100.0;

const WRITERS: u32 = 3;
const QUIET: Duration = Duration::from_secs(3);
const DROP: &str = "select fusebox_drop_days($1::text::interval)";

pub(crate) async fn print(lab: &Lab, rows: u64) -> Result<()> {
    let retention = format!("{DAYS} days");
    lab.fill_expired_day(rows).await?;
    println!(
        "\n{:<44}{:>12}{:>12}{:>12}{:>12}",
        format!("{WRITERS} writers and a reader, ms"),
        "write p50",
        "write max",
        "read p50",
        "read max"
    );
    let mut load = Load::start(lab)?;
    tokio::time::sleep(QUIET).await;
    load.report("undisturbed").await;

    let analyst = lab.connect().await?;
    analyst
        .batch_execute("begin; select count(*) from (select from task_history limit 9) t")
        .await?;
    let mut load = Load::start(lab)?;
    let dropped: i32 = lab.client.query_one(DROP, &[&retention]).await?.get(0);
    if dropped != 0 {
        return Err("a day was dropped that somebody reads".into());
    }
    load.report("tries to drop a day that is in use").await;
    analyst.batch_execute("commit").await?;

    let mut load = Load::start(lab)?;
    let began = clock::now();
    let mut tries = 1;
    while lab.client.query_one(DROP, &[&retention]).await?.get::<_, i32>(0) == 0 {
        tries += 1;
    }
    let took = clock::now().duration_since(began).as_secs_f64() * 1_000.0;
    load.report("drops the day").await;
    println!("dropped after {took:.0} ms, in try {tries}");
    Ok(())
}

/// Writers and a reader who go on until they are asked how they fared.
struct Load {
    stop: Arc<AtomicBool>,
    writers: JoinSet<Result<Times>>,
    readers: JoinSet<Result<Times>>,
}

impl Load {
    fn start(lab: &Lab) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for writer in 0..WRITERS {
            let history = lab.instance(&format!("dropping-{writer}-{}", clock::wall_us()))?;
            writers.spawn(keep_writing(history, Arc::clone(&stop)));
        }
        readers.spawn(keep_reading(Arc::clone(&lab.history), Arc::clone(&stop)));
        Ok(Self { stop, writers, readers })
    }

    async fn report(&mut self, name: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let [writes, reads] = [gather(&mut self.writers).await, gather(&mut self.readers).await];
        let longest = writes.ms(100).max(reads.ms(100));
        let verdict = if longest < BAR_MS { "" } else { "  over the bar" };
        println!(
            "{name:<44}{:>12.1}{:>12.1}{:>12.1}{:>12.1}{verdict}",
            writes.ms(50),
            writes.ms(100),
            reads.ms(50),
            reads.ms(100)
        );
    }
}

async fn gather(tasks: &mut JoinSet<Result<Times>>) -> Times {
    let mut all = Times::default();
    while let Some(Ok(times)) = tasks.join_next().await {
        match times {
            Ok(times) => all.merge(&times),
            Err(error) => eprintln!("history: {error}"),
        }
    }
    all
}

async fn keep_writing(history: Arc<dyn HistoryStore>, stop: Arc<AtomicBool>) -> Result<Times> {
    let mut times = Times::default();
    let (mut number, process) = (0, process());
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let rows = calls(100);
        let began = clock::now();
        write(&*history, &process, number, &rows).await?;
        if number > 1 {
            times.add(clock::now().duration_since(began));
        }
    }
    Ok(times)
}

async fn keep_reading(history: Arc<dyn HistoryStore>, stop: Arc<AtomicBool>) -> Result<Times> {
    let query = TaskQuery { limit: 51, ..TaskQuery::default() };
    let mut times = Times::default();
    while !stop.load(Ordering::Relaxed) {
        let began = clock::now();
        history.tasks(&query).await?;
        times.add(clock::now().duration_since(began));
    }
    Ok(times)
}
