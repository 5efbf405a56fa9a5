//! Callers on connections that stay open, who write down what they sent and what came back.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a call ended for its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With a whole answer; `is_last` where it asks for another connection for the next.
    Answered { status: u16, task_id: String, is_refused: bool, is_last: bool },
    /// The connection broke first.
    Broken,
}

/// One call as its caller knows it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) correlation_id: String,
    pub(crate) end: End,
    /// Whether the same connection broke in this call or in the next.
    pub(crate) is_near_a_break: bool,
}

/// What the callers are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) callers: usize,
    /// The pause between the calls of one caller.
    pub(crate) every: Duration,
    /// The length of a correlation id at least.
    pub(crate) id_length: usize,
}

/// Callers at work.
pub(crate) struct Callers {
    made: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Call>>>,
}

impl Callers {
    /// Sets them to work. Needs a runtime around it.
    pub(crate) fn start(to: SocketAddr, habits: Habits) -> Self {
        let (made, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let tasks = (0..habits.callers)
            .map(|number| {
                let name = format!("caller-{number}");
                let mut pace = interval(habits.every);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let (made, is_over) = (Arc::clone(&made), Arc::clone(&is_over));
                let caller = Caller { to, name, id_length: habits.id_length, pace, calls: vec![] };
                tokio::spawn(caller.work(made, is_over))
            })
            .collect();
        Self { made, is_over, tasks }
    }

    /// Calls with an answer so far.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    /// Lets each end the call that it is in; returns all calls.
    pub(crate) async fn finish(self) -> Vec<Call> {
        self.is_over.store(true, Relaxed);
        let mut calls = Vec::new();
        for task in self.tasks {
            calls.extend(task.await.expect("a caller does not panic"));
        }
        calls
    }
}

struct Caller {
    to: SocketAddr,
    name: String,
    id_length: usize,
    pace: Interval,
    calls: Vec<Call>,
}

impl Caller {
    async fn work(mut self, made: Arc<AtomicU64>, is_over: Arc<AtomicBool>) -> Vec<Call> {
        while !is_over.load(Relaxed) {
            self.pace.tick().await;
            let Ok(stream) = TcpStream::connect(self.to).await else { continue };
            drop(stream.set_nodelay(true));
            let mut stream = BufReader::new(stream);
            let mut is_open = true;
            while is_open && !is_over.load(Relaxed) {
                self.pace.tick().await;
                let is_last = self.call(&mut stream).await;
                made.fetch_add(u64::from(is_last.is_some()), Relaxed);
                is_open = is_last == Some(false);
            }
        }
        self.calls
    }

    /// One call; whether it was the last of the connection. None when that broke.
    async fn call(&mut self, stream: &mut BufReader<TcpStream>) -> Option<bool> {
        let mut correlation_id = format!("{}-{}-", self.name, self.calls.len());
        while correlation_id.len() < self.id_length {
            correlation_id.push('x');
        }
        let exchange = timeout(PATIENCE, exchange(stream, &correlation_id));
        let answer = exchange.await.expect("Fusebox answers, or is dead");
        let is_broken = answer.is_none();
        if is_broken && let Some(last) = self.calls.last_mut() {
            last.is_near_a_break = true;
        }
        let is_last = answer.as_ref().map(|end| matches!(end, End::Answered { is_last: true, .. }));
        let end = answer.unwrap_or(End::Broken);
        self.calls.push(Call { correlation_id, end, is_near_a_break: is_broken });
        is_last
    }
}

/// Sends a request and reads the whole answer; none when the connection breaks.
pub(crate) async fn exchange(
    stream: &mut BufReader<TcpStream>,
    correlation_id: &str,
) -> Option<End> {
    let request = format!(
        "GET /pay HTTP/1.1\r\nhost: localhost\r\nx-correlation-id: {correlation_id}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let task_id = headers.remove("x-task-id").expect("each answer has an id");
    let is_refused = headers.get("proxy-status").is_some_and(|_| status == 503);
    let is_last = headers.get("connection").is_some_and(|value| value == "close");
    Some(End::Answered { status, task_id, is_refused, is_last })
}
