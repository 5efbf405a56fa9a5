//! What a route captures of its tasks. Everything that can be wrong about it is found here.

use std::sync::Arc;

use http::HeaderName;

use crate::{
    config::{
        key::Key,
        keys,
        mapping::Mapping,
        path::shown,
        task::{Asked, ParamType, Told},
        text::Title,
    },
    domain::{
        capture::{
            Action, Charge, Impact, Kind, Meter, Param, Plan, Pointer, Rule, Source, Success,
            Tariff, Template, whole,
        },
        learn::contrast::Goal,
    },
};

/// What is said of the tasks of a route.
pub(super) struct Task {
    pub(super) domain: Option<String>,
    pub(super) action: Option<String>,
    /// The action, where it differs between calls.
    pub(super) actions: Option<Action>,
    /// What is captured; none for nothing.
    pub(super) plan: Option<Arc<Plan>>,
    /// What is recommended is to improve this.
    pub(super) goal: Goal,
    /// Whether answers tell what is recommended.
    pub(super) advice_header: bool,
}

/// Reads what a route with this prefix says of its tasks.
pub(super) fn read(task: &Mapping<'_>, prefix: &str) -> Task {
    let path = task.optional(&keys::TASK_PATH);
    if path.as_ref().is_some_and(|path| !path.is_below(prefix)) {
        let message =
            format!("must begin with the `path_prefix` of the route, `{}`", shown(prefix));
        task.error(&keys::TASK_PATH, &message);
    }
    let domain = task.optional(&keys::TASK_DOMAIN).map(|domain| domain.0);
    let action = task.optional(&keys::TASK_ACTION).map(|action| action.0);
    let actions = action.as_deref().and_then(|action| read_action(task, action, path.as_ref()));
    let mut plan = Plan::new(path);
    read_params(task, &mut plan);
    plan.success = task.optional_mapping(&keys::SUCCESS).map(|one| success(&one, &mut plan));
    plan.impact = task.optional_mapping(&keys::IMPACT).and_then(|one| impact(&one, &mut plan));
    for charge in task.mappings(&keys::COST) {
        let charge = self::charge(&charge, &mut plan);
        plan.charges.extend(charge);
    }
    let tariffs = task.mappings(&keys::PRICES);
    let tariffs: Vec<Tariff> = tariffs.iter().filter_map(tariff).collect();
    match task.optional(&keys::PRESET) {
        Some(preset) => plan.meter(preset, tariffs),
        None if task.has(&keys::PRICES) && !task.has(&keys::PRESET) => {
            task.error(&keys::PRICES, "prices are those of a `preset`, which is missing");
        }
        None => {}
    }
    let (goal, advice_header) = (task.get(&keys::GOAL), task.get(&keys::ADVICE_HEADER));
    if plan.params.is_empty() {
        let message = "there is nothing to recommend without `params`";
        if task.has(&keys::GOAL) {
            task.error(&keys::GOAL, message);
        }
        if advice_header {
            task.error(&keys::ADVICE_HEADER, message);
        }
    }
    let plan = (!plan.is_empty()).then(|| Arc::new(plan));
    Task { domain, action, actions, plan, goal, advice_header }
}

fn read_action(task: &Mapping<'_>, action: &str, path: Option<&Template>) -> Option<Action> {
    if !Action::is_template(action) {
        return None;
    }
    let Some(path) = path else {
        if !task.has(&keys::TASK_PATH) {
            let message = "names a segment, for which `path` is missing: `path: /beats/{kind}`";
            task.error(&keys::TASK_ACTION, message);
        }
        return None;
    };
    let read = Action::parse(action, path);
    read.map_err(|error| task.error(&keys::TASK_ACTION, &error.to_string())).ok()
}

fn read_params(task: &Mapping<'_>, plan: &mut Plan) {
    let has_preset = task.has(&keys::PRESET);
    for (name, param) in task.named(&keys::PARAMS) {
        if has_preset && Meter::NAMES.contains(&name) {
            param.error_here("the preset tells a parameter of this name");
        }
        let source = asked(&param, plan);
        let (source, kind) = (source, kind(&param));
        if let (Some(source), Some(kind)) = (source, kind) {
            plan.params.push(Param { name: name.into(), source, kind });
        }
    }
}

/// Where a parameter stands.
fn asked(param: &Mapping<'_>, plan: &mut Plan) -> Option<usize> {
    let from = param.required(&keys::PARAM_FROM);
    let is = |wanted| from == Some(wanted);
    let pointer = belonging(param, &keys::PARAM_POINTER, is(Asked::Json), from.is_some());
    let named = is(Asked::Form) || is(Asked::Header) || is(Asked::Query);
    let name = belonging(param, &keys::PARAM_NAME, named, from.is_some());
    let segment = belonging(param, &keys::PARAM_SEGMENT, is(Asked::Path), from.is_some());
    let source = match from? {
        Asked::Json => Source::RequestJson(pointer?),
        Asked::Form => Source::RequestForm(name?.0.into()),
        Asked::Query => Source::Query(name?.0.into()),
        Asked::Header => Source::RequestHeader(header(param, &keys::PARAM_NAME, &name?)?),
        Asked::Path => Source::Path(numbered(param, &segment?, plan)?),
    };
    Some(plan.source(source))
}

/// Where a value of an answer stands, by the keys `from`, `pointer` and `name`.
fn told(
    value: &Mapping<'_>,
    (from, pointer, name): (&Key<Told>, &Key<Pointer>, &Key<Title>),
    plan: &mut Plan,
) -> Option<usize> {
    let place = value.required(from);
    let pointer = belonging(value, pointer, place == Some(Told::Json), place.is_some());
    let field = belonging(value, name, place == Some(Told::Header), place.is_some());
    let source = match place? {
        Told::Json => Source::ResponseJson(pointer?),
        Told::Header => Source::ResponseHeader(header(value, name, &field?)?),
    };
    Some(plan.source(source))
}

/// A key that must be there with some values of `from`, and must not with others.
fn belonging<T: crate::config::setting::Setting>(
    value: &Mapping<'_>,
    key: &Key<T>,
    belongs: bool,
    is_known: bool,
) -> Option<T> {
    if belongs {
        return value.required(key);
    }
    if is_known && value.has(key) {
        value.error(key, "does not go with this `from`");
    }
    value.optional(key)
}

fn header(value: &Mapping<'_>, key: &Key<Title>, name: &Title) -> Option<HeaderName> {
    let read = HeaderName::from_bytes(name.0.as_bytes());
    read.map_err(|_| value.error(key, "no valid name of a header, such as `x-team`")).ok()
}

/// The number of a segment.
fn numbered(param: &Mapping<'_>, name: &Title, plan: &Plan) -> Option<usize> {
    let number = plan.path.as_ref().and_then(|path| path.segment(&name.0));
    if number.is_none() {
        let name = shown(&name.0);
        let message = format!("there is no segment `{{{name}}}` in the `path` of the task");
        param.error(&keys::PARAM_SEGMENT, &message);
    }
    number
}

fn kind(param: &Mapping<'_>) -> Option<Kind> {
    let kind = param.required(&keys::PARAM_TYPE);
    let is_number = matches!(kind, Some(ParamType::Int | ParamType::Float));
    let bound = |key| param.optional(key).map(|number: crate::config::task::Number| number.0);
    let (min, max) = (bound(&keys::PARAM_MIN), bound(&keys::PARAM_MAX));
    let max_values = param.get(&keys::PARAM_MAX_VALUES);
    if kind.is_some() && !is_number {
        for key in [&keys::PARAM_MIN, &keys::PARAM_MAX].into_iter().filter(|key| param.has(key)) {
            param.error(key, "is for numbers, `type: int` or `type: float`");
        }
    }
    if kind.is_some_and(|kind| kind != ParamType::Enum) && param.has(&keys::PARAM_MAX_VALUES) {
        param.error(&keys::PARAM_MAX_VALUES, "is for texts, `type: enum`");
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        param.error(&keys::PARAM_MAX, "must not be less than `min`");
    }
    Some(match kind? {
        ParamType::Int => {
            let exact = |key, bound: Option<f64>, none| match bound {
                None => none,
                Some(bound) => whole(bound).unwrap_or_else(|| {
                    param.error(key, "a bound of `type: int` is a whole number");
                    none
                }),
            };
            let min = exact(&keys::PARAM_MIN, min, i64::MIN);
            Kind::Int { min, max: exact(&keys::PARAM_MAX, max, i64::MAX) }
        }
        ParamType::Float => {
            Kind::Float { min: min.unwrap_or(f64::MIN), max: max.unwrap_or(f64::MAX) }
        }
        ParamType::Bool => Kind::Bool,
        ParamType::Enum => Kind::Enum { max_values },
    })
}

fn success(success: &Mapping<'_>, plan: &mut Plan) -> Success {
    let statuses = success.distinct(&keys::SUCCESS_STATUSES);
    let unless = success.optional_mapping(&keys::UNLESS).and_then(|unless| {
        let equals = unless.required(&keys::UNLESS_EQUALS);
        let places = (&keys::UNLESS_FROM, &keys::UNLESS_POINTER, &keys::UNLESS_NAME);
        let source = told(&unless, places, plan);
        Some(Rule { source: source?, equals: equals?.0.into() })
    });
    Success { statuses: statuses.into_iter().map(|statuses| statuses.0).collect(), unless }
}

fn impact(impact: &Mapping<'_>, plan: &mut Plan) -> Option<Impact> {
    let range: Vec<f64> =
        impact.list(&keys::IMPACT_RANGE).iter().map(|item| item.value.0).collect();
    let places = (&keys::IMPACT_FROM, &keys::IMPACT_POINTER, &keys::IMPACT_NAME);
    let source = told(impact, places, plan);
    let &[low, high] = range.as_slice() else { return None };
    if low >= high {
        impact.error(&keys::IMPACT_RANGE, "the first is the worst, and less than the second");
    }
    Some(Impact { source: source?, low, high })
}

fn charge(charge: &Mapping<'_>, plan: &mut Plan) -> Option<Charge> {
    let (is_fixed, is_counted) = (charge.has(&keys::FIXED_USD), charge.has(&keys::USD_PER_UNIT));
    if is_fixed == is_counted {
        charge.error_here("either `fixed_usd`, or `usd_per_unit` with `from`");
        return None;
    }
    if is_fixed {
        for is_there in [
            charge.has(&keys::COST_FROM),
            charge.has(&keys::COST_POINTER),
            charge.has(&keys::COST_NAME),
            charge.has(&keys::COST_REQUIRED),
        ] {
            if is_there {
                charge.error_here("a fixed cost is counted by nothing: leave out all other keys");
                break;
            }
        }
        return charge.optional(&keys::FIXED_USD).map(|price| Charge::Fixed(price.0));
    }
    let places = (&keys::COST_FROM, &keys::COST_POINTER, &keys::COST_NAME);
    let (price, source) = (charge.optional(&keys::USD_PER_UNIT), told(charge, places, plan));
    let is_required = charge.get(&keys::COST_REQUIRED);
    Some(Charge::PerUnit { source: source?, price: price?.0, is_required })
}

fn tariff(tariff: &Mapping<'_>) -> Option<Tariff> {
    let model = tariff.required(&keys::PRICE_MODEL);
    let input = tariff.required(&keys::PRICE_INPUT).map(|price| price.0);
    let output = tariff.required(&keys::PRICE_OUTPUT).map(|price| price.0);
    let cached_input = tariff.optional(&keys::PRICE_CACHED_INPUT).map(|price| price.0);
    let cache_write = tariff.optional(&keys::PRICE_CACHE_WRITE).map(|price| price.0);
    let input = input?;
    Some(Tariff {
        model: model?.0.into(),
        input,
        cached_input: cached_input.unwrap_or(input),
        cache_write: cache_write.unwrap_or(input),
        output: output?,
    })
}
