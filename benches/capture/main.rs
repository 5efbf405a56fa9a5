//! What it costs to find out what a call means: `cargo bench --bench capture`.
//!
//! Requests of 64 KiB of JSON in several shapes, with sixteen parameters, the last of which stands at
//! their end, and a stream of as many bytes: copied as it goes by, in pieces of 16 KiB, and read at
//! the end. The first part is on the way of a call, the second behind its last byte. The figures are
//! microseconds of processor time per call, medians of several rounds. Then whole calls through the
//! real binary, of routes that capture and of routes that do not.
//!
//! Prints a table and never fails for what it says.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../instructions/caller.rs"]
mod caller;
#[path = "../../tests/support/local.rs"]
#[expect(dead_code, reason = "shared with tests, which need more of it")]
mod local;
mod pairs;

use std::{error::Error, fmt::Write, fs, hint::black_box, sync::Arc, time::Duration};

use fusebox::{
    capture::{Capture, Copied, Extraction, Faults, MAX_BODY},
    domain::capture::{Conclusion, Kind, Param, Plan, Pointer, Preset, Price, Source, Tariff},
};
use http::{HeaderMap, HeaderValue, header};

/// Calls in a round.
const CALLS: u32 = 2_000;
/// Rounds; odd, so that one is in the middle.
const ROUNDS: usize = 21;
/// What goes by at once.
const PIECE: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    println!("capturing from 64 KiB, µs of processor time per call");
    println!("{ROUNDS} rounds of {CALLS} calls\n");
    println!("{:<44}{:>8}{:>10}{:>10}{:>10}", "", "bar", "copying", "reading", "best");
    let (asked, metered) = (extraction(plan()), extraction(meter()));
    for (what, body) in [
        ("request, one long text", long_text()),
        ("request, a conversation of short messages", conversation()),
        ("request, numbers", numbers()),
        ("request, nested and indented", indented()),
    ] {
        tell(
            what,
            || request(&asked, &body),
            |(capture, copied)| {
                assert_eq!(
                    params(&capture.conclude(Some(copied), true, true)),
                    16,
                    "all were looked at"
                );
            },
        );
    }
    let events = events();
    tell(
        "stream of a language model",
        || answer(&metered, &events),
        |capture| {
            assert_eq!(params(&capture.conclude(None, true, true)), 5, "it was metered");
        },
    );
    pairs::tell()
}

fn params(conclusion: &Conclusion) -> usize {
    black_box(conclusion).captured.params.len()
}

/// Prints what it takes to copy, and to read what was copied.
fn tell<C>(what: &str, copy: impl Fn() -> C, read: impl Fn(&C)) {
    let copied = copy();
    let (copying, _) = rounds(|| drop(black_box(copy())));
    let (reading, best) = rounds(|| read(black_box(&copied)));
    println!("{what:<44}{:>8}{copying:>10.1}{reading:>10.1}{best:>10.1}", 60);
}

/// What one time takes: in the middle of all rounds, and in the best.
fn rounds(once: impl Fn()) -> (f64, f64) {
    let mut all: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = on_processor();
            (0..CALLS).for_each(|_| once());
            (on_processor() - before).as_secs_f64() * 1e6 / f64::from(CALLS)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    (all[ROUNDS / 2], all[0])
}

/// How long this thread has been on a processor, as Linux counts it.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

/// Sixteen parameters of the body: the last stands at its end, and of five there are none.
fn plan() -> Plan {
    let mut plan = Plan::new(None);
    for number in 0..16_u32 {
        let text = match number {
            0..=10 => format!("/settings/value{number}"),
            11..=14 => format!("/missing/{number}"),
            _ => "/last".to_owned(),
        };
        let Ok(pointer) = Pointer::parse(&text) else { continue };
        let source = plan.source(Source::RequestJson(pointer));
        let kind = Kind::Int { min: 0, max: 1_000 };
        plan.params.push(Param { name: text.into(), source, kind });
    }
    plan
}

fn extraction(plan: Plan) -> Arc<Extraction> {
    Arc::new(Extraction::new(Arc::new(plan), Arc::<Faults>::default()))
}

fn headers(content_type: &'static str) -> HeaderMap {
    let content_type = HeaderValue::from_static(content_type);
    [(header::CONTENT_TYPE, content_type)].into_iter().collect::<HeaderMap<_>>()
}

/// A request as it went by.
fn request(terms: &Arc<Extraction>, body: &str) -> (Capture, Copied) {
    let capture = Capture::begin(terms, "/beats", None, &headers("application/json"));
    let mut copied = Copied::default();
    body.as_bytes().chunks(PIECE).for_each(|piece| copied.add(piece));
    (capture, copied)
}

/// An answer as it went by.
fn answer(terms: &Arc<Extraction>, events: &str) -> Capture {
    let mut capture = Capture::begin(terms, "/v1/messages", None, &HeaderMap::new());
    capture.answered(200, &headers("text/event-stream"));
    events.as_bytes().chunks(PIECE).for_each(|piece| capture.passes(piece));
    capture
}

/// What a language model used, with a price.
fn meter() -> Plan {
    let mut plan = Plan::new(None);
    let price = Price::per_million("2.5").unwrap_or_default();
    let (input, cached_input, cache_write, output) = (price, price, price, price);
    let tariff = Tariff { model: "claude*".into(), input, cached_input, cache_write, output };
    plan.meter(Preset::Anthropic, vec![tariff]);
    plan
}

/// A document of 64 KiB: what is wanted at both ends, and in between `"filling":` and this.
fn document(filling: impl Fn(&mut String, usize)) -> String {
    let mut text = "{\"settings\": {".to_owned();
    for number in 0..11 {
        write!(text, "\"value{number}\": {number}, ").ok();
    }
    text.push_str("\"end\": 0}, \"filling\": ");
    let end = ", \"last\": 7}";
    filling(&mut text, MAX_BODY - end.len());
    text + end
}

fn long_text() -> String {
    document(|text, length| {
        text.push('"');
        let rest = length - text.len() - 1;
        text.push_str(&"la ".repeat(rest.div_ceil(3))[..rest]);
        text.push('"');
    })
}

/// A list with as many items as there is room for.
fn list(item: impl Fn(usize) -> String) -> String {
    document(|text, length| {
        text.push('[');
        for number in 0.. {
            let item = item(number);
            if text.len() + item.len() + 3 > length {
                break;
            }
            text.push_str(if number > 0 { "," } else { "" });
            text.push_str(&item);
        }
        text.push(']');
    })
}

fn conversation() -> String {
    list(|number| {
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        let text = "Tell me \\\"more\\\" about it,\\nplease. ".repeat(1 + number % 4);
        format!("{{\"role\":\"{role}\",\"content\":\"{text}\"}}")
    })
}

fn numbers() -> String {
    list(|number| format!("{number}.{}", number * 7 % 1_000))
}

fn indented() -> String {
    list(|number| {
        format!(
            "\n        {{\n            \"id\": {number},\n            \"tags\": [\n                \"a\",\n                [true, null]\n            ]\n        }}"
        )
    })
}

/// A stream of 64 KiB by the format of Anthropic.
fn events() -> String {
    let (head, tail) = include_str!("../../tests/data/streams/anthropic.sse")
        .split_once("event: content_block_stop")
        .unwrap_or_default();
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n";
    let room = MAX_BODY - head.len() - tail.len() - "event: content_block_stop".len();
    format!("{head}{}event: content_block_stop{tail}", delta.repeat(room / delta.len()))
}
