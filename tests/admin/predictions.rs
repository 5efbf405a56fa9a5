//! Early warnings: one that is active, one that came true, and how good the signals are.

use std::time::Duration;

use async_trait::async_trait;
use fusebox::{
    domain::learn::warn::{
        Signal,
        score::{Fate, Score},
    },
    store::{Error, Merit, Notice, Prediction, Subject, WarningStore, Which},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    harness::{Port, read_until},
    sample::{NOON_US, Sample},
};

fn prediction(id: i64, signal: Signal, fate: Fate) -> Prediction {
    let is_active = fate == Fate::Pending;
    Prediction {
        id,
        made_at_us: NOON_US,
        active_until_us: NOON_US + 300_000_000,
        is_active,
        notice: Notice {
            signal,
            subject: match signal {
                Signal::Saturation => Subject::upstream("music"),
                _ => Subject {
                    upstream: "inventory".into(),
                    domain: "shop".into(),
                    action: "reserve".into(),
                },
            },
            claim: "failures rose from 0.4 % to 6.0 %, since 14:02 UTC".into(),
            detail: json!({ "usual": 0.004, "now": 0.06 }),
            bar: 0.032,
            horizon: Duration::from_secs(1_800),
            probability: 0.75,
            is_muted: false,
        },
        fate,
    }
}

#[async_trait]
impl WarningStore for Sample {
    async fn claim_watch(&self, _: Duration) -> Result<bool, Error> {
        unreachable!("the admin port watches nothing")
    }

    async fn warn(&self, _: &[Notice], _: Duration) -> Result<(), Error> {
        unreachable!("the admin port warns of nothing")
    }

    async fn predictions(&self, which: Which, _: u32) -> Result<Vec<Prediction>, Error> {
        let active = prediction(2, Signal::Failures, Fate::Pending);
        let past = prediction(1, Signal::Saturation, Fate::True { lead: 90 });
        // It has been active for longer than is asked for.
        self.answer(match which {
            Which::Active | Which::Shown => vec![active],
            Which::Pending | Which::Since(_) => vec![past],
        })
    }

    async fn resolve(&self, _: i64, _: Fate) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn keep_score(&self, _: &Merit) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn scores(&self) -> Result<Vec<Merit>, Error> {
        let precision = Some(0.25);
        let score = Score { decided: 24, precision, recall: Some(0.5), ..Score::default() };
        self.answer(vec![(Signal::Season, score)])
    }

    async fn openings(&self, _: i64, _: u32) -> Result<Vec<(String, i64)>, Error> {
        unreachable!("the admin port settles nothing")
    }

    async fn forget_predictions(&self, _: i64) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }
}

#[tokio::test]
async fn warnings_are_told_with_their_fate_and_signals_with_their_score() {
    let port = Port::open().await;
    let data = port.get("/api/v1/predictions").await.data();
    assert_eq!((&data["enabled"], &data["objective"]), (&json!(true), &json!(0.999)));
    assert_eq!(
        data["active"],
        json!([{
            "id": 2,
            "signal": "failures",
            "upstream": "inventory",
            "domain": "shop",
            "action": "reserve",
            "claim": "failures rose from 0.4 % to 6.0 %, since 14:02 UTC",
            "detail": { "usual": 0.004, "now": 0.06 },
            "madeAt": "2026-11-22T12:00:00Z",
            "endedAt": null,
            "horizonSeconds": 1_800,
            "probability": 0.75,
            "isMuted": false,
            "fate": "open",
            "leadSeconds": null,
        }])
    );
    assert_eq!(data["isActiveCut"], false);
    let past = &data["past"][0];
    assert_eq!((&past["fate"], &past["leadSeconds"]), (&json!("cameTrue"), &json!(90)));
    assert_eq!((&past["domain"], &past["endedAt"]), (&Value::Null, &json!("2026-11-22T12:05:00Z")));
    assert_eq!(data["signals"].as_array().unwrap().len(), Signal::ALL.len());
    let of = |name: &str| {
        let all = data["signals"].as_array().unwrap();
        all.iter().find(|it| it["signal"] == name).unwrap().clone()
    };
    let season = of("season");
    assert_eq!((&season["isMuted"], &season["precision"]), (&json!(true), &json!(0.25)));
    let trend = of("trend");
    assert_eq!((&trend["isMuted"], &trend["decided"]), (&json!(false), &json!(0)));
    assert_eq!(port.get("/api/v1/predictions?signal=x").await.status, 400);
    port.finish().await;
}

#[tokio::test]
async fn the_beginning_of_a_warning_is_an_event() {
    let port = Port::open().await;
    let mut stream = port.connect().await;
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    read_until(&mut stream, "event: state").await;
    port.warnings.refresh(NOON_US).await.expect("the store answers");
    let read = read_until(&mut stream, "\"leadSeconds\":null}").await;
    let event = read.split("event: warning\ndata: ").nth(1).expect("it comes");
    assert!(event.starts_with("{\"at\":\"2026-11-22T12:00:00Z\",\"isActive\":true,"), "{event}");
    assert!(event.contains("\"signal\":\"failures\""), "{event}");
    port.finish().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told() {
    let sample = Sample { store_is_away: true, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    assert_eq!(port.get("/api/v1/predictions").await.status, 503);
    port.finish().await;
}
