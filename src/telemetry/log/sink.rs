//! Where lines go: bounded buffers, emptied by one thread into stdout and the log file.
//!
//! A lane is one writer's buffer, so that data-plane threads do not share one. A line that does not
//! fit because nobody reads stdout is dropped and counted: a full pipe must not stop a call.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use crate::clock;

/// Bytes that may wait in a lane; above, lines are dropped.
const LANE_BYTES: usize = 4 << 20;
/// Bytes in a lane that are worth waking the thread for.
const WAKE_BYTES: usize = 128 << 10;
/// The pause of a line that waits for room.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// The longest that a line waits.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// The longest that the end waits for the last lines to be written.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// The thread that writes lines out. Dropping it writes what is left.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    running: mpsc::Receiver<Infallible>,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Vec<Lane>>,
    closing: AtomicBool,
    lost: AtomicU64,
}

impl Sink {
    /// Starts the thread.
    ///
    /// # Errors
    /// The log file cannot be opened, or the thread cannot be started.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        let append = |path| OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        let file = file.map(append).transpose()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (runs, running) = mpsc::sync_channel(0);
        let thread = thread::Builder::new().name("fusebox-log".into()).spawn(move || {
            write_out(&theirs, file);
            drop(runs);
        })?;
        Ok(Self { shared, thread: Some(thread), running })
    }

    /// A new lane.
    pub fn lane(&self) -> Lane {
        let writer = self.thread.as_ref().map(|thread| thread.thread().clone());
        let lane = Lane {
            inner: Arc::new(Inner {
                buffer: Mutex::default(),
                writer,
                shared: Arc::clone(&self.shared),
            }),
        };
        lock(&self.shared.lanes).push(lane.clone());
        lane
    }

    /// Where it is read how many lines were lost.
    pub fn losses(&self) -> Losses {
        Losses(Arc::clone(&self.shared))
    }
}

/// Lines that nobody will read.
#[derive(Debug, Clone)]
pub struct Losses(Arc<Shared>);

impl Losses {
    /// Lines that found no room, or that stdout or the log file did not take, since the start.
    pub fn lines(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Counts the lines of a write that failed.
    fn written(&self, result: io::Result<()>, lines: &[u8]) {
        if result.is_err() {
            self.lost
                .fetch_add(memchr::memchr_iter(b'\n', lines).count() as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // One that is stuck in a pipe that nobody reads ends with the process.
            let _ended_or_stuck = self.running.recv_timeout(LAST_WRITE);
        }
    }
}

/// One writer's buffer.
#[derive(Debug, Clone)]
pub struct Lane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Held for the length of one append; the thread only swaps it out.
    buffer: Mutex<Vec<u8>>,
    writer: Option<Thread>,
    shared: Arc<Shared>,
}

impl Lane {
    /// Appends a line that may wait for room until then, because nobody waits for who appends it.
    pub fn append_by(&self, deadline: Instant, format: impl FnOnce(&mut Vec<u8>)) {
        while lock(&self.inner.buffer).len() > LANE_BYTES && clock::now() < deadline {
            thread::park_timeout(ROOM_PAUSE);
        }
        self.append(format);
    }

    /// Appends one line; `format` writes it without its line end.
    pub fn append(&self, format: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = lock(&self.inner.buffer);
        if buffer.len() > LANE_BYTES {
            drop(buffer);
            self.inner.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = buffer.len();
        format(&mut buffer);
        buffer.push(b'\n');
        let filled = before < WAKE_BYTES && buffer.len() >= WAKE_BYTES;
        drop(buffer);
        if filled && let Some(writer) = &self.inner.writer {
            writer.unpark();
        }
    }
}

fn write_out(shared: &Shared, mut file: Option<File>) {
    let mut lines = Vec::new();
    loop {
        // Read before the last round, so that what was appended until then is written.
        let closing = shared.closing.load(Ordering::Acquire);
        let lanes = lock(&shared.lanes).clone();
        for lane in &lanes {
            std::mem::swap(&mut lines, &mut *lock(&lane.inner.buffer));
            // There is nobody to tell when stdout or the file is gone: it shows in the metrics.
            shared.written(io::stdout().lock().write_all(&lines), &lines);
            if let Some(file) = &mut file {
                shared.written(file.write_all(&lines), &lines);
            }
            lines.clear();
        }
        if closing {
            let _gone = io::stdout().lock().flush();
            return;
        }
        thread::park_timeout(FLUSH_EVERY);
    }
}

/// A panic while a line was formatted leaves at worst a broken line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{LANE_BYTES, Sink, lock};
    use crate::clock;
    use std::{fs, thread, time::Duration};

    #[test]
    fn every_line_of_every_lane_is_written_by_the_time_the_sink_is_dropped() {
        let path = std::env::temp_dir().join(format!("fusebox-log-{}", std::process::id()));
        let sink = Sink::open(Some(&path)).unwrap();
        let (a, b) = (sink.lane(), sink.lane());
        a.append(|line| line.extend_from_slice(br#"{"a":1}"#));
        b.append(|line| line.extend_from_slice(br#"{"b":2}"#));
        drop(sink);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}\n");
        fs::remove_file(path).unwrap();
    }

    /// A sink whose thread has stopped, as where nobody reads stdout.
    fn stopped() -> Sink {
        let mut sink = Sink::open(None).unwrap();
        sink.shared.closing.store(true, std::sync::atomic::Ordering::Release);
        let thread = sink.thread.take().unwrap();
        thread.thread().unpark();
        thread.join().unwrap();
        sink
    }

    #[test]
    fn a_line_that_may_wait_is_kept_until_there_is_room() {
        let sink = stopped();
        let (lane, soon) = (sink.lane(), clock::now() + Duration::from_secs(20));
        lane.append(|line| line.resize(LANE_BYTES + 1, b' '));
        thread::scope(|scope| {
            scope.spawn(|| lane.append_by(soon, |line| line.push(b'x')));
            thread::park_timeout(Duration::from_millis(50));
            lock(&lane.inner.buffer).clear();
        });
        assert_eq!((&**lock(&lane.inner.buffer), sink.losses().lines()), (&b"x\n"[..], 0));
    }

    #[test]
    fn a_lane_that_nobody_empties_drops_and_counts() {
        let sink = stopped();
        let lane = sink.lane();
        lane.append(|line| line.resize(LANE_BYTES + 1, b' '));
        lane.append(|line| line.push(b'x'));
        lane.append_by(clock::now(), |line| line.push(b'x'));
        assert_eq!(sink.losses().lines(), 2, "patience ends");
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted() {
        let sink = Sink::open(Some(std::path::Path::new("/dev/full"))).unwrap();
        let (lane, losses) = (sink.lane(), sink.losses());
        lane.append(|line| line.extend_from_slice(b"{}"));
        lane.append(|line| line.extend_from_slice(b"{}"));
        drop(sink);
        assert_eq!(losses.lines(), 2);
    }
}
