//! What a route does when its upstream is not asked, or fails.

use fusebox::{
    config::{Fallback, FixedAnswer, Instead},
    domain::fallback::{Occasion, Occasions},
};
use http::{HeaderValue, StatusCode};

use crate::{problems, read};

fn with_fallback(fallback: &str) -> String {
    format!(
        "\
listeners:
  egress:
    listen: \"127.0.0.1:8080\"
    routes:
      - {{ upstream: payments, fallback: {fallback} }}
upstreams:
  payments: {{ endpoints: [http://payments] }}
  standby: {{ endpoints: [http://standby] }}
  last: {{ endpoints: [http://last] }}
"
    )
}

fn fallback(text: &str) -> Option<Fallback> {
    let loaded = read(&with_fallback(text), &[]).unwrap_or_else(|found| panic!("{found}"));
    loaded.config.listeners[0].routes[0].fallback.clone()
}

#[test]
fn another_upstream_takes_what_is_refused_and_what_failed() {
    let on = Occasions::of(Occasion::ALL);
    let expected = Fallback { to: Instead::Upstream("standby".into()), on };
    assert_eq!(fallback("{ upstream: standby }"), Some(expected));
    let found = fallback("{ upstream: standby, on: [refused] }").expect("a fallback");
    assert_eq!(found.on, Occasions::of([Occasion::Refused]));
    assert_eq!(fallback("null"), None);
}

#[test]
fn several_upstreams_take_it_in_their_order_and_an_answer_may_follow() {
    let several = |text: &str| match fallback(text).expect("a fallback").to {
        Instead::Upstreams(names, answer) => (names, answer.map(|answer| answer.body)),
        other => panic!("{other:?}"),
    };
    let names = vec!["standby".into(), "last".into()];
    assert_eq!(several("{ upstreams: [standby, last] }"), (names, None));
    let with_answer = several("{ upstreams: [last], body: later }");
    assert_eq!(with_answer, (vec!["last".into()], Some("later".into())));
}

#[test]
fn a_first_upstream_that_may_use_up_the_time_of_all_is_warned_of() {
    let text = with_fallback("{ upstreams: [standby, last] }");
    let with = |timeouts: &str| {
        let keys = format!("[http://payments], timeouts: {timeouts} }}");
        let text = text.replace("[http://payments] }", &keys);
        read(&text, &[]).expect("a configuration").warnings.len()
    };
    assert_eq!(with("{ total: 10s }"), 1, "it waits for 30s");
    assert_eq!(with("{ total: 10s, first_byte: 4s }"), 0);
    assert_eq!(with("{ total: 10s, attempt: 4s }"), 0);
    assert_eq!(with("{}"), 0);
}

#[test]
fn a_fixed_answer_is_text_with_status_200_unless_it_says_otherwise() {
    let answer = |text: &str| match fallback(text).expect("a fallback").to {
        Instead::Answer(answer) => answer,
        other => panic!("{other:?}"),
    };
    let plain = FixedAnswer {
        status: StatusCode::OK,
        content_type: HeaderValue::from_static("text/plain; charset=utf-8"),
        body: "later".into(),
    };
    assert_eq!(answer("{ body: later }"), plain);
    let json = "{ status: 503, content_type: application/json, body: \"{}\" }";
    let json = answer(json);
    assert_eq!((json.status, &json.body[..]), (StatusCode::SERVICE_UNAVAILABLE, &b"{}"[..]));
    let empty = answer("{ status: 204 }");
    assert_eq!((empty.status, empty.body.len()), (StatusCode::NO_CONTENT, 0));
}

#[test]
fn an_upstream_that_only_a_fallback_names_is_led_to() {
    let loaded = read(&with_fallback("{ upstream: standby }"), &[]).expect("a configuration");
    assert_eq!(loaded.warnings.len(), 1, "nothing leads to the last");
    let chain = with_fallback("{ upstreams: [standby, last] }");
    assert_eq!(read(&chain, &[]).expect("a configuration").warnings, []);
    let without = read(&with_fallback("{ body: later }"), &[]).expect("a configuration");
    assert_eq!(without.warnings.len(), 2, "nothing leads to either");
}

#[test]
fn a_body_has_a_bound() {
    let body = |bytes: usize| with_fallback(&format!("{{ body: {} }}", "x".repeat(bytes)));
    assert!(read(&body(65_536), &[]).is_ok());
    let found = problems(&body(65_537), &[]).to_string();
    assert!(found.contains("65537 bytes long; at most 64KiB"), "{found}");
}
