//! Recommended parameters: what worked best, told only when the evidence carries it.
//!
//! Whoever names the best value so far names a false one within a month, always. So a setting has
//! to pass every one of these gates, each day anew for some days, before it is called a *hint*:
//! enough tasks; a false-discovery rate over everything that was looked at; an effect worth having;
//! the same effect within strata, so that a mixture of callers cannot pose as one; no harm to the
//! other goals. A hint that a confidence sequence carries as well is *confirmed*.
//!
//! Nothing is remembered: the looks of the last days are taken again from the evidence, which keeps
//! its days. What was recommended and is no longer carried is simply not there.

mod choice;
mod confounding;
mod field;
mod finding;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

pub use choice::Advice;
pub use confounding::{Adjustment, Confounding};
pub use finding::{Effect, Finding};

use super::{
    cell::Cell,
    contrast::Goal,
    evidence::{Day, Evidence, Plan},
};

/// What is recommended when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What is to be improved.
    pub goal: Goal,
    /// Tasks below which nothing is said. Default 200.
    pub tasks: u64,
    /// Tasks that a setting, and the rest, must have. Default 30.
    pub support: u64,
    /// The share of false findings that is accepted in a full window. In a younger one it is less,
    /// by as much as the window is younger: looks at few tasks find much that is not there, and all
    /// that they spend is spent for every later one. Default 0.0075.
    pub false_discoveries: f64,
    /// The least difference of success rates worth having. Default 0.02.
    pub least_share: f64,
    /// The least relative difference of impact, duration or cost worth having. Default 0.05.
    pub least_relative: f64,
    /// Days in a row on which a setting must pass. Default 3.
    pub days: u16,
    /// Days that count. Default 30.
    pub window: u16,
    /// Days within which a setting must have been in use, with enough tasks. Default 14.
    pub fresh: u16,
    /// The probability that any confirmed finding of an operation is false. Default 0.05.
    pub alpha: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            goal: Goal::Success,
            tasks: 200,
            support: 30,
            false_discoveries: 0.0075,
            least_share: 0.02,
            least_relative: 0.05,
            days: 3,
            window: 30,
            fresh: 14,
            alpha: 0.05,
        }
    }
}

impl Policy {
    /// The difference of a goal that is worth having, against the rest's mean.
    fn worth_having(&self, goal: Goal, rest: &Cell) -> f64 {
        match goal {
            Goal::Success => self.least_share,
            Goal::Impact => self.least_relative * rest.impact.mean().unwrap_or_default().abs(),
            Goal::Duration | Goal::Cost => self.least_relative.ln_1p(),
        }
    }

    /// The share of false findings that is accepted when there are so many days of evidence.
    fn accepted(&self, days: Day) -> f64 {
        self.false_discoveries * f64::from(days) / f64::from(self.window)
    }

    fn window(&self, last: Day) -> RangeInclusive<Day> {
        last - Day::from(self.window) + 1..=last
    }
}

/// How much a finding is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The evidence does not carry it, or not yet.
    Collecting,
    /// It passed every gate on several days in a row.
    Hint,
    /// It also holds at every look at once.
    Confirmed,
}

impl Status {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collecting => "collecting",
            Self::Hint => "hint",
            Self::Confirmed => "confirmed",
        }
    }
}

/// Everything that can be said about the parameters of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What is to be improved.
    pub goal: Goal,
    /// All tasks in the window.
    pub total: Cell,
    /// Those of them whose combination was too rare to be compared, so that they count for each of
    /// their parameters by itself.
    pub uncombined: u64,
    /// Tasks that are needed before anything is said.
    pub needed: u64,
    /// Every setting that was compared with the rest, those with most behind them first.
    pub findings: Vec<Finding>,
    /// What to do next time; none while collecting.
    pub advice: Option<Advice>,
}

impl Report {
    /// Of no tasks.
    pub fn none(policy: &Policy) -> Self {
        Self {
            goal: policy.goal,
            total: Cell::default(),
            uncombined: 0,
            needed: policy.tasks,
            findings: Vec::new(),
            advice: None,
        }
    }

    /// The status of the advice.
    pub fn status(&self) -> Status {
        self.advice.as_ref().map_or(Status::Collecting, |advice| advice.status)
    }
}

/// Looks at the evidence up to and with `last`, which is to be the last complete day: looks at a
/// day in progress would be looks in plenty.
pub fn recommend(evidence: &Evidence, last: Day, policy: &Policy) -> Report {
    let days = policy.window(last);
    let plan = Plan::of(evidence, &days, policy.support);
    let table = plan.table(&days);
    let mut report = Report::none(policy);
    table.total.iter().for_each(|cell| report.total.merge(cell));
    if report.total.effective_tasks() < policy.tasks {
        return report;
    }
    report.findings = finding::look(&table, policy);
    follow(&mut report.findings, &plan, last, policy);
    report.findings.sort_by(|a, b| {
        b.status.cmp(&a.status).then(a.contrast.p_value.total_cmp(&b.contrast.p_value))
    });
    report.advice = choice::choose(&report.findings, evidence, &days, policy);
    report
}

/// Follows what passes today over the days before, and gives it its status.
fn follow(findings: &mut [Finding], plan: &Plan<'_>, last: Day, policy: &Policy) {
    if findings.iter().all(|finding| finding.effect.is_none()) {
        return;
    }
    let fresh = plan.table(&(last - Day::from(policy.fresh) + 1..=last));
    let earlier: Vec<_> = (1..Day::from(policy.days))
        .map(|back| finding::look(&plan.table(&policy.window(last - back)), policy))
        .collect();
    let tests = findings.len();
    for finding in findings.iter_mut().filter(|finding| finding.effect.is_some()) {
        let same = |other: &&Finding| other.setting == finding.setting;
        let held = earlier
            .iter()
            .all(|look| look.iter().find(same).is_some_and(|was| was.effect == finding.effect));
        let row = fresh.rows.iter().find(|row| row.setting == finding.setting);
        let mut recent = Cell::default();
        row.iter().flat_map(|row| &row.strata).for_each(|cell| recent.merge(cell));
        let recent = recent.effective_tasks();
        if held && recent >= policy.support {
            finding.status =
                if finding.is_sure(policy, tests) { Status::Confirmed } else { Status::Hint };
        }
    }
}
