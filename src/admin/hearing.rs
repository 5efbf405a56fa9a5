//! What the other instances have to do with a breaker, as the API shows it.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::{
    Admin,
    breakers::{micros, millis},
    reply::Fault,
    view::BreakerView,
    window::show_time,
};
use crate::domain::{
    breaker::{Policy, State},
    explain::{FleetFacts, Sync},
    fleet::{
        attribution::Finding,
        drift::Drift,
        hearing::{Ballot, Hearing, Node},
        rules::Fingerprint,
        word::Vote,
    },
};

/// How long the store may take: whoever asks why a breaker is open does not wait for long.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks the store what it knows of this breaker beyond its state. What it does not answer is told as
/// its fault; it is not asked while it is known to be away, or where nobody else shares the breaker.
pub(super) async fn ask(admin: &Admin, view: &mut BreakerView) {
    let Some(facts) = &mut view.fleet else { return };
    if matches!(facts.sync, Sync::Alone | Sync::Away { .. }) {
        return;
    }
    let question = admin.turns.read(admin.sources.state.hearing(&view.key));
    let heard = timeout(LIMIT, question).await.unwrap_or(Err(Fault::StoreUnavailable));
    facts.hearing = Some(heard.map_err(|fault| fault.to_string()));
}

/// What other instances have to do with it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FleetJson {
    is_agreed: bool,
    epoch: u64,
    live: u32,
    sync: SyncJson,
    /// How the last round went; null when there was none lately, and when that is not known.
    votes: Option<VotesJson>,
    /// Who said what in it, as long as nobody has moved the breaker since.
    ballots: Vec<BallotJson>,
    /// Who tries it out for all.
    prober: Option<ProberJson>,
    /// Who has tried and failed, until another confirms that.
    doubter: Option<NodeJson>,
    rules: RulesJson,
    /// Why it is not known who said what; null when it is.
    store_fault: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncJson {
    mode: &'static str,
    /// How old what is known of others is.
    lag_ms: Option<u64>,
    because: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VotesJson {
    bad: u32,
    good: u32,
    abstained: u32,
    silent: u32,
    electorate: u32,
    quorum: String,
    needed: u32,
    at: Option<String>,
    /// Whether the vote goes on.
    is_open: bool,
    /// Who said "bad".
    reporters: Vec<NodeJson>,
    /// Whose word opened it for all; null when it did not.
    decided_by: Option<NodeJson>,
}

#[derive(Serialize)]
struct NodeJson {
    name: String,
    zone: Option<String>,
    host: Option<String>,
}

#[derive(Serialize)]
struct BallotJson {
    #[serde(flatten)]
    node: NodeJson,
    /// `unknown` for a word of a newer version.
    vote: &'static str,
    at: Option<String>,
    calls: u32,
    failures: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProberJson {
    #[serde(flatten)]
    node: NodeJson,
    left_ms: u64,
}

/// Whether all follow the same rules.
#[derive(Serialize)]
struct RulesJson {
    /// The fingerprint of those of this instance.
    mine: String,
    drift: Option<DriftJson>,
}

#[derive(Serialize)]
struct DriftJson {
    usual: String,
    of: u32,
    count: u32,
    names: Vec<String>,
    since: Option<String>,
    text: String,
}

/// Where it fails, when it fails for a few.
#[derive(Serialize)]
pub(super) struct FindingJson {
    /// `zone`, `host`, `instance` or `alone`.
    kind: &'static str,
    name: String,
    text: String,
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        let (kind, name) = match finding {
            Finding::Instance { node, .. } => ("instance", &node.name),
            Finding::Alone { node, .. } => ("alone", &node.name),
            Finding::Place { kind, name, .. } => (kind.as_str(), name),
        };
        Self { kind, name: name.clone(), text: finding.to_string() }
    }
}

impl From<&Node> for NodeJson {
    fn from(node: &Node) -> Self {
        let Node { name, zone, host } = node.clone();
        Self { name, zone, host }
    }
}

impl FleetJson {
    pub(super) fn new(view: &BreakerView, facts: &FleetFacts, now_us: i64) -> Self {
        let heard = facts.heard();
        let (mode, because) = facts.sync.told();
        let prober = heard.and_then(|hearing| hearing.prober.as_ref());
        let doubter = heard.and_then(|hearing| hearing.doubter.as_ref());
        let ballots = heard.into_iter().flat_map(|hearing| &hearing.ballots);
        Self {
            is_agreed: facts.is_agreed,
            epoch: facts.epoch,
            live: facts.live,
            sync: SyncJson {
                mode,
                lag_ms: facts.lag.map(millis),
                because: because.map(str::to_owned),
            },
            votes: heard.and_then(|hearing| {
                let is_open = view.snapshot.state != State::Closed && facts.is_agreed;
                VotesJson::new(hearing, is_open, &view.policy, now_us)
            }),
            ballots: ballots.map(|ballot| BallotJson::new(ballot, now_us)).collect(),
            prober: prober
                .map(|(node, left)| ProberJson { node: node.into(), left_ms: millis(*left) }),
            doubter: doubter.map(|(node, _)| node.into()),
            rules: RulesJson {
                mine: Fingerprint::of(&view.policy).to_string(),
                drift: facts.drift().map(|drift| DriftJson::new(drift, now_us)),
            },
            store_fault: facts.hearing.as_ref().and_then(|heard| heard.as_ref().err().cloned()),
        }
    }
}

impl VotesJson {
    /// The votes that opened it for all, or those of the last round.
    fn new(hearing: &Hearing, is_open: bool, policy: &Policy, now_us: i64) -> Option<Self> {
        let opening = hearing.opening.as_ref().filter(|_| is_open);
        let is_bad = |ballot: &&Ballot| ballot.vote == Some(Vote::Bad);
        let (ago, electorate, [bad, good, abstained], reporters) = match opening {
            Some(told) => (
                told.ago,
                told.electorate,
                [told.bad, told.good, told.abstained],
                told.reporters.iter().map(NodeJson::from).collect(),
            ),
            None => (
                hearing.asked.filter(|_| !hearing.ballots.is_empty())?,
                hearing.electorate,
                [Vote::Bad, Vote::Good, Vote::Abstain].map(|vote| hearing.count(vote)),
                hearing.ballots.iter().filter(is_bad).map(|of| NodeJson::from(&of.node)).collect(),
            ),
        };
        Some(Self {
            bad,
            good,
            abstained,
            silent: electorate.saturating_sub(bad + good + abstained),
            electorate,
            quorum: policy.quorum.to_string(),
            needed: policy.quorum.needed(electorate, abstained),
            at: show_time(now_us.saturating_sub(micros(ago))),
            is_open: !hearing.left.is_zero(),
            reporters,
            decided_by: opening.map(|told| NodeJson::from(&told.by)),
        })
    }
}

impl BallotJson {
    fn new(ballot: &Ballot, now_us: i64) -> Self {
        let Ballot { node, vote, ago, calls, failures, .. } = ballot;
        Self {
            node: node.into(),
            vote: vote.map_or("unknown", Vote::as_str),
            at: show_time(now_us.saturating_sub(micros(*ago))),
            calls: *calls,
            failures: *failures,
        }
    }
}

impl DriftJson {
    fn new(drift: Drift, now_us: i64) -> Self {
        let text = drift.to_string();
        let Drift { usual, of, count, names, since, .. } = drift;
        let since = show_time(now_us.saturating_sub(micros(since)));
        Self { usual, of, count, names, since, text }
    }
}
