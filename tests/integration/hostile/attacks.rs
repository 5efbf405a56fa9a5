//! Floods: each is stopped within a bound, and others are served meanwhile.

use super::caller::{
    CONTINUATION, Caller, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GET, GOAWAY,
    HEADERS, PING, REFUSED_STREAM, RST_STREAM, SETTINGS, fields, frame, request,
};
use crate::harness::{Fusebox, ScriptedUpstream, Setup, Step, raw, stall};

/// More than any honest caller's window.
const OPEN: u32 = 1 << 20;

/// A proxy whose upstream answers `/` at once, and `/stall` never.
fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    upstream.answer_on("/stall", stall());
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

fn at(path: &'static str) -> [(&'static str, &'static str); 4] {
    GET.map(|(name, value)| (name, if name == ":path" { path } else { value }))
}

/// Sends pieces until the other side has had enough, and how many it took.
fn flood(caller: &mut Caller, limit: usize, piece: impl Fn(usize) -> Vec<u8>) -> usize {
    (0..limit).take_while(|&at| caller.send(&piece(at))).count()
}

/// Why the connection ended; none when it did without a word.
fn goodbye(caller: &mut Caller) -> Option<u32> {
    caller.wait_for(|frame| frame.kind == GOAWAY).as_ref().map(Frame::code)
}

fn assert_serves_others(fusebox: &Fusebox) {
    assert_eq!(fusebox.get("/", &[]).status, 200);
    let mut other = Caller::open(fusebox, OPEN);
    other.send(&request(1, &GET));
    assert_eq!(other.end_of(1).expect("it goes on").kind, HEADERS);
}

#[test]
fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    const PAIRS: u32 = 5_000;
    let (upstream, fusebox) = start();
    let mut caller = Caller::open(&fusebox, OPEN);
    let pairs = (0..PAIRS).flat_map(|number| {
        let stream = 2 * number + 1;
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [request(stream, &at("/stall")), reset].concat()
    });
    caller.send(&pairs.collect::<Vec<u8>>());
    assert!(matches!(goodbye(&mut caller), Some(ENHANCE_YOUR_CALM) | None));
    assert!(upstream.hits() < 200, "{} of them were sent on", upstream.hits());
    assert_serves_others(&fusebox);
}

#[test]
fn one_who_gives_up_call_after_call_is_told_to_go() {
    const AT_A_TIME: u32 = 20;
    const ROUNDS: u32 = 200;
    let (upstream, fusebox) = start();
    let mut caller = Caller::open(&fusebox, OPEN);
    let left = (0..ROUNDS).find(|round| {
        let streams = (0..AT_A_TIME).map(|n| 2 * (AT_A_TIME * round + n) + 1);
        let calls: Vec<u8> = streams.clone().flat_map(|s| request(s, &at("/stall"))).collect();
        let resets = streams.flat_map(|s| frame(RST_STREAM, 0, s, &8_u32.to_be_bytes()));
        // The answer to the ping says that the calls were taken before they are given up.
        caller.send(&[calls, frame(PING, 0, 0, &[7; 8])].concat());
        let came = caller.wait_for(|frame| matches!(frame.kind, PING | GOAWAY));
        caller.send(&resets.collect::<Vec<u8>>());
        came.is_none_or(|frame| frame.kind == GOAWAY)
    });
    let left = left.expect("it is told to go");
    assert!((500..1_000).contains(&(AT_A_TIME * left)), "after {left} rounds");
    assert!(upstream.hits() <= 1_000, "{} were sent on", upstream.hits());
    assert_serves_others(&fusebox);
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let (upstream, fusebox) = start();
    for piece in [fields(&[("x", "y")]), Vec::new()] {
        let mut caller = Caller::open(&fusebox, OPEN);
        caller.send(&frame(HEADERS, END_STREAM, 1, &fields(&GET)));
        let taken = flood(&mut caller, 200_000, |_| frame(CONTINUATION, 0, 1, &piece));
        assert!(taken < 200_000, "it took all");
    }
    assert_eq!(upstream.hits(), 0);
    assert_serves_others(&fusebox);
}

#[test]
fn a_head_that_is_too_large_is_refused_and_the_next_is_served() {
    let (upstream, fusebox) = start();
    let mut caller = Caller::open(&fusebox, OPEN);
    let value = "v".repeat(10_000);
    let large: Vec<_> = GET.into_iter().chain([("x-large", &*value); 7]).collect();
    let block = fields(&large);
    let mut pieces = block.chunks(16_000);
    let first = pieces.next().expect("there is one");
    caller.send(&frame(HEADERS, END_STREAM, 1, first));
    pieces.for_each(|piece| assert!(caller.send(&frame(CONTINUATION, 0, 1, piece))));
    caller.send(&frame(CONTINUATION, END_HEADERS, 1, b""));
    caller.send(&request(3, &GET));
    let refusal = caller.end_of(1).expect("it goes on");
    assert!(matches!(refusal.kind, HEADERS | RST_STREAM), "{refusal:?}");
    assert_eq!(caller.end_of(3).expect("it goes on").kind, HEADERS);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn data_frames_without_data_end_the_connection() {
    let (_upstream, fusebox) = start();
    let mut caller = Caller::open(&fusebox, OPEN);
    let head =
        at("/stall").map(|(name, value)| (name, if value == "GET" { "POST" } else { value }));
    caller.send(&frame(HEADERS, END_HEADERS, 1, &fields(&head)));
    let taken = flood(&mut caller, 200_000, |_| frame(DATA, 0, 1, b""));
    assert!(taken < 200_000, "it took all");
    assert!(matches!(goodbye(&mut caller), Some(ENHANCE_YOUR_CALM) | None));
    assert_serves_others(&fusebox);
}

#[test]
fn one_who_asks_for_replies_and_reads_none_is_not_read_from_for_ever() {
    const ENOUGH: usize = 64 << 20;
    for (kind, payload) in [(PING, &[7; 8][..]), (SETTINGS, &[][..])] {
        let (_upstream, fusebox) = start();
        let mut caller = Caller::open(&fusebox, OPEN);
        let piece = frame(kind, 0, 0, payload).repeat(4_000);
        let pieces = ENOUGH / piece.len();
        let taken = flood(&mut caller, pieces, |_| piece.clone());
        assert!(taken < pieces, "all of kind {kind} were taken");
        assert_serves_others(&fusebox);
    }
}

#[test]
fn more_streams_at_a_time_than_are_allowed_are_refused_and_the_others_go_on() {
    let upstream = ScriptedUpstream::start();
    upstream.answer_on("/stall", stall());
    let fusebox = Setup::of(format!(
        "listeners:
  egress: {{ listen: \"{{proxy}}\", upstream: payments, limits: {{ streams: 3 }} }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        upstream.url()
    ))
    .start();
    let mut caller = Caller::open(&fusebox, OPEN);
    for stream in [1, 3, 5] {
        caller.send(&request(stream, &at("/stall")));
    }
    caller.send(&request(7, &GET));
    let refusal = caller.end_of(7).expect("it goes on");
    assert_eq!((refusal.kind, refusal.code()), (RST_STREAM, REFUSED_STREAM));
    caller.send(&frame(RST_STREAM, 0, 3, &8_u32.to_be_bytes()));
    caller.send(&request(9, &GET));
    assert_eq!(caller.end_of(9).expect("it goes on").kind, HEADERS);
}

#[test]
fn a_stream_without_a_window_keeps_no_other_waiting() {
    let (upstream, fusebox) = start();
    let large = "x".repeat(1 << 20);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{large}", large.len());
    upstream.answer_on("/large", vec![Step::ReadBody, raw(&answer)]);
    let mut caller = Caller::open(&fusebox, 0);
    for number in 0..50 {
        caller.send(&request(2 * number + 1, &at("/large")));
    }
    for _ in 0..50 {
        assert!(caller.wait_for(|frame| frame.kind == HEADERS).is_some());
    }
    caller.send(&request(201, &GET));
    assert_eq!(caller.end_of(201).expect("it goes on").kind, HEADERS);
    assert_serves_others(&fusebox);
}
