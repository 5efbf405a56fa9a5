//! What the port says of other instances: who said what, where, and which rules they follow.

use std::time::Duration;

use fusebox::domain::{
    explain::{FleetFacts, Sync},
    fleet::{
        hearing::{Ballot, Faction, Hearing, Node},
        word::Vote,
    },
};
use serde_json::{Value, json};

use crate::{
    harness::Port,
    sample::{Sample, row_id},
};

const PATH: &str = "/api/v1/circuit-breakers/search";

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn node(name: &str, zone: &str) -> Node {
    Node { name: name.to_owned(), zone: Some(zone.to_owned()), host: Some(name.to_owned()) }
}

/// Two in one zone that fail, four elsewhere that do not, and one that speaks in words of its own.
fn hearing() -> Hearing {
    let said = [("b", Some(Vote::Bad)), ("b", Some(Vote::Bad)), ("b", None)];
    let good = ["a"; 4].map(|zone| (zone, Some(Vote::Good)));
    let ballot = |(at, (zone, vote)): (usize, (&str, Option<Vote>))| Ballot {
        node: node(&format!("orders-{}", at + 1), zone),
        vote,
        ago: s(2),
        calls: 9,
        failures: 7,
        alone: 1,
        of: 3,
    };
    let faction = |rules: &str, count, name: &str| Faction {
        key: "key-of-search".to_owned(),
        rules: rules.to_owned(),
        count,
        names: vec![name.to_owned()],
        since: s(60),
    };
    Hearing {
        ballots: said.into_iter().chain(good).enumerate().map(ballot).collect(),
        electorate: 8,
        asked: Some(s(4)),
        left: s(1),
        prober: Some((node("orders-7", "a"), s(8))),
        doubter: None,
        opening: None,
        reset: None,
        factions: vec![faction("aa", 6, "orders-1"), faction("bb", 1, "orders-3")],
    }
}

fn sample(sync: Sync) -> Sample {
    let fleet = FleetFacts { live: 8, sync, lag: Some(s(1)), ..FleetFacts::default() };
    Sample { fleet, hearing: hearing(), ..Sample::default() }
}

async fn open(sample: Sample) -> Port {
    Port::start(sample, None, "127.0.0.1:0").await
}

#[tokio::test]
async fn a_breaker_tells_who_said_what_and_where_it_fails() {
    let port = open(sample(Sync::Listening)).await;
    let told = port.get(PATH).await.data();
    let fleet = &told["fleet"];
    assert_eq!(fleet["sync"], json!({ "mode": "listen", "lagMs": 1_000, "because": null }));
    let votes = &fleet["votes"];
    let numbers = ["bad", "good", "abstained", "silent", "electorate", "needed"];
    assert_eq!(numbers.map(|name| votes[name].clone()), [2, 4, 0, 2, 8, 5].map(|n| json!(n)));
    assert_eq!((&votes["quorum"], &votes["isOpen"]), (&json!("majority"), &json!(true)));
    let reporter = json!({ "name": "orders-1", "zone": "b", "host": "orders-1" });
    assert_eq!((&votes["reporters"][0], &votes["decidedBy"]), (&reporter, &Value::Null));
    let words: Vec<_> =
        fleet["ballots"].as_array().expect("ballots").iter().map(|of| of["vote"].clone()).collect();
    assert_eq!(words[..4], ["bad", "bad", "unknown", "good"].map(|word| json!(word)));
    let prober = json!({ "name": "orders-7", "zone": "a", "host": "orders-7", "leftMs": 8_000 });
    assert_eq!((&fleet["prober"], &fleet["doubter"]), (&prober, &Value::Null));
    assert_eq!(fleet["rules"]["mine"].as_str().map(str::len), Some(8));
    let drift = &fleet["rules"]["drift"];
    assert_eq!(
        (&drift["count"], &drift["of"], &drift["usual"]),
        (&json!(1), &json!(7), &json!("aa"))
    );
    assert_eq!((&drift["names"], &fleet["storeFault"]), (&json!(["orders-3"]), &Value::Null));
    assert_eq!(
        told["attribution"],
        json!([{
            "kind": "zone", "name": "b",
            "text": "both that fail are in b, none of the 4 elsewhere",
        }])
    );
    assert_eq!(told["taskIds"], json!([row_id(1).to_string()]));
    let explanation = told["explanation"].to_string();
    assert!(explanation.contains("2 of 8 say bad, 4 good, 2 nothing"), "{explanation}");
    assert!(explanation.contains("has other rules than the rest"), "{explanation}");
    port.finish().await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_what_it_would_have_said() {
    let port = open(Sample { store_is_away: true, ..sample(Sync::Listening) }).await;
    let told = port.get(PATH).await.data();
    assert!(told["fleet"]["storeFault"].is_string(), "{told}");
    assert_eq!((&told["fleet"]["votes"], &told["attribution"]), (&Value::Null, &json!([])));
    let explanation = told["explanation"].to_string();
    assert!(explanation.contains("Who said what is not known"), "{explanation}");
    port.finish().await;
}

#[tokio::test]
async fn a_store_that_is_known_to_be_away_is_not_asked() {
    let away = Sync::Away { since: s(90), because: Some("connection refused".to_owned()) };
    let port = open(sample(away)).await;
    let fleet = port.get(PATH).await.data()["fleet"].clone();
    assert_eq!(fleet["sync"]["mode"], "away");
    assert_eq!(fleet["sync"]["because"], "connection refused");
    assert_eq!((&fleet["votes"], &fleet["storeFault"]), (&Value::Null, &Value::Null));
    port.finish().await;
}

#[tokio::test]
async fn an_instance_that_is_sick_says_so_in_its_health_and_status() {
    let port = open(Sample { degraded: Some("it is this instance"), ..Sample::default() }).await;
    let health = port.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["reason"]),
        (&json!("degraded"), &json!("it is this instance"))
    );
    assert_eq!(port.get("/api/v1/status").await.data()["degraded"], "it is this instance");
    port.finish().await;
    let well = open(Sample::default()).await;
    assert_eq!(well.get("/health").await.json().get("reason"), None);
    well.finish().await;
}
