//! Bodies of any size, as fast as the slower side takes them, in memory that stays the same.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    harness::{Connection, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw},
    local::wait_until,
};

const MIB: u64 = 1 << 20;

/// What goes through in one body: more than any buffer on the way could hold unnoticed.
const LARGE: u64 = if cfg!(feature = "long-tests") { 10 << 30 } else { 1 << 30 };

/// What Fusebox may take for a body, however large: some buffers.
const ROOM: u64 = 16 * MIB;

/// What the system's own buffers between two processes hold, on both hops.
const IN_SOCKETS: u64 = 64 * MIB;

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    // What the first call needs is no matter of its size.
    assert_eq!(fusebox.connect().call("POST", "/", &[], b"warm").status, 200);
    (upstream, fusebox)
}

/// The memory of Fusebox that is no file's.
fn anonymous_bytes(fusebox: &Fusebox) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fusebox.pid()));
    let status = status.expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("it is told in kB") * 1024
}

/// The memory that is in use meanwhile, at its highest, above what it was before.
struct Memory<'a> {
    fusebox: &'a Fusebox,
    before: u64,
    highest: u64,
}

impl<'a> Memory<'a> {
    fn of(fusebox: &'a Fusebox) -> Self {
        let before = anonymous_bytes(fusebox);
        Self { fusebox, before, highest: before }
    }

    fn look(&mut self) {
        self.highest = self.highest.max(anonymous_bytes(self.fusebox));
    }

    fn assert_flat(&self) {
        let grown = self.highest - self.before;
        assert!(grown <= ROOM, "it took {} KiB for bodies", grown / 1024);
    }
}

/// Waits until a count no longer grows, looking more often than anything that moves would stop.
fn stalled(what: &str, count: &AtomicU64) -> u64 {
    const LOOKS: u32 = 5;
    let (mut last, mut same) = (0, 0);
    wait_until(&format!("{what} stalls"), PATIENCE, || {
        let now = count.load(Ordering::Relaxed);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        (same == LOOKS).then_some(now)
    })
}

fn piece() -> Arc<[u8]> {
    vec![b'x'; 64 * 1024].into()
}

/// Pours a body of this length, framed by it or in chunks.
fn pour(length: u64, is_chunked: bool) -> (Vec<Step>, Arc<AtomicU64>) {
    let taken = Arc::<AtomicU64>::default();
    let mut bytes = piece().to_vec();
    let times = length / bytes.len() as u64;
    if is_chunked {
        bytes = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes[..], b"\r\n"].concat();
    }
    let (framing, end) = if is_chunked {
        ("transfer-encoding: chunked".to_owned(), "0\r\n\r\n")
    } else {
        (format!("content-length: {length}"), "")
    };
    let steps = vec![
        Step::ReadBody,
        raw(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")),
        Step::Pour { piece: bytes.into(), times, taken: Arc::clone(&taken) },
        raw(end),
    ];
    (steps, taken)
}

#[test]
fn a_large_answer_passes_in_constant_memory() {
    let (upstream, fusebox) = start();
    for is_chunked in [false, true] {
        upstream.answer_on("/large", pour(LARGE, is_chunked).0);
        let mut connection = fusebox.connect();
        let mut memory = Memory::of(&fusebox);
        connection.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
        let (_, headers) = connection.head();
        let mut seen: u64 = 0;
        let mut looked = 0;
        let whole = connection.pass(&headers, |piece| {
            seen += piece as u64;
            if seen >= looked {
                memory.look();
                looked = seen + 16 * MIB;
            }
        });
        assert!(whole.is_ok(), "after {seen} bytes: {whole:?}");
        assert_eq!(seen, LARGE);
        memory.assert_flat();
        assert_eq!(connection.get("/", &[]).status, 200, "the connection goes on");
    }
}

#[test]
fn a_large_request_passes_in_constant_memory() {
    let (upstream, fusebox) = start();
    let taken = Arc::<AtomicU64>::default();
    upstream.answer_on(
        "/large",
        vec![
            Step::Drain(Arc::clone(&taken)),
            raw("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"),
        ],
    );
    let mut connection = fusebox.connect();
    let mut memory = Memory::of(&fusebox);
    connection.send(format!("POST /large HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n"));
    let piece = piece();
    for sent in 0..LARGE / piece.len() as u64 {
        connection.send(&piece);
        if sent % 256 == 0 {
            memory.look();
        }
    }
    assert_eq!(connection.response("POST").status, 201);
    assert_eq!(taken.load(Ordering::Relaxed), LARGE);
    memory.assert_flat();
}

#[test]
fn a_caller_that_reads_slowly_slows_the_upstream() {
    let (upstream, fusebox) = start();
    let length = 256 * MIB;
    let (steps, taken) = pour(length, false);
    upstream.answer_on("/large", steps);
    let mut memory = Memory::of(&fusebox);
    let mut connection = fusebox.connect();
    connection.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
    let (_, headers) = connection.head();
    let poured = stalled("the upstream", &taken);
    assert!(poured < IN_SOCKETS, "{} MiB are under way", poured / MIB);
    memory.look();
    memory.assert_flat();
    let mut seen = 0;
    connection.pass(&headers, |piece| seen += piece as u64).expect("it is whole");
    assert_eq!(seen, length);
}

#[test]
fn an_upstream_that_reads_slowly_slows_the_caller() {
    let (upstream, fusebox) = start();
    let length = 256 * MIB;
    let (gate, taken) = (Gate::new(), Arc::<AtomicU64>::default());
    upstream.answer_on(
        "/large",
        vec![
            Step::WaitFor(Arc::clone(&gate)),
            Step::Drain(Arc::clone(&taken)),
            raw("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"),
        ],
    );
    let mut memory = Memory::of(&fusebox);
    let mut connection = fusebox.connect();
    connection.send(format!("PUT /large HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"));
    let sent = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&sent);
    let sending = std::thread::spawn(move || {
        let piece = piece();
        for _ in 0..length / piece.len() as u64 {
            connection.send(&piece);
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        connection
    });
    let under_way = stalled("the caller", &sent);
    assert!(under_way < IN_SOCKETS, "{} MiB are under way", under_way / MIB);
    memory.look();
    memory.assert_flat();
    gate.open();
    let mut connection = sending.join().expect("it sends everything");
    assert_eq!(connection.response("PUT").status, 201);
    assert_eq!(taken.load(Ordering::Relaxed), length);
}

#[test]
fn many_callers_that_read_nothing_take_little_memory() {
    const CALLERS: u64 = 100;
    let (upstream, fusebox) = start();
    let (steps, taken) = pour(64 * MIB, false);
    upstream.answer_on("/large", steps);
    let mut memory = Memory::of(&fusebox);
    let callers: Vec<Connection> = (0..CALLERS)
        .map(|_| {
            let mut connection = fusebox.connect();
            connection.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
            connection
        })
        .collect();
    stalled("every upstream", &taken);
    memory.look();
    let each = (memory.highest - memory.before) / CALLERS;
    assert!(each <= MIB, "each takes {} KiB", each / 1024);
    drop(callers);
}

#[test]
fn a_body_of_nothing_is_one_on_both_sides() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    for (framing, body, arrives_as) in
        [("content-length: 0", "", Some("0")), ("transfer-encoding: chunked", "0\r\n\r\n", None)]
    {
        for answer in ["content-length: 0\r\n\r\n", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"] {
            upstream.answer(vec![Step::ReadBody, raw(&format!("HTTP/1.1 200 OK\r\n{answer}"))]);
            connection.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}"));
            assert!(connection.response("POST").body.is_empty());
            let received = upstream.last();
            assert!(received.body.is_empty() && received.trailers.is_some(), "{framing}");
            if arrives_as.is_some() {
                assert_eq!(received.headers.one("content-length"), arrives_as);
            }
        }
    }
}
