//! What a route captures of its tasks, as the file would say it.

use serde_json::{Map, Value, json};

use crate::{
    config::Route,
    domain::capture::{Charge, Kind, Param, Plan, Source, Tariff},
};

/// The task of a route.
pub(super) fn task(route: &Route) -> Value {
    let mut shown = json!({ "domain": route.domain, "action": route.action });
    let Some(plan) = route.plan.as_deref() else { return shown };
    let pairs = plan.params.iter().map(|one| (one.name.to_string(), param(plan, one)));
    shown["path"] = plan.path.as_ref().map(ToString::to_string).into();
    shown["params"] = Value::Object(pairs.collect::<Map<_, _>>());
    shown["success"] = plan.success.as_ref().map_or(Value::Null, |success| {
        let statuses = success.statuses.iter().map(|range| match range.start() % 100 {
            0 if range.end() - range.start() == 99 => format!("{}xx", range.start() / 100),
            _ => range.start().to_string(),
        });
        let unless = success.unless.as_ref().map(|rule| {
            let mut shown = source(plan, rule.source);
            shown["equals"] = (*rule.equals).into();
            shown
        });
        json!({ "statuses": statuses.collect::<Vec<_>>(), "unless": unless })
    });
    shown["goal"] = route.goal.as_str().into();
    shown["advice_header"] = route.advice_header.into();
    shown["impact"] = plan.impact.as_ref().map_or(Value::Null, |impact| {
        let mut shown = source(plan, impact.source);
        shown["range"] = json!([impact.low, impact.high]);
        shown
    });
    shown["cost"] = plan.charges.iter().map(|one| charge(plan, one)).collect();
    if let Some(meter) = &plan.meter {
        shown["preset"] = meter.preset.as_str().into();
        shown["prices"] = meter.tariffs.iter().map(tariff).collect();
    }
    shown
}

fn param(plan: &Plan, param: &Param) -> Value {
    let mut shown = source(plan, param.source);
    let (kind, bounds) = match &param.kind {
        Kind::Int { min, max } => ("int", json!([min, max])),
        Kind::Float { min, max } => ("float", json!([min, max])),
        Kind::Bool => ("bool", Value::Null),
        Kind::Enum { max_values } => {
            shown["max_values"] = (*max_values).into();
            ("enum", Value::Null)
        }
    };
    shown["type"] = kind.into();
    if let Value::Array(bounds) = bounds {
        for (name, bound) in ["min", "max"].into_iter().zip(bounds) {
            shown[name] = bound;
        }
    }
    shown
}

/// Where a value stands.
fn source(plan: &Plan, number: usize) -> Value {
    match plan.sources().get(number) {
        Some(Source::RequestJson(pointer)) => {
            json!({ "from": "request.json", "pointer": pointer.to_string() })
        }
        Some(Source::RequestForm(name)) => json!({ "from": "request.form", "name": name }),
        Some(Source::RequestHeader(name)) => {
            json!({ "from": "request.header", "name": name.as_str() })
        }
        Some(Source::Query(name)) => json!({ "from": "request.query", "name": name }),
        Some(Source::Path(at)) => {
            let name = plan.path.as_ref().and_then(|path| path.name(*at));
            json!({ "from": "path", "segment": name })
        }
        Some(Source::ResponseJson(pointer)) => {
            json!({ "from": "response.json", "pointer": pointer.to_string() })
        }
        Some(Source::ResponseHeader(name)) => {
            json!({ "from": "response.header", "name": name.as_str() })
        }
        None => json!({}),
    }
}

fn charge(plan: &Plan, charge: &Charge) -> Value {
    match charge {
        Charge::Fixed(price) => json!({ "fixed_usd": price.dollars() }),
        Charge::PerUnit { source: number, price, is_required } => {
            let mut shown = source(plan, *number);
            shown["usd_per_unit"] = price.dollars().into();
            shown["required"] = (*is_required).into();
            shown
        }
    }
}

/// Prices per million, as they are written.
fn tariff(tariff: &Tariff) -> Value {
    let million = |price: crate::domain::capture::Price| price.dollars_per_million();
    json!({
        "model": tariff.model,
        "input": million(tariff.input),
        "output": million(tariff.output),
        "cached_input": million(tariff.cached_input),
        "cache_write": million(tariff.cache_write),
    })
}
