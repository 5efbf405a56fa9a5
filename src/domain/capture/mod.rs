//! Capturing what a call means: parameters, success, impact and cost of a task, from what the call
//! carries.
//!
//! A [`Plan`] says what is wanted and where it stands; [`Evidence`] is what was found there; from
//! both [`Plan::conclude`] makes what a row tells. Whatever is missing, broken or not to be kept is a
//! [`Fault`], which is counted and is never an error to the caller. Nothing here waits, allocates
//! for calls that capture nothing, or knows how bodies come in.

mod evidence;
pub mod fault;
pub mod json;
mod money;
mod path;
mod plan;
mod pointer;
mod preset;
mod scalar;
pub mod sse;
mod token;
mod value;
mod wanted;
mod words;

pub use evidence::{Evidence, Found};
pub use fault::Fault;
pub use money::{Cost, Price, PriceError};
pub use path::{Action, Template, TemplateError};
pub use plan::{Charge, Conclusion, Impact, Meter, Param, Plan, Rule, Source, Success};
pub use pointer::{MAX_DEPTH, Pointer, PointerError};
pub use preset::{Preset, Role, Tariff, Usage, tariff};
pub use scalar::{Scalar, whole};
pub use value::{Captured, Kind, MAX_TEXT, OTHER, Value};
pub use wanted::Wanted;
