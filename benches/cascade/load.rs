//! The callers: so many a second, whatever became of those before them.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use fusebox::clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::{
    Result,
    chain::Doors,
    figures::{Call, Kind, Samples},
    service::{NEEDS_C, request, status},
    timeline::Timeline,
};

/// Calls a second to B for what needs no C, to all its instances together.
const UNRELATED_RATE: u32 = 40;
/// To A for its own work.
const OWN_RATE: u32 = 20;
/// To A for what needs C.
const NEEDING_RATE: u32 = 10;
/// To each further instance of B for what needs C: so few that it would learn late by itself.
const RARE_RATE: u32 = 1;

/// How long who needs no C waits.
const SHORT: Duration = Duration::from_secs(2);
/// How long who needs C waits.
const LONG: Duration = Duration::from_secs(5);

/// Calls of one kind.
#[derive(Debug, Clone)]
struct Stream {
    kind: Kind,
    doors: Vec<SocketAddr>,
    path: &'static str,
    per_second: u32,
    patience: Duration,
}

/// All calls of a scenario until the end.
pub(crate) async fn callers(doors: Doors, timeline: Timeline, began: Instant) -> Result<Samples> {
    let stream = |kind, doors, path, per_second, patience| Stream {
        kind,
        doors,
        path,
        per_second,
        patience,
    };
    let mut streams = JoinSet::new();
    for (number, door) in doors.needing.iter().enumerate() {
        let rate = if number == 0 { NEEDING_RATE } else { RARE_RATE };
        let needing = stream(Kind::Needing(number), vec![*door], NEEDS_C, rate, LONG);
        streams.spawn(drive(needing, timeline, began));
    }
    let unrelated = stream(Kind::Unrelated, doors.unrelated, "/unrelated", UNRELATED_RATE, SHORT);
    streams.spawn(drive(unrelated, timeline, began));
    let own = stream(Kind::Own, vec![doors.own], "/own", OWN_RATE, SHORT);
    streams.spawn(drive(own, timeline, began));
    let mut samples = Samples::default();
    while let Some(calls) = streams.join_next().await {
        samples.merge(calls??);
    }
    Ok(samples)
}

async fn drive(stream: Stream, timeline: Timeline, began: Instant) -> Result<Samples> {
    let period = Duration::from_secs(1) / stream.per_second;
    let mut calls = JoinSet::new();
    for (number, door) in (0_u32..).zip(stream.doors.iter().cycle()) {
        // Somewhere in its period, so that no two scenarios beat together.
        let at = period * number + period.mul_f64(fastrand::f64());
        if at >= timeline.ends_at() {
            break;
        }
        sleep_until((began + at).into()).await;
        calls.spawn(call(*door, stream.path, stream.patience));
    }
    let mut samples = Samples::default();
    while let Some(done) = calls.join_next().await {
        let (started, took, is_good) = done?;
        let at = started.saturating_duration_since(began);
        samples.add(Call { kind: stream.kind, at, took, is_good });
    }
    Ok(samples)
}

/// One call: when it began, how long it took, and whether it was answered as it should be.
async fn call(
    door: SocketAddr,
    path: &'static str,
    patience: Duration,
) -> (Instant, Duration, bool) {
    let started = clock::now();
    let answer = timeout(patience, get(door, path)).await;
    (started, clock::now() - started, matches!(answer, Ok(Ok(Some(200)))))
}

async fn get(door: SocketAddr, path: &str) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(request(door, path).as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(status(&String::from_utf8_lossy(&answer)))
}
