//! What a route captures: where its values stand, and what they mean.

use std::{ops::RangeInclusive, sync::Arc};

use http::HeaderName;

use super::{
    evidence::{Evidence, Found},
    fault::Fault,
    money::{Cost, Price},
    path::Template,
    pointer::Pointer,
    preset::{Preset, Role, Tariff, Usage, tariff},
    value::{Captured, Kind, Value},
    wanted::Wanted,
};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the body of the request.
    RequestJson(Pointer),
    /// In the body of the request, a form, under this name.
    RequestForm(Box<str>),
    /// In a header of the request.
    RequestHeader(HeaderName),
    /// In the query, under this name.
    Query(Box<str>),
    /// In a segment of the path, by its number in [`Plan::path`].
    Path(usize),
    /// In the body of the answer; in a stream, in the last event that has it.
    ResponseJson(Pointer),
    /// In a header of the answer.
    ResponseHeader(HeaderName),
}

/// See the module docs. Sources are meant by their numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The path whose segments are named.
    pub path: Option<Template>,
    /// The parameters.
    pub params: Vec<Param>,
    /// When a task has succeeded, if its call has.
    pub success: Option<Success>,
    /// How good its result was.
    pub impact: Option<Impact>,
    /// What it costs.
    pub charges: Vec<Charge>,
    /// What a call of a language model used.
    pub meter: Option<Meter>,
    sources: Vec<Source>,
    request: Wanted,
    response: Wanted,
}

/// Its numbers are finite, so that each equals itself.
impl Eq for Plan {}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub source: usize,
    /// Its type.
    pub kind: Kind,
}

/// When a task has succeeded: with one of these statuses, unless something is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The statuses.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What makes it a failure all the same.
    pub unless: Option<Rule>,
}

/// A value that is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands.
    pub source: usize,
    /// What it is.
    pub equals: Box<str>,
}

/// How good the result was, on the scale from `low` to `high`.
#[derive(Debug, Clone, PartialEq)]
pub struct Impact {
    /// Where it stands.
    pub source: usize,
    /// What is 0.
    pub low: f64,
    /// What is 100.
    pub high: f64,
}

/// A part of what a task costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charge {
    /// The same for every call that was answered.
    Fixed(Price),
    /// By something that is counted.
    PerUnit {
        /// Where it stands.
        source: usize,
        /// What one costs.
        price: Price,
        /// Without it nothing is known of the cost.
        is_required: bool,
    },
}

/// What a call of a language model used, and its prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Whose format it has.
    pub preset: Preset,
    /// Where what stands.
    pub places: Vec<(Role, usize)>,
    /// The prices of models; without any there is no cost.
    pub tariffs: Vec<Tariff>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// What its row tells.
    pub captured: Captured,
    /// Whether the task has failed although its call has not.
    pub has_failed: bool,
}

/// How many different texts a parameter of a preset has.
const PRESET_VALUES: usize = 32;

impl Plan {
    /// A plan for calls to this path.
    pub fn new(path: Option<Template>) -> Self {
        Self { path, ..Self::default() }
    }

    /// The number of a source, which is looked at from now on.
    pub fn source(&mut self, source: Source) -> usize {
        if let Some(number) = self.sources.iter().position(|known| *known == source) {
            return number;
        }
        let number = self.sources.len();
        match &source {
            Source::RequestJson(pointer) => self.request.add(number, pointer),
            Source::ResponseJson(pointer) => self.response.add(number, pointer),
            _ => {}
        }
        self.sources.push(source);
        number
    }

    /// Reads answers of this format.
    pub fn meter(&mut self, preset: Preset, tariffs: Vec<Tariff>) {
        let places = preset.places().iter().filter_map(|(role, text)| {
            let pointer = Pointer::parse(text).ok()?;
            Some((*role, self.source(Source::ResponseJson(pointer))))
        });
        let places = places.collect();
        self.meter = Some(Meter { preset, places, tariffs });
    }

    /// Whether nothing is captured.
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.success.is_none() && self.charges.is_empty()
    }

    /// All sources, by their numbers.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What is wanted of the body of a request.
    pub const fn request(&self) -> &Wanted {
        &self.request
    }

    /// The fields that are wanted of the body of a request, by their numbers.
    pub fn form(&self) -> impl Iterator<Item = (usize, &str)> {
        self.sources.iter().enumerate().filter_map(|(number, source)| match source {
            Source::RequestForm(name) => Some((number, &**name)),
            _ => None,
        })
    }

    /// What is wanted of the query, by its numbers.
    pub fn query(&self) -> impl Iterator<Item = (usize, &str)> {
        self.sources.iter().enumerate().filter_map(|(number, source)| match source {
            Source::Query(name) => Some((number, &**name)),
            _ => None,
        })
    }

    /// What is wanted of the body of an answer.
    pub const fn response(&self) -> &Wanted {
        &self.response
    }

    /// Texts of this many parameters are told apart by [`Plan::conclude`]'s `admits`.
    pub fn vocabularies(&self) -> usize {
        self.params.len() + 2
    }

    /// What a call came to. `status` is the upstream's, if it answered. `admits` says whether a text
    /// is one of the first so many of a parameter, by its number; `note` is told what went wrong.
    pub fn conclude(
        &self,
        evidence: &Evidence<'_>,
        status: Option<u16>,
        mut admits: impl FnMut(usize, &str, usize) -> bool,
        mut note: impl FnMut(Fault),
    ) -> Conclusion {
        let mut params = Vec::with_capacity(self.params.len());
        for (number, param) in self.params.iter().enumerate() {
            let admits = |text: &str, most: usize| admits(number, text, most);
            match look(evidence.of(param.source), &param.kind, admits, &mut note) {
                Ok(value) => params.extend(value.map(|value| (Arc::clone(&param.name), value))),
                Err(fault) => note(fault),
            }
        }
        let is_good = status.is_some_and(|status| (200..300).contains(&status));
        let usage = self.meter.as_ref().filter(|_| is_good).map(|meter| {
            let first = self.params.len();
            let admits = |role, text: &str, most: usize| admits(first + role, text, most);
            meter.tell(evidence, admits, &mut note, &mut params)
        });
        let impact_score =
            self.impact.as_ref().and_then(|impact| impact.score(evidence, &mut note));
        let cost = self.cost(evidence, status.map(|_| is_good), usage, &mut note);
        let captured = Captured { params, impact_score, cost_nano_usd: cost.map(Cost::nano_usd) };
        let success = self.success.as_ref().zip(status);
        let has_failed = success.is_some_and(|(success, status)| !success.holds(evidence, status));
        Conclusion { captured, has_failed }
    }

    /// What it cost; nothing when that is not known. `is_good` says how it was answered.
    fn cost(
        &self,
        evidence: &Evidence<'_>,
        is_good: Option<bool>,
        usage: Option<Usage>,
        note: &mut impl FnMut(Fault),
    ) -> Option<Cost> {
        let is_good = is_good?;
        let meter = self.meter.as_ref().filter(|meter| is_good && !meter.tariffs.is_empty());
        if self.charges.is_empty() && meter.is_none() {
            return None;
        }
        let mut missing = |fault| {
            // What failed tells nothing, and mostly costs nothing.
            if is_good {
                note(fault);
            }
            None
        };
        let mut sum = Cost::default();
        for charge in &self.charges {
            match charge.cost(evidence) {
                Ok(cost) => sum = sum.plus(cost),
                Err(fault) => return missing(fault),
            }
        }
        if let Some(meter) = meter {
            match meter.cost(evidence, usage.unwrap_or_default()) {
                Ok(cost) => sum = sum.plus(cost),
                Err(fault) => return missing(fault),
            }
        }
        Some(sum)
    }
}

/// The value of a parameter; none where it could not be looked at.
fn look(
    found: &Found<'_>,
    kind: &Kind,
    admits: impl FnOnce(&str, usize) -> bool,
    note: &mut impl FnMut(Fault),
) -> Result<Option<Value>, Fault> {
    match found {
        Found::Unseen => Ok(None),
        Found::Missing => Ok(Some(Value::Missing)),
        Found::Value(scalar) => kind.value(scalar, admits, note).map(Some),
    }
}

impl Success {
    fn holds(&self, evidence: &Evidence<'_>, status: u16) -> bool {
        let has_status = self.statuses.iter().any(|range| range.contains(&status));
        let is_said = self.unless.as_ref().is_some_and(|rule| {
            let said = evidence.value(rule.source).and_then(|value| value.text());
            said.is_some_and(|said| *said == *rule.equals)
        });
        has_status && !is_said
    }
}

impl Impact {
    #[expect(clippy::cast_possible_truncation, reason = "a score needs no more digits")]
    fn score(&self, evidence: &Evidence<'_>, note: &mut impl FnMut(Fault)) -> Option<f32> {
        let value = evidence.value(self.source)?;
        let Some(number) = value.number() else {
            note(Fault::WrongType);
            return None;
        };
        if !(self.low..=self.high).contains(&number) {
            note(Fault::OutOfRange);
            return None;
        }
        Some(((number - self.low) / (self.high - self.low) * 100.0) as f32)
    }
}

impl Charge {
    fn cost(&self, evidence: &Evidence<'_>) -> Result<Cost, Fault> {
        match *self {
            Self::Fixed(price) => Ok(price.of(1)),
            Self::PerUnit { source, price, is_required } => match evidence.value(source) {
                None if is_required => Err(Fault::CostMissing),
                None => Ok(Cost::default()),
                Some(value) => {
                    if let Some(units) = value.whole().and_then(|units| u64::try_from(units).ok()) {
                        return Ok(price.of(units));
                    }
                    let units = value.number().ok_or(Fault::WrongType)?;
                    let is_amount = units >= 0.0;
                    is_amount.then(|| price.of_parts(units)).ok_or(Fault::OutOfRange)
                }
            },
        }
    }
}

impl Meter {
    /// Tells what a call used as parameters, and returns it.
    fn tell(
        &self,
        evidence: &Evidence<'_>,
        mut admits: impl FnMut(usize, &str, usize) -> bool,
        note: &mut impl FnMut(Fault),
        params: &mut Vec<(Arc<str>, Value)>,
    ) -> Usage {
        let texts = [(Role::Model, "model"), (Role::Finish, "finish_reason")];
        for (number, (role, name)) in texts.into_iter().enumerate() {
            let kind = Kind::Enum { max_values: PRESET_VALUES };
            let Some(scalar) = self.found(evidence, role) else { continue };
            match kind.value(scalar, |text, most| admits(number, text, most), note) {
                Ok(value) => params.push((name.into(), value)),
                Err(fault) => note(fault),
            }
        }
        let usage = Usage::of(|role| self.found(evidence, role));
        let input =
            usage.input.map(|input| [("input_tokens", input), ("cached_tokens", usage.cached)]);
        let output = usage.output.map(|output| ("output_tokens", output));
        for (name, tokens) in input.into_iter().flatten().chain(output) {
            let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
            params.push((name.into(), Value::Int(tokens)));
        }
        usage
    }

    /// The names of the parameters that it tells.
    pub const NAMES: [&str; 5] =
        ["model", "finish_reason", "input_tokens", "cached_tokens", "output_tokens"];

    /// Of these, those that nobody would give to a parameter of one's own.
    pub const FIGURES: [&str; 4] =
        ["finish_reason", "input_tokens", "cached_tokens", "output_tokens"];

    fn cost(&self, evidence: &Evidence<'_>, usage: Usage) -> Result<Cost, Fault> {
        let model = self.found(evidence, Role::Model).and_then(|model| model.text());
        let model = model.ok_or(Fault::CostMissing)?;
        usage.cost(tariff(&self.tariffs, &model).ok_or(Fault::NoPrice)?)
    }

    /// What stands at the first place with a role that has anything.
    fn found<'e, 'a>(
        &self,
        evidence: &'e Evidence<'a>,
        role: Role,
    ) -> Option<&'e super::Scalar<'a>> {
        let places = self.places.iter().filter(|(own, _)| *own == role);
        places.into_iter().find_map(|(_, source)| evidence.value(*source))
    }
}
