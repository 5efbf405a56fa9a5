//! `/api/v1/tasks/failures`: what sets the failures of an operation apart.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    window::{Reach, Window, show_time},
};
use crate::{
    clock,
    domain::learn::why::{Attribute, Value},
    store::{Counted, WhyQuery},
};

/// Attributes that are listed at most, and values of each.
const ATTRIBUTES: usize = 10;
const VALUES: usize = 5;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WhyJson {
    from: Option<String>,
    to: Option<String>,
    /// Calls that were sent on and came to an end.
    calls: u64,
    failures: u64,
    /// Earlier calls of the window were not looked at.
    is_cut: bool,
    /// In one sentence.
    summary: String,
    /// The most telling first.
    attributes: Vec<AttributeJson>,
}

#[derive(Serialize)]
struct AttributeJson {
    name: Box<str>,
    divergence: f64,
    values: Vec<ValueJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueJson {
    value: Box<str>,
    calls: u64,
    failures: u64,
    failure_rate: f64,
    /// How many times likelier failures are than with any other value, with its 95 % interval.
    risk_ratio: Option<f64>,
    risk_ratio_interval: [Option<f64>; 2],
    /// The share of all failures that would be gone if calls with it failed like the others.
    explains: f64,
    q_value: f64,
    /// `high`, `medium`, `low`, or null where it may be chance.
    significance: Option<&'static str>,
}

/// `GET /api/v1/tasks/failures`
pub(super) async fn failures(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let names = ["domain", "action", "service", "upstream", "from", "to"];
    let asked = Asked::read(pairs, &names)?;
    let needed = |name| {
        let missing = || Fault::BadRequest(format!("`{name}` is needed: say of which operation"));
        asked.owned(name).ok_or_else(missing)
    };
    let window = Window::read(&asked, Reach::SCAN, clock::wall_us())?;
    let query = WhyQuery {
        domain: needed("domain")?,
        action: needed("action")?,
        service: asked.owned("service"),
        upstream: asked.owned("upstream"),
        from_us: window.from_us,
        to_us: window.to_us,
    };
    let counted = admin.turns.read(admin.sources.advisor.why(&query)).await?;
    Ok(reply::data(why(&counted, query.to_us)))
}

fn why(counted: &Counted, to_us: i64) -> WhyJson {
    let mut attributes = counted.failures.explain();
    let summary = summary(counted, &attributes);
    attributes.truncate(ATTRIBUTES);
    WhyJson {
        from: show_time(counted.from_us),
        to: show_time(to_us),
        calls: counted.total.trials,
        failures: counted.total.hits,
        is_cut: counted.is_cut,
        summary,
        attributes: attributes.into_iter().map(AttributeJson::from).collect(),
    }
}

/// Calls are tried again because they fail: what comes of failures is none of their reasons.
const CONSEQUENCE: &str = "attempts";

/// The value that explains most.
fn summary(counted: &Counted, attributes: &[Attribute]) -> String {
    let reasons = attributes.iter().filter(|of| &*of.name != CONSEQUENCE);
    let told = reasons.flat_map(|of| of.values.iter().map(move |value| (of, value)));
    let told = told.filter(|(_, value)| value.significance().is_some());
    let most = told.max_by(|(_, a), (_, b)| {
        a.significance().cmp(&b.significance()).then(a.explains.total_cmp(&b.explains))
    });
    match most {
        None if counted.total.trials == 0 => {
            "no call of this operation was sent on in this time".to_owned()
        }
        None if counted.total.hits == 0 => "no call failed".to_owned(),
        None => "nothing sets the failures apart beyond chance".to_owned(),
        Some((attribute, value)) => format!(
            "{} {} explains {:.0} % of the {} failures: {:.1} % of its calls fail, against {:.1} % of all",
            attribute.name,
            value.value,
            100.0 * value.explains,
            counted.total.hits,
            100.0 * value.failures.rate(),
            100.0 * counted.total.rate(),
        ),
    }
}

impl From<Attribute> for AttributeJson {
    fn from(attribute: Attribute) -> Self {
        let values = attribute.values.iter().take(VALUES).map(ValueJson::from).collect();
        Self { name: attribute.name, divergence: rounded(attribute.divergence), values }
    }
}

impl From<&Value> for ValueJson {
    fn from(value: &Value) -> Self {
        let finite = |x: f64| x.is_finite().then(|| rounded(x));
        Self {
            value: value.value.clone(),
            calls: value.failures.trials,
            failures: value.failures.hits,
            failure_rate: rounded(value.failures.rate()),
            risk_ratio: finite(value.risk_ratio),
            risk_ratio_interval: [finite(value.interval.low), finite(value.interval.high)],
            explains: rounded(value.explains),
            q_value: value.q_value,
            significance: value.significance().map(|it| it.as_str()),
        }
    }
}

/// To four digits behind the point.
fn rounded(x: f64) -> f64 {
    (x * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::why;
    use crate::{
        domain::learn::{formula::share::Share, why::Failures},
        store::Counted,
    };

    #[test]
    fn that_calls_were_tried_again_is_no_reason_for_their_failures() {
        let mut failures = Failures::default();
        for (attempts, failed, all) in [("1", 10, 2_800), ("3", 130, 200)] {
            failures.add("attempts", attempts, Share::new(failed, all));
        }
        for (instance, failed) in [("i-1", 10), ("i-2", 12), ("i-3", 118)] {
            failures.add("instance", instance, Share::new(failed, 1_000));
        }
        let total = Share::new(140, 3_000);
        let json = why(&Counted { failures, total, is_cut: false, from_us: 0 }, 1);
        assert!(json.summary.starts_with("instance i-3 explains"), "{}", json.summary);
        assert!(json.attributes.iter().any(|of| &*of.name == "attempts"), "it is listed");
    }
}
