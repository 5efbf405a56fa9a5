//! One look: every setting beside the rest, and which of them pass the gates of a day.

use super::{
    Policy, Status,
    confounding::{Adjustment, adjust},
};
use crate::domain::learn::{
    cell::Cell,
    contrast::{Contrast, Goal},
    evidence::{Row, Table},
    formula::{discovery::benjamini_hochberg, sequence},
    setting::Setting,
};

/// One-sided: a harm this unlikely by chance counts as one. Three goals are guarded, and a setting
/// that harms none is to be suspected in one of twenty cases, not in one of seven.
const HARM: f64 = 0.05 / (Goal::ALL.len() - 1) as f64;

/// Which way an effect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// To be recommended.
    Better,
    /// To be avoided.
    Worse,
}

/// A setting beside the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The setting.
    pub setting: Setting,
    /// Its tasks.
    pub cell: Cell,
    /// All others.
    pub rest: Cell,
    /// How they differ in the goal.
    pub contrast: Contrast,
    /// The share of false findings that one accepts with this one.
    pub q_value: f64,
    /// How they differ within strata.
    pub adjusted: Adjustment,
    /// Another goal that the setting does harm to.
    pub harms: Option<Goal>,
    /// The effect, if it passes every gate today.
    pub effect: Option<Effect>,
    /// What that is worth after some days.
    pub status: Status,
}

impl Finding {
    /// Whether the effect holds at every look at once, though `tests` settings are looked at.
    pub(super) fn is_sure(&self, policy: &Policy, tests: usize) -> bool {
        let Contrast { difference, one, rest, .. } = self.contrast;
        sequence::tells_apart(difference, one, rest, policy.alpha / tests.max(1) as f64)
    }

    /// The end of the difference's interval that promises least.
    pub(super) fn promise(&self, goal: Goal) -> f64 {
        let interval = self.contrast.interval;
        if goal.improves(1.0) { interval.low } else { -interval.high }
    }

    /// Every gate but those that need other findings, and those of other days.
    fn effect(&self, policy: &Policy, accepted: f64) -> Option<Effect> {
        let Contrast { difference, interval, one, rest, .. } = self.contrast;
        let least = policy.worth_having(policy.goal, &self.rest);
        let sure = self.q_value <= accepted;
        let supported = one.0 >= policy.support && rest.0 >= policy.support;
        let worth_having = difference.abs() >= least && !interval.holds(0.0);
        let own = self.adjusted.verdict.is_passable() && self.adjusted.difference.abs() >= least;
        let effect = if policy.goal.improves(difference) { Effect::Better } else { Effect::Worse };
        let harmless = effect == Effect::Worse || self.harms.is_none();
        (sure && supported && worth_having && own && harmless).then_some(effect)
    }
}

/// Compares every row of the table with the rest.
pub(super) fn look(table: &Table, policy: &Policy) -> Vec<Finding> {
    let compared = table.rows.iter().filter_map(|row| compare(row, &table.total, policy));
    let mut findings: Vec<Finding> = compared.collect();
    let raw: Vec<f64> = findings.iter().map(|finding| finding.contrast.p_value).collect();
    for (finding, q_value) in findings.iter_mut().zip(benjamini_hochberg(&raw)) {
        finding.q_value = q_value;
    }
    // What is one among all tasks has to be one among like as well.
    let accepted = policy.accepted(table.days);
    let passes = |finding: &&mut Finding| finding.q_value <= accepted;
    let mut passing: Vec<&mut Finding> = findings.iter_mut().filter(passes).collect();
    let adjusted: Vec<f64> = passing.iter().map(|finding| finding.adjusted.p_value).collect();
    for (finding, q_value) in passing.iter_mut().zip(benjamini_hochberg(&adjusted)) {
        finding.q_value = finding.q_value.max(q_value);
        finding.harms = harm(finding, policy);
        finding.effect = finding.effect(policy, accepted);
    }
    findings
}

fn compare(row: &Row, total: &[Cell], policy: &Policy) -> Option<Finding> {
    let pair = |(one, all): (&Cell, &Cell)| (*one, all.without(one));
    let pairs: Vec<(Cell, Cell)> = row.strata.iter().zip(total).map(pair).collect();
    let (mut cell, mut rest) = (Cell::default(), Cell::default());
    for (one, others) in &pairs {
        cell.merge(one);
        rest.merge(others);
    }
    let contrast = policy.goal.contrast(&cell, &rest)?;
    Some(Finding {
        setting: row.setting.clone(),
        cell,
        rest,
        contrast,
        q_value: 1.0,
        adjusted: adjust(policy.goal, &pairs, contrast.difference),
        harms: None,
        effect: None,
        status: Status::Collecting,
    })
}

/// The first other goal in which the setting is worse than the rest, at one-sided 95 % over all of
/// them, by a difference that would be worth having the other way round.
fn harm(finding: &Finding, policy: &Policy) -> Option<Goal> {
    Goal::ALL.into_iter().filter(|other| *other != policy.goal).find(|other| {
        let contrast = other.contrast(&finding.cell, &finding.rest);
        contrast.is_some_and(|contrast| {
            let worse = other.improves(-contrast.difference);
            let least = policy.worth_having(*other, &finding.rest);
            worse && contrast.difference.abs() >= least && contrast.p_value / 2.0 < HARM
        })
    })
}
