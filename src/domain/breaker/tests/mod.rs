//! The breaker's behaviour, as scripts: one line a case, one helper that knows the API.

mod hanging;
mod modes;
mod properties;
mod rules;
mod script;
mod sharing;
mod trials;
mod world;
