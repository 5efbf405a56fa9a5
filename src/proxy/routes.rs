//! The configuration of a listener, made ready for one worker.

use std::{collections::HashMap, rc::Rc, sync::Arc, time::Instant};

use crate::{
    config::{self, HeaderRules},
    domain::{
        route::Table,
        task::{CallRecord, CallSite},
    },
    telemetry::{
        durations::{Board, Counters},
        log::call::site_fragment,
        traffic::Traffic,
    },
};

use super::{
    endpoint::{Asks, Common},
    fallback::Fallback,
    plane::Shared,
    tasks::{Captures, Tasks},
    upstream::Upstream,
};

/// The traffic of every upstream, and under [`NOWHERE`] of calls that reached none.
pub type TrafficBoard = HashMap<Arc<str>, Arc<Traffic>>;

/// The name of what a call has not got: no route, no upstream.
pub const NOWHERE: &str = "-";

/// A listener for one worker.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) table: Table<Rc<Route>>,
    /// Whether the path decides where a call goes, so that it must mean what it says.
    pub(super) by_path: bool,
    /// Where calls are counted that no route takes.
    pub(super) nowhere: Rc<Place>,
}

/// A route for one worker.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) place: Rc<Place>,
    pub(super) upstream: Rc<Upstream>,
    pub(super) strip_prefix: bool,
    pub(super) preserve_host: bool,
    pub(super) request_headers: HeaderRules,
    pub(super) response_headers: HeaderRules,
    pub(super) fallback: Option<Box<Fallback>>,
    /// What is to be looked for in calls; none for nothing.
    pub(super) tasks: Option<Box<Tasks>>,
}

impl Route {
    /// Whether a call may have to be sent once more after some of it has been sent.
    pub(super) fn may_need_it_again(&self, asks: Asks) -> bool {
        let falls_back = self.fallback.as_ref().is_some_and(|it| it.may_need_it_again());
        falls_back || self.upstream.may_need_it_again(asks)
    }
}

/// Where a call is counted and logged.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) site: Arc<CallSite>,
    /// The site as it stands in every log line.
    pub(super) line: String,
    pub(super) traffic: Arc<Traffic>,
    pub(super) durations: Arc<Counters>,
}

impl Place {
    pub(super) fn new(
        site: CallSite,
        (traffic, durations): (&Arc<Traffic>, &Arc<Counters>),
    ) -> Rc<Self> {
        let (line, site) = (site_fragment(&site), Arc::new(site));
        Rc::new(Self { site, line, traffic: Arc::clone(traffic), durations: Arc::clone(durations) })
    }

    /// Counts a call that ended.
    pub(super) fn count(&self, call: &CallRecord, is_sampled: bool, now: Instant) {
        self.traffic.count(call, now);
        self.durations.count(call, is_sampled);
    }
}

/// Where the calls of a worker are counted.
pub(super) struct Counted<'a> {
    traffic: &'a TrafficBoard,
    captures: &'a Captures,
    durations: &'a Board,
    worker: usize,
}

impl<'a> Counted<'a> {
    pub(super) fn new(shared: &'a Shared, worker: usize) -> Self {
        let Shared { traffic, captures, durations, .. } = shared;
        Self { traffic, captures, durations, worker }
    }
}

/// The upstreams of a worker, by their circuits. All of its listeners share them, and so their connections.
pub(super) type Upstreams = HashMap<Arc<str>, Rc<Upstream>>;

/// Makes a worker's upstreams, by the names of their circuits: each as configured, and once more for
/// each route with a circuit of its own, with connections of its own and the same hosts and limits.
/// One of which nothing has changed is the same as `before`, with its connections.
pub(super) fn upstreams(shared: &Shared, worker: usize, before: &Upstreams) -> Upstreams {
    let make = |name: &Arc<str>, settings: Arc<config::Upstream>| {
        let live = shared.upstreams.of(&settings.name)?;
        let common = Common { live, tls: shared.tls.clone(), settings, worker };
        let circuit = shared.breakers.of(name)?;
        let same = before.get(name).filter(|upstream| upstream.is_as(&circuit, &common));
        let made = || Rc::new(Upstream::new(circuit, common));
        Some((Arc::clone(name), same.map(Rc::clone).unwrap_or_else(made)))
    };
    let config = &shared.config;
    let plain = config.upstreams.iter().map(|(name, settings)| (name, Arc::clone(settings)));
    let routes = config.listeners.iter().flat_map(|listener| &listener.routes);
    let of_routes = routes.filter_map(|route| {
        let (breaker, settings) = (route.breaker.as_ref()?, config.upstreams.get(&route.upstream)?);
        let policy = breaker.policy.clone();
        let settings = config::Upstream { breaker: policy, ..config::Upstream::clone(settings) };
        Some((&breaker.name, Arc::new(settings)))
    });
    plain.chain(of_routes).filter_map(|(circuit, settings)| make(circuit, settings)).collect()
}

/// Makes a listener's routes. The checked configuration names no upstream that does not exist.
pub(super) fn routes(
    listener: &config::Listener,
    upstreams: &Upstreams,
    counted: &Counted<'_>,
) -> Option<Routes> {
    let nowhere = CallSite {
        listener: listener.name.as_str().into(),
        route: NOWHERE.into(),
        upstream: NOWHERE.into(),
        domain: NOWHERE.into(),
        action: NOWHERE.into(),
        path: NOWHERE.into(),
    };
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    let durations = |site: &CallSite| counted.durations.of(counted.worker, scheme, site);
    let made = listener.routes.iter().filter_map(|route| {
        let site = CallSite {
            listener: listener.name.as_str().into(),
            route: route.name.as_str().into(),
            upstream: (*route.upstream).into(),
            domain: route.domain.as_str().into(),
            action: route.action.as_str().into(),
            path: template(&route.matches.path_prefix).into(),
        };
        let circuit = route.breaker.as_ref().map_or(&route.upstream, |breaker| &breaker.name);
        let (traffic, durations) = (counted.traffic.get(&route.upstream)?, durations(&site));
        let counters = (traffic, &durations);
        let made = Route {
            tasks: Tasks::of(counted.captures, &listener.name, route, (&site, counters)),
            place: Place::new(site, counters),
            upstream: Rc::clone(upstreams.get(circuit)?),
            strip_prefix: route.strip_prefix,
            preserve_host: route.preserve_host,
            request_headers: route.request_headers.clone(),
            response_headers: route.response_headers.clone(),
            fallback: Fallback::of(route, upstreams).map(Box::new),
        };
        Some((route.matches.clone(), Rc::new(made)))
    });
    let by_path =
        listener.routes.iter().any(|route| !route.matches.path_prefix.trim_matches('/').is_empty());
    Some(Routes {
        by_path,
        table: Table::new(made.collect()),
        nowhere: {
            let durations = durations(&nowhere);
            Place::new(nowhere, (counted.traffic.get(NOWHERE)?, &durations))
        },
    })
}

/// The path as rows show it: the prefix, and a star for the rest.
fn template(prefix: &str) -> String {
    format!("{}/*", prefix.trim_end_matches('/'))
}
