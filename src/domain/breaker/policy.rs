//! When a breaker opens, for how long, and how it closes again.

use std::{num::NonZeroU32, time::Duration};

use http::StatusCode;

use super::state::Mode;
use crate::domain::{
    grpc::Code,
    learn::interval::{Z_99_ONE_SIDED, wilson},
    quorum::Quorum,
    units::Percent,
    window::Counts,
};

/// The rules of one breaker. The defaults are those of the product, exactly: five failures in a
/// row open it, sixty seconds later one call at a time is tried, two successes close it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How it is steered while nobody orders anything else.
    pub mode: Mode,
    /// Failures in a row that open the circuit.
    pub consecutive_failures: NonZeroU32,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// The longest that it stays open when probes keep failing.
    pub open_for_max: Duration,
    /// Successes in a row that close it from half-open.
    pub close_after: NonZeroU32,
    /// How long the admitted share grows after it closed; zero for at once.
    pub ramp: Duration,
    /// Opens on the share of failures.
    pub failure_rate: Option<RateRule>,
    /// Opens on the share of slow calls.
    pub slow_calls: Option<SlowRule>,
    /// How long a call waits for its response head at least until it hangs, which counts as a
    /// failure; never, if none.
    pub hangs_after: Option<Duration>,
    /// Within how long a health check has its result, from any moment on; none comes, if none.
    pub checked_within: Option<Duration>,
    /// How long a probe may take before its slot is given to another call. Longer than every
    /// timeout up to the response head and than the wait for the trailers of a stream after it, or
    /// the verdicts of slow probes come too late to count.
    pub probe_lease: Duration,
    /// Response statuses that count as failures.
    pub failure_statuses: Vec<StatusCode>,
    /// Codes of gRPC that count as failures.
    pub failure_grpc_statuses: Vec<Code>,
    /// Who shares the state.
    pub scope: Scope,
    /// How many of them must see it fail before it opens for all.
    pub quorum: Quorum,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            consecutive_failures: NonZeroU32::MIN.saturating_add(4),
            open_for: Duration::from_secs(60),
            open_for_max: Duration::from_secs(600),
            close_after: NonZeroU32::MIN.saturating_add(1),
            ramp: Duration::from_secs(10),
            failure_rate: None,
            slow_calls: None,
            hangs_after: Some(Duration::from_secs(2)),
            checked_within: None,
            probe_lease: Duration::from_secs(71),
            failure_statuses: vec![
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            failure_grpc_statuses: vec![
                Code::Unavailable,
                Code::DeadlineExceeded,
                Code::Internal,
                Code::DataLoss,
            ],
            scope: Scope::Fleet,
            quorum: Quorum::Majority,
        }
    }
}

/// Opens when the share of failures in a rolling window is above a limit with confidence: the
/// lower bound of Wilson's interval (z = 2.326, 99 % one-sided) must exceed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRule {
    /// The share that must be exceeded.
    pub over: Percent,
    /// How far back the window reaches.
    pub window: Duration,
    /// Fewer calls than this in the window decide nothing.
    pub min_calls: NonZeroU32,
}

impl RateRule {
    /// Whether the share of hits is above the limit with confidence.
    pub fn exceeded_by(&self, counts: Counts) -> bool {
        let Counts { calls, hits } = counts;
        // The plain share decides most questions without a square root: its lower bound is lower.
        let plainly_over =
            u64::from(hits) * 10_000 > u64::from(calls) * u64::from(self.over.basis_points());
        calls >= self.min_calls.get()
            && plainly_over
            && wilson(hits, calls, Z_99_ONE_SIDED).low > self.over.as_ratio()
    }
}

/// The same for calls whose response head took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowRule {
    /// The share and the window.
    pub rate: RateRule,
    /// A call that took longer is slow.
    pub slower_than: Duration,
}

/// Who shares a breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All instances with the same database, namespace, upstream and endpoints.
    Fleet,
    /// This instance alone.
    Instance,
}
