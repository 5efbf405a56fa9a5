//! Whole calls, from their heads to what their rows tell.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::{Capture, Copied, Extraction, Faults, MAX_BODY};
use crate::domain::capture::{
    Captured, Charge, Conclusion, Fault, Impact, Kind, Param, Plan, Pointer, Preset, Price, Rule,
    Source, Success, Tariff, Template, Value,
};

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    fields.iter().map(field).collect()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

/// Beats: parameters from everywhere, a success, an impact, two charges.
fn beats() -> Plan {
    let mut plan = Plan::new(Some(Template::parse("/beats/{kind}").unwrap()));
    let int = Kind::Int { min: 40, max: 240 };
    let float = Kind::Float { min: 0.0, max: 600.0 };
    for (name, source, kind) in [
        ("bpm", Source::RequestJson(pointer("/bpm")), int),
        ("genre", Source::RequestJson(pointer("/genre")), Kind::Enum { max_values: 2 }),
        ("loop", Source::RequestJson(pointer("/loop")), Kind::Bool),
        ("seconds", Source::RequestHeader(HeaderName::from_static("x-seconds")), float),
        ("page", Source::Query("page_size".into()), Kind::Int { min: 0, max: 100 }),
        ("kind", Source::Path(1), Kind::Enum { max_values: 2 }),
    ] {
        let source = plan.source(source);
        plan.params.push(Param { name: name.into(), source, kind });
    }
    let source = plan.source(Source::ResponseJson(pointer("/status")));
    let unless = Some(Rule { source, equals: "failed".into() });
    plan.success = Some(Success { statuses: vec![200..=299], unless });
    let source = plan.source(Source::ResponseJson(pointer("/score")));
    plan.impact = Some(Impact { source, low: 0.0, high: 1.0 });
    let source = plan.source(Source::ResponseJson(pointer("/seconds")));
    let price = Price::per_unit("0.001").unwrap();
    plan.charges = vec![
        Charge::Fixed(Price::per_unit("0.002").unwrap()),
        Charge::PerUnit { source, price, is_required: true },
    ];
    plan
}

/// Carries calls of one route.
struct Calls {
    terms: Arc<Extraction>,
    faults: Arc<Faults>,
}

impl Calls {
    fn of(plan: Plan) -> Self {
        let faults = Arc::<Faults>::default();
        let terms = Arc::new(Extraction::new(Arc::new(plan), Arc::clone(&faults)));
        Self { terms, faults }
    }

    fn call(&self, target: &str, asked: &[(&'static str, &str)], body: &[u8]) -> (Capture, Copied) {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let capture = Capture::begin(&self.terms, path, query, &headers(asked));
        let mut copied = Copied::default();
        body.chunks(7).for_each(|piece| copied.add(piece));
        (capture, copied)
    }

    /// A call to the end, answered with 200.
    fn carry(&self, target: &str, body: &str, answer: &str) -> Conclusion {
        let (mut capture, copied) =
            self.call(target, &[JSON, ("x-seconds", "1.5")], body.as_bytes());
        assert!(capture.wants_request());
        capture.answered(200, &headers(&[JSON]));
        answer.as_bytes().chunks(5).for_each(|piece| capture.passes(piece));
        capture.conclude(Some(&copied), true, true)
    }

    /// What went wrong so far.
    fn faults(&self) -> Vec<(Fault, u64)> {
        self.faults.counts().filter(|(_, count)| *count > 0).collect()
    }
}

/// A parameter; none where it could not be looked at.
fn param<'c>(captured: &'c Captured, name: &str) -> Option<&'c Value> {
    captured.params.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_call_tells_parameters_impact_and_cost() {
    let calls = Calls::of(beats());
    let Conclusion { captured, has_failed } = calls.carry(
        "/beats/hip-hop?page_size=50",
        r#"{"bpm": 120, "genre": "trap", "loop": true, "lyrics": ["la", {"la": "la"}]}"#,
        r#"{"status": "done", "score": 0.75, "seconds": 30}"#,
    );
    let expected = [
        ("bpm", Value::Int(120)),
        ("genre", text("trap")),
        ("loop", Value::Bool(true)),
        ("seconds", Value::Float(1.5)),
        ("page", Value::Int(50)),
        ("kind", text("hip-hop")),
    ];
    let expected: Vec<_> = expected.map(|(name, value)| (Arc::from(name), value)).into();
    assert_eq!(captured.params, expected);
    assert_eq!(captured.impact_score, Some(75.0));
    assert_eq!(captured.cost_nano_usd, Some(32_000_000));
    assert!(!has_failed);
    assert_eq!(calls.faults(), []);
}

#[test]
fn what_is_missing_is_told_apart_from_what_could_not_be_looked_at() {
    let calls = Calls::of(beats());
    let (mut capture, copied) = calls.call("/beats", &[JSON], br#"{"bpm": null}"#);
    capture.answered(200, &headers(&[JSON]));
    let whole = capture.conclude(Some(&copied), true, true).captured;
    for name in ["bpm", "genre", "loop", "seconds", "page", "kind"] {
        assert_eq!(param(&whole, name), Some(&Value::Missing), "{name}");
    }
    let cut_off = capture.conclude(Some(&copied), false, true).captured;
    assert_eq!(param(&cut_off, "bpm"), None);
    assert_eq!(param(&cut_off, "kind"), Some(&Value::Missing));
}

#[test]
fn a_task_can_fail_where_its_call_succeeds() {
    let calls = Calls::of(beats());
    let failed = |answer| calls.carry("/beats/x", "{}", answer).has_failed;
    assert!(failed(r#"{"status": "failed", "seconds": 1}"#));
    assert!(!failed(r#"{"status": "FAILED", "seconds": 1}"#));
    assert!(!failed(r#"{"seconds": 1}"#));
    let (mut capture, copied) = calls.call("/beats/x", &[JSON], b"{}");
    capture.answered(404, &headers(&[]));
    assert!(capture.conclude(Some(&copied), true, true).has_failed);
}

#[test]
fn values_that_are_not_kept_are_counted() {
    let cases: [(&str, &str, Option<Value>, Fault); 9] = [
        (r#"{"bpm": "120"}"#, "bpm", None, Fault::WrongType),
        (r#"{"bpm": 120.5}"#, "bpm", None, Fault::WrongType),
        (r#"{"bpm": 10}"#, "bpm", None, Fault::OutOfRange),
        (r#"{"bpm": [120]}"#, "bpm", None, Fault::WrongType),
        (r#"{"loop": "yes"}"#, "loop", None, Fault::WrongType),
        (r#"{"genre": "jo@example.com"}"#, "genre", None, Fault::Secret),
        (r#"{"genre": "4111 1111 1111 1111"}"#, "genre", None, Fault::Secret),
        (
            r#"{"genre": "Bearer abcdefghijklmnopqrstuvwxyz0123456789"}"#,
            "genre",
            None,
            Fault::Secret,
        ),
        (
            &format!(r#"{{"genre": "{}"}}"#, "x".repeat(65)),
            "genre",
            Some(text("__other__")),
            Fault::TooLong,
        ),
    ];
    for (body, name, expected, fault) in cases {
        let calls = Calls::of(beats());
        let captured = calls.carry("/beats/x", body, r#"{"seconds": 1}"#).captured;
        assert_eq!(param(&captured, name), expected.as_ref(), "{body}");
        assert_eq!(calls.faults(), [(fault, 1)], "{body}");
    }
}

/// A beat that is asked for by a form, or by JSON.
fn ordered() -> Plan {
    let mut plan = Plan::new(None);
    for (name, source, kind) in [
        ("bpm", Source::RequestForm("bpm".into()), Kind::Int { min: 40, max: 240 }),
        ("genre", Source::RequestForm("style[genre]".into()), Kind::Enum { max_values: 2 }),
        ("loop", Source::RequestJson(pointer("/loop")), Kind::Bool),
    ] {
        let source = plan.source(source);
        plan.params.push(Param { name: name.into(), source, kind });
    }
    plan
}

#[test]
fn a_form_tells_what_its_fields_say() {
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let fields = "&".repeat(1_000);
    let missing = Some(Value::Missing);
    let int = |number| Some(Value::Int(number));
    let genre = || Some(text("hip-hop & more"));
    let cases: [(_, &str, _, _, _, &[(Fault, u64)]); 8] = [
        (
            FORM,
            "bpm=120&style%5Bgenre%5D=hip-hop+%26+more",
            int(120),
            genre(),
            missing.clone(),
            &[],
        ),
        (FORM, "bpm=120&bpm=121&loop=true", int(120), missing.clone(), missing.clone(), &[]),
        (FORM, "bpm=fast", None, missing.clone(), missing.clone(), &[(Fault::WrongType, 1)]),
        (FORM, "", missing.clone(), missing.clone(), missing.clone(), &[]),
        (JSON, r#"{"loop": true}"#, missing.clone(), missing.clone(), Some(Value::Bool(true)), &[]),
        (FORM, &*format!("{fields}bpm=120"), None, None, missing.clone(), &[(Fault::TooLarge, 1)]),
        (("content-type", "text/plain"), "bpm=120", None, None, None, &[(Fault::NotJson, 1)]),
        (("content-encoding", "gzip"), "…", None, None, None, &[(Fault::Compressed, 1)]),
    ];
    for (kind, body, bpm, genre, is_loop, faults) in cases {
        let calls = Calls::of(ordered());
        let (capture, copied) = calls.call("/beats", &[kind], body.as_bytes());
        let captured = capture.conclude(Some(&copied), true, true).captured;
        let told = ["bpm", "genre", "loop"].map(|name| param(&captured, name).cloned());
        assert_eq!(told, [bpm, genre, is_loop], "{body}");
        assert_eq!(calls.faults(), faults, "{body}");
    }
    let mut plan = Plan::new(None);
    plan.source(Source::RequestForm("bpm".into()));
    let calls = Calls::of(plan);
    assert!(!calls.call("/beats", &[JSON], b"{}").0.wants_request());
    let (capture, copied) = calls.call("/beats", &[FORM], b"bpm=\xff");
    capture.conclude(Some(&copied), true, true);
    assert_eq!(calls.faults(), [(Fault::NotForm, 2)]);
}

#[test]
fn only_so_many_texts_are_told_apart() {
    let calls = Calls::of(beats());
    let genre = |genre: &str| {
        let body = format!(r#"{{"genre": "{genre}"}}"#);
        let captured = calls.carry("/beats/x", &body, r#"{"seconds": 1}"#).captured;
        param(&captured, "genre").cloned()
    };
    let told: Vec<_> = ["a", "b", "c", "a"].iter().filter_map(|one| genre(one)).collect();
    assert_eq!(told, [text("a"), text("b"), text("__other__"), text("a")]);
    assert_eq!(calls.faults(), [(Fault::TooMany, 1)]);
}

#[test]
fn bodies_that_cannot_be_read_are_counted_and_cost_the_others_nothing() {
    let huge = format!(r#"{{"bpm": 120, "x": "{}"}}"#, "x".repeat(MAX_BODY));
    let deep = format!(r#"{{"bpm": 120, "x": {}{}}}"#, "[".repeat(99), "]".repeat(99));
    for (kind, body, fault) in [
        (JSON, "bpm=120", Fault::NotJson),
        (JSON, r#"{"bpm": 120"#, Fault::NotJson),
        (JSON, r#"{"bpm": NaN}"#, Fault::NotJson),
        (JSON, r#"{"bpm": 120, "bpm": 121}"#, Fault::DuplicateKey),
        (JSON, &*huge, Fault::TooLarge),
        (JSON, &*deep, Fault::TooDeep),
        (("content-type", "text/plain"), r#"{"bpm": 120}"#, Fault::NotJson),
        (("content-encoding", "gzip"), "…", Fault::Compressed),
    ] {
        let calls = Calls::of(beats());
        let (mut capture, copied) = calls.call("/beats/x", &[kind], body.as_bytes());
        capture.answered(200, &headers(&[JSON]));
        capture.passes(br#"{"score": 0.5, "seconds": 2}"#);
        let captured = capture.conclude(Some(&copied), true, true).captured;
        assert_eq!(param(&captured, "bpm"), None, "{body}");
        assert_eq!(captured.impact_score, Some(50.0));
        assert_eq!(calls.faults(), [(fault, 1)], "{body}");
    }
}

#[test]
fn a_cost_without_its_parts_is_not_known_and_an_odd_impact_neither() {
    let calls = Calls::of(beats());
    let captured = calls.carry("/beats/x", "{}", r#"{"score": 75}"#).captured;
    assert_eq!((captured.impact_score, captured.cost_nano_usd), (None, None));
    assert_eq!(calls.faults(), [(Fault::OutOfRange, 1), (Fault::CostMissing, 1)]);
    let captured = calls.carry("/beats/x", "{}", r#"{"score": "0.5", "seconds": -1}"#).captured;
    assert_eq!((captured.impact_score, captured.cost_nano_usd), (None, None));
    let captured = calls.carry("/beats/x", "{}", r#"{"seconds": 0.5}"#).captured;
    assert_eq!(captured.cost_nano_usd, Some(2_500_000));
}

fn metered(preset: Preset) -> Calls {
    let price = |text| Price::per_million(text).unwrap();
    let tariff = |model: &str| Tariff {
        model: model.into(),
        input: price("2"),
        cached_input: price("0.5"),
        cache_write: price("3"),
        output: price("10"),
    };
    let mut plan = Plan::new(None);
    plan.meter(
        preset,
        vec![tariff("gpt-4o*"), tariff("claude-sonnet-4-5-20250929"), tariff("gemini-2.5*")],
    );
    Calls::of(plan)
}

/// What a stream tells that comes in pieces of so many bytes and whose caller then hangs up.
fn streamed(preset: Preset, stream: &str, piece: usize) -> Captured {
    let calls = metered(preset);
    let (mut capture, _) = calls.call("/v1", &[], b"");
    capture.answered(200, &headers(&[EVENTS]));
    stream.as_bytes().chunks(piece).for_each(|piece| capture.passes(piece));
    capture.conclude(None, true, false).captured
}

/// Model, prompt, of it cached, answer, why it ended, and the cost.
fn usage(captured: &Captured) -> String {
    let names = ["model", "input_tokens", "cached_tokens", "output_tokens", "finish_reason"];
    let told = names.map(|name| match param(captured, name) {
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Text(text)) => text.to_string(),
        other => format!("{other:?}"),
    });
    let cost = captured.cost_nano_usd.map_or_else(|| "-".to_owned(), |cost| cost.to_string());
    format!("{} {cost}", told.join(" "))
}

#[test]
fn streams_of_each_provider_tell_tokens_and_cost() {
    for (preset, stream, expected) in [
        (
            Preset::OpenAi,
            include_str!("../../tests/data/streams/openai.sse"),
            "gpt-4o-2024-08-06 1000 200 50 stop 2200000",
        ),
        (
            Preset::OpenAi,
            include_str!("../../tests/data/streams/openai_responses.sse"),
            "gpt-4o-2024-08-06 37 0 11 completed 184000",
        ),
        (
            Preset::Anthropic,
            include_str!("../../tests/data/streams/anthropic.sse"),
            "claude-sonnet-4-5-20250929 525 400 15 end_turn 700000",
        ),
        (
            Preset::Gemini,
            include_str!("../../tests/data/streams/gemini.sse"),
            "gemini-2.5-flash 8 0 72 STOP 736000",
        ),
    ] {
        for piece in [1, 97, 1 << 20] {
            assert_eq!(usage(&streamed(preset, stream, piece)), expected, "{preset:?} {piece}");
        }
    }
}

#[test]
fn a_long_stream_tells_what_its_ends_say() {
    let stream = include_str!("../../tests/data/streams/anthropic.sse");
    let (head, tail) = stream.split_once("event: content_block_delta").unwrap();
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"la\"}}\n\n";
    let long = format!("{head}{}event: content_block_delta{tail}", delta.repeat(5_000));
    let expected = usage(&streamed(Preset::Anthropic, stream, 1 << 20));
    assert_eq!(usage(&streamed(Preset::Anthropic, &long, 1_400)), expected);
}

#[test]
fn no_price_is_guessed() {
    let stream = include_str!("../../tests/data/streams/openai.sse");
    let other = stream.replace("gpt-4o-2024-08-06", "gpt-6");
    assert!(usage(&streamed(Preset::OpenAi, &other, 99)).starts_with("gpt-6 1000 200 50 stop -"));
    let without_usage: String =
        stream.split_inclusive("\n\n").filter(|event| !event.contains("prompt_tokens")).collect();
    assert_eq!(streamed(Preset::OpenAi, &without_usage, 99).cost_nano_usd, None);
}
