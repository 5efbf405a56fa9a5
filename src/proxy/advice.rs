//! What is recommended for tasks, told in the answers of routes that are configured to.
//!
//! Whoever learns puts it here from time to time; a call looks it up and waits for nobody. Nothing
//! that a caller asks is ever changed by it.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::{
    config::Config,
    domain::{learn::contrast::Goal, task::CallSite},
};

/// The tasks of a route that tells what is recommended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Advised {
    domain: String,
    /// None where the action differs between calls.
    action: Option<String>,
    goal: Goal,
}

impl Advised {
    /// What is recommended is to improve this.
    pub const fn goal(&self) -> Goal {
        self.goal
    }

    /// Whether these are such tasks.
    pub fn holds(&self, domain: &str, action: &str) -> bool {
        self.domain == domain && self.action.as_deref().is_none_or(|own| own == action)
    }
}

/// Values of the header, by domain and action.
type Known = HashMap<Box<str>, HashMap<Box<str>, HeaderValue>>;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Advice {
    advised: Vec<Advised>,
    known: ArcSwap<Known>,
}

impl Advice {
    /// None yet, for the routes of a configuration that tell it.
    pub(super) fn of(config: &Config) -> Self {
        let routes = config.listeners.iter().flat_map(|listener| &listener.routes);
        let telling = routes.filter(|route| route.advice_header);
        let advised = telling.map(|route| Advised {
            domain: route.domain.clone(),
            action: route.actions.is_none().then(|| route.action.clone()),
            goal: route.goal,
        });
        Self { advised: advised.collect(), known: ArcSwap::default() }
    }

    /// The tasks that it is asked about.
    pub fn advised(&self) -> &[Advised] {
        &self.advised
    }

    /// Replaces all of it.
    pub fn put(&self, all: impl IntoIterator<Item = (Box<str>, Box<str>, HeaderValue)>) {
        let mut known = Known::new();
        for (domain, action, value) in all {
            known.entry(domain).or_default().insert(action, value);
        }
        self.known.store(known.into());
    }

    /// What is recommended for such a task.
    pub(super) fn about(&self, site: &CallSite) -> Option<HeaderValue> {
        self.known.load().get(&*site.domain)?.get(&*site.action).cloned()
    }
}
