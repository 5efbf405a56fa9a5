//! Calls of language models: tokens and cost from what providers answer, and keys that only they see.

use serde_json::Value;

use crate::harness::{
    Answer, Database, Fusebox, Gate, ScriptedUpstream, Setup, Step, attempts, ending, get, raw,
    status,
};

const KEY: &str = "sk-test-5e8f1c0d9b7a";

/// A route to `first`, whose answers have this format, and what else is said of it.
fn route(preset: &str, more: &str) -> String {
    format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - name: chat
        upstream: first
{more}
        task:
          domain: ai
          action: chat
          preset: {preset}
          prices:
            - {{ model: gpt-4o*, input: 2, cached_input: 0.5, output: 10 }}
            - {{ model: claude-sonnet*, input: 2, cached_input: 0.5, cache_write: 3, output: 10 }}
            - {{ model: gemini-2.5*, input: 2, output: 10 }}
upstreams:
"
    )
}

/// A Fusebox before one provider.
fn start(preset: &str, upstream: &ScriptedUpstream) -> Fusebox {
    let first = format!("  first: {{ endpoints: [\"{}\"] }}\n", upstream.url());
    Setup::of(route(preset, "") + &first).start()
}

/// Streams of each provider by its documentation, with what a row is to tell: the model, tokens of
/// the prompt, of these from a cache, of the answer, why it ended, and the cost.
const STREAMS: [(&str, &str, &str); 4] = [
    (
        "openai",
        include_str!("../data/streams/openai.sse"),
        "gpt-4o-2024-08-06 1000 200 50 stop 0.0022",
    ),
    (
        "openai",
        include_str!("../data/streams/openai_responses.sse"),
        "gpt-4o-2024-08-06 37 0 11 completed 0.000184",
    ),
    (
        "anthropic",
        include_str!("../data/streams/anthropic.sse"),
        "claude-sonnet-4-5-20250929 525 400 15 end_turn 0.0007",
    ),
    ("gemini", include_str!("../data/streams/gemini.sse"), "gemini-2.5-flash 8 0 72 STOP 0.000736"),
];

fn usage(row: &Value) -> String {
    let params = &row["params"];
    let text = |name: &str| params[name].as_str().unwrap_or("-").to_owned();
    let number = |name: &str| params[name].to_string();
    [
        text("model"),
        number("input_tokens"),
        number("cached_tokens"),
        number("output_tokens"),
        text("finish_reason"),
        row["cost"].to_string(),
    ]
    .join(" ")
}

/// A stream in chunks, an event each, and what comes after its last event.
fn stream(events: &str, after: &[Step]) -> Answer {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let end = if events.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
    let chunk = |event: &str| raw(&format!("{:x}\r\n{event}\r\n", event.len()));
    let chunks = events.split_inclusive(end).map(chunk);
    [vec![Step::ReadBody, raw(head)], chunks.collect(), after.to_vec()].concat()
}

#[test]
fn a_stream_leaves_tokens_and_cost_in_its_row() {
    for (preset, events, expected) in STREAMS {
        let upstream = ScriptedUpstream::start();
        upstream.answer(stream(events, &[raw("0\r\n\r\n")]));
        let fusebox = start(preset, &upstream);
        let headers = [("x-correlation-id", "req-stream"), ("accept-encoding", "gzip, br")];
        let response = fusebox.connect().call("POST", "/v1", &headers, b"{}");
        assert_eq!(response.body, events.as_bytes(), "byte for byte");
        let row = fusebox.row("req-stream");
        assert_eq!((ending(&row).as_str(), usage(&row).as_str()), ("success 200", expected));
        assert_eq!(upstream.last().headers.one("accept-encoding"), None);
    }
}

#[test]
fn a_caller_that_hangs_up_after_the_last_event_has_its_tokens_told() {
    for (preset, events, expected) in STREAMS {
        let (upstream, gate) = (ScriptedUpstream::start(), Gate::new());
        upstream.answer(stream(events, &[Step::WaitFor(gate.clone())]));
        let fusebox = start(preset, &upstream);
        let mut caller = fusebox.connect();
        caller.send("POST / HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-gone\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(caller.head().0, 200);
        let mut read = Vec::new();
        while read.len() < events.len() {
            read.extend(caller.chunk());
        }
        assert_eq!(read, events.as_bytes(), "all of it came before the end of the answer");
        caller.abort();
        let row = fusebox.row("req-gone");
        assert_eq!(ending(&row), "cancelled client_gone_mid_body 200");
        assert_eq!(usage(&row), expected);
        gate.open();
    }
}

#[test]
fn an_answer_in_one_piece_tells_the_same() {
    for (preset, body, expected) in [
        (
            "openai",
            r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0}}}"#,
            "gpt-4o-2024-08-06 10 0 5 length 0.00007",
        ),
        (
            "anthropic",
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hi"}],"stop_reason":"max_tokens","usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5}}"#,
            "claude-sonnet-4-5 10 0 5 max_tokens 0.00007",
        ),
        (
            "gemini",
            r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15},"modelVersion":"gemini-2.5-pro"}"#,
            "gemini-2.5-pro 10 0 5 MAX_TOKENS 0.00007",
        ),
    ] {
        let upstream = ScriptedUpstream::start();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        upstream.answer(vec![Step::ReadBody, raw(&answer)]);
        let fusebox = start(preset, &upstream);
        fusebox.connect().call("POST", "/", &[("x-correlation-id", "req-whole")], b"{}");
        let row = fusebox.row("req-whole");
        let cost: f64 =
            expected.rsplit(' ').next().and_then(|cost| cost.parse().ok()).expect("a cost");
        assert_eq!(row["cost"], cost);
        let tokens = |text: &str| text.rsplit_once(' ').map(|(tokens, _)| tokens.to_owned());
        assert_eq!(tokens(&usage(&row)), tokens(expected));
    }
}

/// What an upstream got to know who asks.
fn keys_of(upstream: &ScriptedUpstream) -> [Option<String>; 3] {
    let headers = upstream.last().headers;
    ["authorization", "x-api-key", "x-goog-api-key"]
        .map(|name| headers.one(name).map(str::to_owned))
}

#[test]
fn each_provider_gets_its_own_key_and_nobody_else_does() {
    for (provider, variable, place, sent) in [
        ("openai", "OPENAI_API_KEY", 0, format!("Bearer {KEY}")),
        ("anthropic", "ANTHROPIC_API_KEY", 1, KEY.to_owned()),
        ("gemini", "GEMINI_API_KEY", 2, KEY.to_owned()),
    ] {
        let (upstream, database) = (ScriptedUpstream::start(), Database::new());
        let first =
            format!("  first: {{ endpoints: [\"{}\"], provider: {provider} }}\n", upstream.url());
        let fusebox = Setup::of(route(provider, "") + &first)
            .database(&database.url)
            .env(variable, KEY)
            .env("LOG_LEVEL", "debug")
            .start();
        let headers = [
            ("authorization", "Bearer callers-own"),
            ("x-api-key", "callers-own"),
            ("x-goog-api-key", "callers-own"),
            ("x-correlation-id", "req-key"),
        ];
        let response = fusebox.connect().call("POST", "/", &headers, b"{}");
        let mut expected = [None, None, None];
        expected[place] = Some(sent);
        assert_eq!(keys_of(&upstream), expected);
        assert!(!format!("{:?}", response.headers).contains(KEY));
        fusebox.row("req-key");
        let shown = get(fusebox.admin, "/api/v1/config", &[]);
        let upstream = &shown.json()["data"]["upstreams"]["first"];
        assert_eq!(
            (&upstream["provider"], &upstream["api_key"]),
            (&provider.into(), &"***".into())
        );
        let metrics = get(fusebox.admin, "/metrics", &[]);
        let rows = database.query("select row_to_json(t) from task_history t");
        for text in [shown.text(), metrics.text(), &rows, &fusebox.lines().join("\n")] {
            assert!(!text.contains(KEY), "{text}");
        }
    }
}

#[test]
fn when_one_provider_fails_the_other_answers_with_its_own_key() {
    let (mut first, second) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let more = "        fallback: { upstream: second }";
    let upstreams = format!(
        "  first: {{ endpoints: [\"{}\"], provider: openai }}\n  \
           second: {{ endpoints: [\"{}\"], provider: gemini }}\n",
        first.url(),
        second.url()
    );
    let fusebox = Setup::of(route("openai", more) + &upstreams)
        .env("OPENAI_API_KEY", KEY)
        .env("GEMINI_API_KEY", "second-key")
        .start();
    second.answer(stream(STREAMS[0].1, &[raw("0\r\n\r\n")]));
    first.answer(status(503));
    let ask = |id: &str| {
        let headers = [("authorization", "Bearer callers-own"), ("x-correlation-id", id)];
        fusebox.connect().call("POST", "/v1/chat/completions", &headers, b"{}").status
    };
    let only_its_own = [None, None, Some("second-key".to_owned())];
    assert_eq!(ask("req-failed"), 200);
    assert_eq!(keys_of(&first)[0], Some(format!("Bearer {KEY}")));
    assert_eq!(keys_of(&second), only_its_own);
    let row = fusebox.row("req-failed");
    assert_eq!(usage(&row), STREAMS[0].2, "whoever answers is metered");
    assert_eq!(attempts(&row), ["failure http_503", "success"]);
    // One that cannot be reached has had the request in hand all the same.
    first.stop();
    assert_eq!(ask("req-unreachable"), 200);
    assert_eq!(keys_of(&second), only_its_own);
}

#[test]
fn of_three_providers_each_is_asked_with_its_own_key_until_one_answers() {
    let providers = [(); 3].map(|()| ScriptedUpstream::start());
    let mut upstreams = String::new();
    for (name, (provider, at)) in
        ["first", "second", "third"].iter().zip(["openai", "anthropic", "gemini"].iter().zip(0..))
    {
        let url = ScriptedUpstream::url(&providers[at]);
        upstreams += &format!("  {name}: {{ endpoints: [\"{url}\"], provider: {provider} }}\n");
    }
    let more = "        fallback: { upstreams: [second, third] }";
    let fusebox = Setup::of(route("openai", more) + &upstreams)
        .env("OPENAI_API_KEY", KEY)
        .env("ANTHROPIC_API_KEY", "second-key")
        .env("GEMINI_API_KEY", "third-key")
        .start();
    providers[0].answer(status(503));
    providers[1].answer(status(503));
    providers[2].answer(stream(STREAMS[0].1, &[raw("0\r\n\r\n")]));
    let headers = [("authorization", "Bearer callers-own"), ("x-correlation-id", "req-three")];
    let response = fusebox.connect().call("POST", "/v1/chat/completions", &headers, b"{}");
    assert_eq!(response.status, 200);
    assert_eq!(keys_of(&providers[0]), [Some(format!("Bearer {KEY}")), None, None]);
    assert_eq!(keys_of(&providers[1]), [None, Some("second-key".to_owned()), None]);
    assert_eq!(keys_of(&providers[2]), [None, None, Some("third-key".to_owned())]);
    let row = fusebox.row("req-three");
    assert_eq!(usage(&row), STREAMS[0].2, "whoever answers is metered");
    assert_eq!(attempts(&row), ["failure http_503", "failure http_503", "success"]);
}

#[test]
fn a_key_is_not_lent_to_a_stand_in_that_has_none() {
    let (mut first, second) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let more = "        fallback: { upstream: second }";
    let upstreams = format!(
        "  first: {{ endpoints: [\"{}\"], provider: anthropic, api_key: {KEY} }}\n  \
           second: {{ endpoints: [\"{}\"] }}\n",
        first.url(),
        second.url()
    );
    let fusebox = Setup::of(route("anthropic", more) + &upstreams).start();
    first.answer(status(503));
    fusebox.connect().call("POST", "/", &[], b"{}");
    assert_eq!((keys_of(&first)[1].as_deref(), keys_of(&second)), (Some(KEY), [None, None, None]));
    first.stop();
    fusebox.connect().call("POST", "/", &[], b"{}");
    assert_eq!((second.hits(), keys_of(&second)), (2, [None, None, None]));
}
