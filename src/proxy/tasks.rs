//! What the routes capture of their tasks, for all threads and for one of them.

use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc, sync::Arc};

use http::HeaderValue;

use super::{advice::Advice, routes::Place};
use crate::{
    capture::{Extraction, Faults, Vocabulary},
    config::{self, Config},
    domain::{
        capture::{Action, OTHER},
        task::CallSite,
    },
    telemetry::{durations::Counters, traffic::Traffic},
};

/// Different actions of a route; further ones are one.
const MAX_ACTIONS: usize = 32;

/// What is captured of the calls of every route, shared by all threads.
#[derive(Debug, Default)]
pub struct Captures {
    faults: Arc<Faults>,
    /// By listener and route.
    routes: HashMap<(String, String), Shared>,
    advice: Arc<Advice>,
}

#[derive(Debug, Clone)]
struct Shared {
    extraction: Option<Arc<Extraction>>,
    actions: Arc<Vocabulary>,
}

impl Captures {
    /// What a configuration says is captured.
    pub fn of(config: &Config) -> Self {
        Self::default().renewed(config)
    }

    /// The same for another configuration: faults are counted on, and the actions that a route has
    /// had are known.
    pub fn renewed(&self, config: &Config) -> Self {
        let mut captures = Self {
            faults: Arc::clone(&self.faults),
            advice: Arc::new(Advice::of(config)),
            ..Self::default()
        };
        for listener in &config.listeners {
            for route in listener.routes.iter().filter(|route| is_told(route)) {
                let extract =
                    |plan| Extraction::new(Arc::clone(plan), Arc::clone(&captures.faults));
                let extraction = route.plan.as_ref().map(extract).map(Arc::new);
                let place = (listener.name.clone(), route.name.clone());
                let known = self.routes.get(&place).map(|shared| Arc::clone(&shared.actions));
                let shared = Shared { extraction, actions: known.unwrap_or_default() };
                captures.routes.insert(place, shared);
            }
        }
        captures
    }

    /// What is recommended for tasks, and told to callers.
    pub const fn advice(&self) -> &Arc<Advice> {
        &self.advice
    }

    /// What could not be captured.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// Whether a route says anything of its tasks that has to be looked for in calls.
const fn is_told(route: &config::Route) -> bool {
    route.plan.is_some() || route.actions.is_some() || route.advice_header
}

/// The tasks of a route, for one thread.
pub(super) struct Tasks {
    pub(super) extraction: Option<Arc<Extraction>>,
    actions: Option<Actions>,
    /// None where callers are told none.
    advice: Option<Arc<Advice>>,
}

/// Actions that differ between calls, each with its place.
struct Actions {
    action: Action,
    known: Arc<Vocabulary>,
    traffic: Arc<Traffic>,
    durations: Arc<Counters>,
    /// What all places have in common.
    site: CallSite,
    /// Borrowed for the time of a look.
    places: RefCell<HashMap<String, Rc<Place>>>,
}

impl Tasks {
    /// The tasks of a route; none when nothing is said of them.
    pub(super) fn of(
        captures: &Captures,
        listener: &str,
        route: &config::Route,
        (site, (traffic, durations)): (&CallSite, (&Arc<Traffic>, &Arc<Counters>)),
    ) -> Option<Box<Self>> {
        if !is_told(route) {
            return None;
        }
        let shared = captures.routes.get(&(listener.to_owned(), route.name.clone()))?;
        let actions = route.actions.as_ref().map(|action| Actions {
            action: action.clone(),
            known: Arc::clone(&shared.actions),
            traffic: Arc::clone(traffic),
            durations: Arc::clone(durations),
            site: site.clone(),
            places: RefCell::default(),
        });
        let advice = route.advice_header.then(|| Arc::clone(&captures.advice));
        Some(Box::new(Self { extraction: shared.extraction.clone(), actions, advice }))
    }

    /// What a caller is told that is recommended for such a task.
    pub(super) fn advice(&self, site: &CallSite) -> Option<HeaderValue> {
        self.advice.as_ref()?.about(site)
    }

    /// Where a call to this path is counted and logged; none where all calls of the route are.
    pub(super) fn place(&self, path: &str) -> Option<Rc<Place>> {
        self.actions.as_ref().map(|actions| actions.place(path))
    }
}

impl Actions {
    fn place(&self, path: &str) -> Rc<Place> {
        let action = self.action.of(path);
        if let Some(place) = self.places.borrow().get(&action) {
            return Rc::clone(place);
        }
        let is_known = self.known.admits(&action, MAX_ACTIONS);
        let action = if is_known { action } else { OTHER.to_owned() };
        let mut places = self.places.borrow_mut();
        let place = places.entry(action).or_insert_with_key(|action| {
            let site = CallSite { action: action.as_str().into(), ..self.site.clone() };
            Place::new(site, (&self.traffic, &self.durations))
        });
        Rc::clone(place)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}
