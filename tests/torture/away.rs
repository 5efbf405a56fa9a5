//! The store is away for long: callers notice nothing, memory does not grow, and every row arrives.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::BufReader,
    net::TcpStream,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    callers::{End, exchange},
    local::wait_until,
    world::{PATIENCE, World},
};

/// How long the parts take, and what may change.
struct Plan {
    before: Duration,
    away: Duration,
    calls_per_second: u32,
    /// What the 99th percentile may grow by, besides a tenth: the noise of the machine.
    noise: Duration,
    /// What memory may grow by, in KiB: what buffers and the allocator keep once.
    slack_kib: u64,
}

/// Callers of one rate, each on a connection of its own.
const CALLERS: u32 = 25;

fn the_store_is_away(plan: &Plan) {
    let world = World::new(&[]);
    let began = fusebox::clock::now();
    let until = began + plan.before + plan.away;
    let every = Duration::from_secs(1) * CALLERS / plan.calls_per_second;
    let _inside = world.runtime.enter();
    let to = world.fusebox.proxy;
    let tasks: Vec<_> = (0..CALLERS).map(|n| call_at_a_rate(to, n, every, until)).collect();
    wait_for(began + plan.before);
    world.server.stop();
    let memory = sample_memory(&world, until);
    let waiting = world.told("waiting");
    let calls = tasks.into_iter().flat_map(|task| world.runtime.block_on(task).expect("no panic"));
    let (before, during): (Vec<_>, Vec<_>) =
        calls.partition(|call: &(Instant, Duration)| call.0 < began + plan.before);
    let calls = before.len() + during.len();
    world.server.resume();
    wait_until("no row waits", PATIENCE, || (world.told("waiting") == 0).then_some(()));
    let counts = "select count(*), count(distinct correlation_id) from task_history";
    assert_eq!(world.query(counts), format!("{calls} {calls}"));
    let [before, during] = [before, during].map(percentiles);
    // After a minute everything was used once.
    let settled = &memory[(memory.len() / 5).min(60 * SAMPLES_PER_SECOND)..];
    let part = settled.len() / 4;
    let (early, late) = (median(&settled[..part]), median(&settled[3 * part..]));
    eprintln!(
        "{calls} calls, {waiting} rows waited; p50 {:?} then {:?}, p99 {:?} then {:?}; RssAnon {early} \
         KiB then {late} KiB",
        before.0, during.0, before.1, during.1,
    );
    assert!(during.1 <= before.1.mul_f64(1.1) + plan.noise, "callers noticed");
    assert!(late <= early + plan.slack_kib, "memory grew: {memory:?}");
}

/// A call every so often, on time whatever the last one took, over a connection until that has carried
/// enough; when each was due, and how long after that it had its answer.
fn call_at_a_rate(
    to: SocketAddr,
    number: u32,
    every: Duration,
    until: Instant,
) -> JoinHandle<Vec<(Instant, Duration)>> {
    tokio::spawn(async move {
        let mut stream = connect(to).await;
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut calls = Vec::new();
        loop {
            let due = pace.tick().await.into_std();
            if due >= until {
                return calls;
            }
            let correlation_id = format!("paced-{number}-{}", calls.len());
            let answer = exchange(&mut stream, &correlation_id).await;
            let Some(End::Answered { status: 200, is_last, .. }) = answer else {
                panic!("{answer:?}");
            };
            calls.push((due, fusebox::clock::now() - due));
            if is_last {
                stream = connect(to).await;
            }
        }
    })
}

async fn connect(to: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(to).await.expect("it accepts connections");
    stream.set_nodelay(true).expect("small writes go out at once");
    BufReader::new(stream)
}

/// The median and the 99th percentile: of the windows of a second, the one in the middle, so that
/// what else the machine does now and then does not decide.
fn percentiles(mut calls: Vec<(Instant, Duration)>) -> (Duration, Duration) {
    calls.sort_unstable();
    let first = calls.first().expect("there were calls").0;
    let mut by_second: Vec<Vec<Duration>> = Vec::new();
    for (due, took) in calls {
        let second = usize::try_from((due - first).as_secs()).expect("a short test");
        by_second.resize_with(by_second.len().max(second + 1), Vec::new);
        by_second[second].push(took);
    }
    let mut windows: Vec<_> = by_second
        .into_iter()
        .filter(|window| !window.is_empty())
        .map(|mut window| {
            window.sort_unstable();
            (window[window.len() / 2], window[window.len() * 99 / 100])
        })
        .collect();
    windows.sort_unstable_by_key(|window| window.1);
    windows[windows.len() / 2]
}

/// How often memory is looked at.
const SAMPLES_PER_SECOND: usize = 4;

/// The anonymous memory of Fusebox.
fn sample_memory(world: &World, until: Instant) -> Vec<u64> {
    let mut samples = Vec::new();
    while fusebox::clock::now() < until {
        let status = fs::read_to_string(format!("/proc/{}/status", world.fusebox.pid()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        samples.push(number.and_then(|number| number.parse().ok()).expect("the system tells it"));
        wait_for(fusebox::clock::now() + Duration::from_millis(250));
    }
    samples
}

fn wait_for(time: Instant) {
    wait_until("time passes", 2 * PATIENCE, || (fusebox::clock::now() >= time).then_some(()));
}

fn median(samples: &[u64]) -> u64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[samples.len() / 2]
}

#[test]
fn callers_and_memory_do_not_notice_that_the_store_is_away() {
    the_store_is_away(&Plan {
        before: Duration::from_secs(6),
        away: Duration::from_secs(15),
        calls_per_second: 500,
        noise: Duration::from_millis(20),
        slack_kib: 8 * 1024,
    });
}

#[cfg(feature = "long-tests")]
#[test]
fn callers_and_memory_do_not_notice_that_the_store_is_away_for_ten_minutes() {
    let seconds = crate::settings::number("FUSEBOX_TORTURE_AWAY_SECONDS").unwrap_or(600);
    the_store_is_away(&Plan {
        before: Duration::from_secs(60),
        away: Duration::from_secs(seconds),
        calls_per_second: 500,
        noise: Duration::from_millis(5),
        slack_kib: 2 * 1024,
    });
}
