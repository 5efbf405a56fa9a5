//! People steer circuits: over the port, and by the commands that use it.

use std::time::Duration;

use fusebox::{
    breakers::Steered,
    cli::{
        breaker::{self, Deed, Verb},
        client::{Address, Client, Error},
        exit::Exit,
        explain,
    },
    clock,
    config::Secret,
    domain::{
        breaker::{Mode, Scope, Snapshot},
        order::Act,
    },
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Port},
    sample::{Circuits, Sample},
};

const PATH: &str = "/api/v1/circuit-breakers/search";

fn snapshot(port: &Port) -> Snapshot {
    let circuits = &port.sample.circuits.0;
    circuits.of("search").expect("the circuit").snapshot(clock::now())
}

async fn post(port: &Port, end: &str, body: &Value) -> Answer {
    port.send_json("POST", &format!("{PATH}/{end}"), &body.to_string()).await
}

/// The status and the message of an error.
fn message(answer: &Answer) -> (u16, String) {
    let text = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
    (answer.status, text)
}

#[tokio::test]
async fn an_order_is_obeyed_shown_and_told_to_those_who_carry_it_on() {
    let port = Port::open().await;
    let mut orders = port.sample.circuits.0.orders();
    let body = json!({ "mode": "forced_open", "reason": "migration", "ttl": "2h", "by": "ann" });
    let shown = post(&port, "override", &body).await.data();
    assert_eq!((&shown["mode"], &shown["order"]["by"]), (&json!("forced_open"), &json!("ann")));
    assert_eq!(shown["order"]["reason"], "migration");
    let left_ms = shown["order"]["leftMs"].as_u64().expect("a time");
    assert!((7_190_000..=7_200_000).contains(&left_ms), "{left_ms}");
    assert!(shown["order"]["since"].is_string() && shown["order"]["until"].is_string());
    assert_eq!(snapshot(&port).mode, Mode::ForcedOpen);
    let Steered { circuit, act, reach } = orders.try_recv().expect("told");
    assert_eq!(
        (circuit.key(), act.as_str(), reach),
        ("key-of-search", "forced_open", Scope::Fleet)
    );

    let told = port.get(PATH).await.data();
    assert_eq!(told["order"]["by"], "ann");
    let explanation = told["explanation"].to_string();
    assert!(explanation.contains("ann ordered this") && explanation.contains("“migration”"));
    let all = port.get("/api/v1/circuit-breakers").await.data();
    assert_eq!(all["search"]["order"]["by"], "ann");
    assert_eq!(all["payments"]["order"], Value::Null);
    port.finish().await;
}

#[tokio::test]
async fn each_verb_has_a_path() {
    let port = Port::open().await;
    for (end, mode, ends) in [
        ("open", Mode::ForcedOpen, false),
        ("close", Mode::ForcedClosed, true),
        ("disable", Mode::Disabled, true),
        ("shadow", Mode::Shadow, false),
    ] {
        let shown = post(&port, end, &json!({ "reason": "a test" })).await.data();
        assert_eq!(shown["mode"], mode.as_str(), "{end}");
        assert_eq!(shown["order"]["until"].is_string(), ends, "{end}: an hour unless it is told");
        assert_eq!((snapshot(&port).mode, &shown["order"]["by"]), (mode, &json!("unknown")));
    }
    port.finish().await;
}

#[tokio::test]
async fn an_order_is_lifted_or_reset_and_that_is_told_too() {
    let port = Port::open().await;
    let mut orders = port.sample.circuits.0.orders();
    post(&port, "disable", &json!({ "reason": "a test" })).await.data();
    let lifted = port.send("DELETE", &format!("{PATH}/override"), &[]).await.data();
    assert_eq!((&lifted["mode"], &lifted["order"]), (&json!("auto"), &Value::Null));
    post(&port, "open", &json!({ "reason": "a test" })).await.data();
    let body = json!({ "reason": "done", "by": "ann", "scope": "instance" }).to_string();
    port.send_json("DELETE", &format!("{PATH}/override"), &body).await.data();
    post(&port, "reset", &json!({ "reason": "all is well" })).await.data();
    assert_eq!(snapshot(&port).mode, Mode::Auto);
    let told: Vec<_> = std::iter::from_fn(|| orders.try_recv().ok()).collect();
    let acts: Vec<_> = told.iter().map(|told| told.act.as_str()).collect();
    assert_eq!(acts, ["disabled", "lift", "forced_open", "lift", "reset"]);
    assert_eq!((told[1].reach, told[3].reach), (Scope::Fleet, Scope::Instance));
    assert!(matches!(&told[4].act, Act::Reset(signature) if &*signature.reason == "all is well"));
    port.finish().await;
}

#[tokio::test]
async fn what_is_no_order_is_refused_in_words_and_changes_nothing() {
    let port = Port::open().await;
    let long = "x".repeat(501);
    for (body, says) in [
        (json!({ "mode": "forced_open" }), "a reason is required"),
        (json!({ "mode": "forced_open", "reason": " " }), "a reason is required"),
        (json!({ "mode": "forced_open", "reason": long }), "has at most 500 characters"),
        (json!({ "reason": "x" }), "`mode`: expected `forced_open`, `forced_closed`"),
        (json!({ "mode": "auto", "reason": "x" }), "`auto` is no order"),
        (json!({ "mode": "forcd_open", "reason": "x" }), "did you mean `forced_open`?"),
        (
            json!({ "mode": "disabled", "reason": "x", "ttl": "25h" }),
            "may hold for 1d at most, not 25h",
        ),
        (
            json!({ "mode": "disabled", "reason": "x", "ttl": "2d" }),
            "may hold for 1d at most, not 2d",
        ),
        (json!({ "mode": "disabled", "reason": "x", "ttl": "60" }), "`ttl`: expected a duration"),
        (json!({ "mode": "disabled", "reason": "x", "ttl": "0s" }), "must hold for some time"),
        (json!({ "mode": "disabled", "reason": "x", "ttl": 60 }), "invalid type: integer `60`"),
        (json!({ "mode": "disabled", "reason": "x", "scope": "all" }), "`fleet` or `instance`"),
        (json!({ "mode": "disabled", "raeson": "x" }), "unknown field `raeson`"),
        (json!([1]), "the body cannot be read"),
    ] {
        let (status, told) = message(&post(&port, "override", &body).await);
        assert!(status == 400 && told.contains(says), "{body}: {status} {told}");
    }
    for (end, body, says) in [
        ("open", json!({ "mode": "shadow", "reason": "x" }), "said by the path already"),
        ("reset", json!({ "reason": "x", "ttl": "1h" }), "`ttl` says nothing here"),
        ("reset", json!({}), "a reason is required"),
    ] {
        let (status, told) = message(&post(&port, end, &body).await);
        assert!(status == 400 && told.contains(says), "{end} {body}: {status} {told}");
    }
    assert_eq!(snapshot(&port).mode, Mode::Auto);
    port.finish().await;
}

#[tokio::test]
async fn an_unknown_name_is_told_with_the_one_that_was_meant() {
    let port = Port::open().await;
    let body = json!({ "reason": "x" }).to_string();
    let asked = port.send_json("POST", "/api/v1/circuit-breakers/serch/open", &body).await;
    let expected = "there is no circuit breaker `serch`; did you mean `search`?".to_owned();
    assert_eq!(message(&asked), (404, expected.clone()));
    assert_eq!(message(&port.get("/api/v1/circuit-breakers/serch").await), (404, expected));
    let asked = port.get("/api/v1/circuit-breakers/search%2Fno-route").await;
    assert_eq!(message(&asked).1, "there is no circuit breaker `search/no-route`");
    port.finish().await;
}

#[tokio::test]
async fn a_body_that_a_web_page_could_send_unasked_is_refused() {
    let port = Port::open().await;
    let path = format!("{PATH}/open");
    let text = r#"{"reason":"x"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; a=b", ""]
    {
        let answer = port
            .raw(&format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            ))
            .await;
        assert_eq!(answer.error(), (415, "unsupported_media_type".to_owned()), "{kind}");
    }
    let bare = port.send("POST", &path, &[("Content-Length", "0")]).await;
    assert_eq!(bare.error().0, 415);
    assert_eq!(snapshot(&port).mode, Mode::Auto);
    port.finish().await;
}

#[tokio::test]
async fn a_body_is_read_up_to_a_bound() {
    let port = Port::open().await;
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(20_000));
    let answer = port.send_json("POST", &format!("{PATH}/open"), &huge).await;
    assert_eq!(answer.error(), (413, "body_too_large".to_owned()));
    port.finish().await;
}

#[tokio::test]
async fn the_paths_that_change_something_take_no_other_method_and_need_the_token() {
    let port = Port::with_token("t").await;
    let body = json!({ "reason": "x" }).to_string();
    for end in ["override", "open", "close", "disable", "shadow", "reset"] {
        let path = format!("{PATH}/{end}");
        assert_eq!(port.send_json("POST", &path, &body).await.error().0, 401, "{end}");
        let right = [("Authorization", "Bearer t")];
        let read = port.send("GET", &path, &right).await;
        assert_eq!(read.error(), (405, "method_not_allowed".to_owned()), "{end}");
    }
    assert_eq!(snapshot(&port).mode, Mode::Auto);
    port.finish().await;
}

#[tokio::test]
async fn under_the_kill_switch_nothing_can_be_ordered() {
    let sample = Sample { circuits: Circuits::new(false), ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let answer = post(&port, "open", &json!({ "reason": "x" })).await;
    assert_eq!(answer.error(), (409, "kill_switch".to_owned()));
    assert!(message(&answer).1.contains("CIRCUIT_BREAKER_ENABLED"));
    port.finish().await;
}

fn client(port: &Port, token: Option<&str>) -> Client {
    let address = Address::of(port.address);
    Client::new(address, token.map(Secret::new), Duration::from_secs(5))
}

async fn steer(port: &Port, deed: Deed<'_>) -> Result<String, Error> {
    let mut out = Vec::new();
    breaker::run(&client(port, Some("t")), &deed, false, &mut out).await?;
    Ok(String::from_utf8(out).expect("text"))
}

const DEED: Deed<'static> = Deed {
    name: "search",
    verb: Verb::Disable,
    reason: Some("a test"),
    by: Some("ann"),
    ttl: Some("90m"),
    here_only: false,
};

#[tokio::test]
async fn the_command_gives_orders_and_says_what_holds_then() {
    let port = Port::with_token("t").await;
    let mut orders = port.sample.circuits.0.orders();
    // Somebody carries them on to the store.
    let mut carried = port.sample.circuits.0.orders();
    let carrying = tokio::spawn(async move {
        while let Ok(steered) = carried.recv().await {
            steered.circuit.is_told();
        }
    });
    let said = steer(&port, DEED).await.unwrap();
    assert_eq!(
        said,
        "search is disabled by ann, for 1h 30m: every call passes, and nothing is counted.\n"
    );
    let said = steer(&port, Deed { by: None, ..DEED }).await.unwrap();
    assert!(said.starts_with("search is disabled by somebody who gave no name, for"), "{said}");
    let deed = Deed { verb: Verb::Shadow, ttl: None, here_only: true, ..DEED };
    let said = steer(&port, deed).await.unwrap();
    assert_eq!(
        said,
        "search is in shadow by ann, until that is lifted: every call passes, and what would be refused is counted.\n\
         This holds on the instance that was asked, and on no other.\n"
    );
    let mut out = Vec::new();
    explain::run(&client(&port, Some("t")), "search", false, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("ann ordered this on this instance alone"), "{text}");
    for verb in [Verb::Auto, Verb::Reset] {
        let said = steer(&port, Deed { verb, ttl: None, ..DEED }).await.unwrap();
        assert_eq!(said, "search follows its rules: it is CLOSED.\n");
    }
    for (verb, mode) in [(Verb::Open, Mode::ForcedOpen), (Verb::Close, Mode::ForcedClosed)] {
        steer(&port, Deed { verb, ..DEED }).await.unwrap();
        assert_eq!(snapshot(&port).mode, mode);
    }
    let told: Vec<_> = std::iter::from_fn(|| orders.try_recv().ok()).collect();
    let reach: Vec<_> = told.iter().map(|told| told.reach).collect();
    assert_eq!((reach[0], reach[2]), (Scope::Fleet, Scope::Instance));
    carrying.abort();
    port.finish().await;
}

#[tokio::test]
async fn an_order_that_the_store_cannot_be_told_is_confirmed_as_such() {
    let port = Port::with_token("t").await;
    // Somebody would carry them on, and cannot.
    let _orders = port.sample.circuits.0.orders();
    for (verb, begins) in
        [(Verb::Disable, "search is disabled by ann"), (Verb::Reset, "search follows")]
    {
        let ttl = (verb == Verb::Disable).then_some("90m");
        let said = steer(&port, Deed { verb, ttl, ..DEED }).await.unwrap();
        let (first, second) = said.trim_end().split_once('\n').expect("two lines");
        assert!(first.starts_with(begins), "{first}");
        assert_eq!(
            second,
            "The store does not know of it yet: this holds on the instance that was asked only, and \
             the others are told when the store can be reached."
        );
    }
    let body = json!({ "reason": "a test" }).to_string();
    let answer = port.send_json("POST", &format!("{PATH}/open"), &body).await;
    assert_eq!(answer.status, 401, "the answer tells nothing to those without the token");
    port.finish().await;
}

#[tokio::test]
async fn the_answer_says_how_far_an_order_has_got() {
    let port = Port::open().await;
    let _orders = port.sample.circuits.0.orders();
    let told = post(&port, "open", &json!({ "reason": "a test" })).await.data();
    assert_eq!((&told["reach"], &told["order"]["reach"]), (&json!("untold"), &json!("untold")));
    assert!(told["note"].as_str().is_some_and(|note| note.contains("does not know of it yet")));
    let told =
        post(&port, "open", &json!({ "reason": "a test", "scope": "instance" })).await.data();
    assert_eq!((&told["reach"], &told["order"]["reach"]), (&json!("instance"), &json!("instance")));
    port.finish().await;
}

#[tokio::test]
async fn the_commands_end_with_a_code_that_says_whose_fault_it_was() {
    let port = Port::with_token("t").await;
    let exit = async |deed| steer(&port, deed).await.map_err(|error| error.exit());
    assert_eq!(exit(Deed { reason: None, ..DEED }).await, Err(Exit::Usage));
    assert_eq!(exit(Deed { ttl: Some("48h"), ..DEED }).await, Err(Exit::Usage));
    assert_eq!(exit(Deed { name: "serch", ..DEED }).await, Err(Exit::Runtime));
    let error = steer(&port, Deed { name: "serch", ..DEED }).await.unwrap_err();
    assert!(error.to_string().ends_with("did you mean `search`?"), "{error}");
    let refused =
        breaker::run(&client(&port, None), &DEED, false, &mut Vec::new()).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Runtime);
    let (asks, mut out) = (client(&port, Some("t")), Vec::new());
    assert_eq!(
        explain::run(&asks, "serch", false, &mut out).await.unwrap_err().exit(),
        Exit::Runtime
    );
    port.finish().await;
    let error = breaker::run(&asks, &DEED, false, &mut out).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unreachable);
}

#[tokio::test]
async fn explain_tells_why_in_plain_words_and_as_json() {
    let port = Port::with_token("t").await;
    let asks = client(&port, Some("t"));
    let mut out = Vec::new();
    explain::run(&asks, "payments", false, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let expected = "\
payments: OPEN

  The circuit is open: calls have been refused for 19s.
  5 failures in a row opened it; the rule is 5.
  For example task 01a20320-9e18-7000-8000-000000001234.
  In 42s one call is tried; 2 successes in a row close it, a failure opens it again.
";
    assert_eq!(text, expected);
    let mut out = Vec::new();
    explain::run(&asks, "payments", true, &mut out).await.unwrap();
    let json: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&json["state"], &json["openedBy"]),
        (&json!("OPEN"), &json!("consecutive_failures"))
    );
    assert_eq!(
        (&json["rules"]["quorum"], &json["rules"]["mode"]),
        (&json!("majority"), &json!("auto"))
    );
    assert!(json["nextProbeAt"].is_string() && json["explanation"].is_array(), "{json}");
    port.finish().await;
}
