//! The commands about one circuit breaker: their flags.

use std::io;

use clap::{Args, Subcommand};

use super::{
    ask::{Target, finish},
    breaker::{self, Deed, Verb},
    exit::Exit,
    explain, settings,
};
use crate::config::Environment;

/// `fusebox explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The breaker: the name of an upstream, `upstream/route` for a route's own.
    name: String,
    #[command(flatten)]
    target: Target,
    /// Print all that is known of it as JSON.
    #[arg(long)]
    json: bool,
}

/// `fusebox breaker`.
#[derive(Debug, Args)]
pub(super) struct Breaker {
    #[command(subcommand)]
    verb: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Refuse every call, until --for is over or it is lifted.
    Open(Order),
    /// Pass every call and count; for an hour unless --for says otherwise, a day at most.
    Close(Order),
    /// Pass every call and count nothing; for an hour unless --for says otherwise, a day at most.
    Disable(Order),
    /// Pass every call and tell which would have been refused.
    Shadow(Order),
    /// Lift the order: follow the configuration again, in the state that the rules lead to.
    Auto(Lift),
    /// Lift the order, close the circuit and forget what was counted.
    Reset(Reset),
}

#[derive(Debug, Args)]
struct Order {
    /// Why: whoever finds the order later must know what it was for.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how long, such as 30m.
    #[arg(long = "for", value_name = "DURATION")]
    ttl: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Lift {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Reset {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The breaker: the name of an upstream, `upstream/route` for a route's own.
    name: String,
    /// Who does it [default: the user's name].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// On the instance that is asked alone, not on all that share the breaker.
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    target: Target,
    /// Print the breaker as JSON.
    #[arg(long)]
    json: bool,
}

impl Command {
    fn parts(&self) -> (Verb, Option<&str>, Option<&str>, &Common) {
        match self {
            Self::Open(order) => order.parts(Verb::Open),
            Self::Close(order) => order.parts(Verb::Close),
            Self::Disable(order) => order.parts(Verb::Disable),
            Self::Shadow(order) => order.parts(Verb::Shadow),
            Self::Auto(lift) => (Verb::Auto, lift.reason.as_deref(), None, &lift.common),
            Self::Reset(reset) => (Verb::Reset, Some(&reset.reason), None, &reset.common),
        }
    }
}

impl Order {
    fn parts(&self, verb: Verb) -> (Verb, Option<&str>, Option<&str>, &Common) {
        (verb, Some(&self.reason), self.ttl.as_deref(), &self.common)
    }
}

/// Runs `fusebox explain`.
pub(super) fn explain(arguments: &Explain) -> Exit {
    let client = arguments.target.client(&settings::environment());
    let Explain { name, json, .. } = arguments;
    finish(async move { explain::run(&client, name, *json, &mut io::stdout().lock()).await })
}

/// Runs `fusebox breaker`.
pub(super) fn breaker(arguments: &Breaker) -> Exit {
    let environment = settings::environment();
    let (verb, reason, ttl, common) = arguments.verb.parts();
    let client = common.target.client(&environment);
    let user = user(&environment);
    let by = common.by.as_deref().or(user.as_deref());
    let deed = Deed { name: &common.name, verb, reason, by, ttl, here_only: common.here };
    finish(async move { breaker::run(&client, &deed, common.json, &mut io::stdout().lock()).await })
}

/// Who types, as far as the environment knows.
fn user(environment: &Environment) -> Option<String> {
    ["USER", "LOGNAME"].into_iter().find_map(|name| environment.get(name)).map(str::to_owned)
}
