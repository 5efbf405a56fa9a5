//! Parameters of tasks: values of a known type, few enough to count by.

use std::sync::Arc;

use super::{fault::Fault, scalar::Scalar};
use crate::domain::secret;

/// What stands for a text that is too long, or one too many.
pub const OTHER: &str = "__other__";

/// The longest text that is kept, in characters.
pub const MAX_TEXT: usize = 64;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The call does not have it, which tells something too.
    Missing,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; never NaN, never infinite.
    Float(f64),
    /// One of a few texts.
    Text(Box<str>),
}

/// What is known of a task besides how its call went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Captured {
    /// Its parameters, as far as they could be looked at, by name.
    pub params: Vec<(Arc<str>, Value)>,
    /// How good the result was, from 0 to 100.
    pub impact_score: Option<f32>,
    /// What it cost, in billionths of a US dollar.
    pub cost_nano_usd: Option<u64>,
}

impl Captured {
    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.params.is_empty() && self.impact_score.is_none() && self.cost_nano_usd.is_none()
    }
}

/// The type of a parameter, and which of its values are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A whole number within these bounds.
    Int {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A number within these bounds.
    Float {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Yes or no.
    Bool,
    /// One of so many texts at most; further ones become [`OTHER`].
    Enum {
        /// How many.
        max_values: usize,
    },
}

impl Kind {
    /// The value as this type. `admits` says whether a text is one of those that are kept.
    ///
    /// # Errors
    /// It is of another type, outside of the bounds, or a secret: then nothing of it is kept.
    pub(super) fn value(
        &self,
        scalar: &Scalar<'_>,
        admits: impl FnOnce(&str, usize) -> bool,
        note: &mut impl FnMut(Fault),
    ) -> Result<Value, Fault> {
        match *self {
            Self::Int { min, max } => {
                let number = scalar.whole().ok_or(Fault::WrongType)?;
                let is_within = (min..=max).contains(&number);
                is_within.then_some(Value::Int(number)).ok_or(Fault::OutOfRange)
            }
            Self::Float { min, max } => {
                let number = scalar.number().ok_or(Fault::WrongType)?;
                let is_within = (min..=max).contains(&number);
                is_within.then_some(Value::Float(number)).ok_or(Fault::OutOfRange)
            }
            Self::Bool => scalar.truth().map(Value::Bool).ok_or(Fault::WrongType),
            Self::Enum { max_values } => {
                let text = scalar.text().ok_or(Fault::WrongType)?;
                let text = text.trim();
                let refused = if text.chars().nth(MAX_TEXT).is_some() {
                    Fault::TooLong
                } else if secret::is_in(text.as_bytes()) {
                    return Err(Fault::Secret);
                } else if admits(text, max_values) {
                    return Ok(Value::Text(text.into()));
                } else {
                    Fault::TooMany
                };
                note(refused);
                Ok(Value::Text(OTHER.into()))
            }
        }
    }
}
