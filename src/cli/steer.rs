//! The commands about one circuit breaker: their flags.

use std::{fs, io, os::unix::fs::MetadataExt};

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
    /// Who does it [default: your user name].
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

/// Who types: whoever became root by sudo, the user that the environment names, or else the one that
/// the process runs as.
fn user(environment: &Environment) -> Option<String> {
    let named =
        ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| environment.get(name));
    let named = named.map(str::trim).find(|name| !name.is_empty());
    named.map(str::to_owned).or_else(|| {
        let uid = fs::metadata("/proc/self").ok()?.uid();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(name_of(uid, &users))
    })
}

/// The name of a user among the lines of `/etc/passwd`; in an image without them, the number.
fn name_of(uid: u32, users: &str) -> String {
    let is_it = |line: &&str| line.split(':').nth(2).and_then(|it| it.parse().ok()) == Some(uid);
    let name = users.lines().find(is_it).and_then(|line| line.split(':').next());
    name.filter(|name| !name.is_empty()).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{name_of, user};
    use crate::config::Environment;

    #[test]
    fn who_types_is_named_by_the_environment_or_the_process() {
        let user = |of: &[(&str, &str)]| user(&Environment::new(of.iter().copied(), "host"));
        let sudo = [("USER", "root"), ("SUDO_USER", "ann")];
        assert_eq!(user(&sudo).as_deref(), Some("ann"), "who became root by sudo is no nobody");
        assert_eq!(user(&[("USER", "bob")]).as_deref(), Some("bob"));
        assert_eq!(user(&[("USER", " "), ("LOGNAME", "eve")]).as_deref(), Some("eve"));
        assert!(user(&[]).is_some_and(|name| !name.is_empty()), "a container sets none");
    }

    #[test]
    fn a_user_without_a_name_is_a_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_of(0, users), "root");
        assert_eq!(name_of(1_000, users), "ann");
        assert_eq!(name_of(65_532, users), "uid 65532");
        assert_eq!(name_of(0, ""), "uid 0");
    }
}
