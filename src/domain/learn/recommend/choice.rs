//! The choice: which of the findings to recommend.
//!
//! A combination that was seen working comes first. Else the best value of each parameter, as long
//! as these were seen together; best is whoever promises most at the cautious end of its interval.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{Policy, Status, finding::Effect, finding::Finding};
use crate::domain::learn::{
    cell::Cell,
    evidence::{Day, Evidence},
    formula::{share::Share, shrink::Prior},
    setting::{Bin, Setting},
};

/// What to do next time.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// How much it is worth: a hint, or confirmed.
    pub status: Status,
    /// The parameters.
    pub setting: Setting,
    /// The findings that it rests on: one, or one for each parameter.
    pub findings: Vec<Finding>,
    /// Nobody has used these parameters together often enough to tell.
    pub untested_combination: bool,
    /// The tasks that had exactly these parameters.
    pub seen: Cell,
    /// Their success rate, drawn towards that of all: what to expect of it.
    pub expected_success: f64,
}

/// The advice that these findings carry; none when none does.
pub(super) fn choose(
    findings: &[Finding],
    evidence: &Evidence,
    days: &RangeInclusive<Day>,
    policy: &Policy,
) -> Option<Advice> {
    let promise = |finding: &&Finding| finding.promise(policy.goal);
    let best = |a: &&Finding, b: &&Finding| promise(a).total_cmp(&promise(b));
    let carried = || {
        let passed = |finding: &&Finding| finding.status > Status::Collecting;
        // Nobody can be told to use values that are not told apart.
        let is_told_apart =
            |finding: &&Finding| finding.setting.iter().all(|(_, bin)| *bin != Bin::Other);
        findings
            .iter()
            .filter(passed)
            .filter(is_told_apart)
            .filter(|finding| finding.effect == Some(Effect::Better))
    };
    let combination = carried().filter(|finding| finding.setting.len() > 1).max_by(best);
    let alone = combination.or_else(|| carried().max_by(best))?;
    let chosen = if combination.is_some() {
        vec![alone]
    } else {
        let singles = one_per_parameter(carried(), best);
        if do_not_fit(&singles, evidence, days, policy) { vec![alone] } else { singles }
    };
    let setting = together(&chosen);
    let seen = if chosen.len() == 1 { alone.cell } else { evidence.seen(&setting, days) };
    Some(Advice {
        status: chosen.iter().map(|finding| finding.status).min()?,
        findings: chosen.into_iter().cloned().collect(),
        untested_combination: seen.effective_tasks() < policy.support,
        expected_success: expected(findings, &setting, seen.effective_share()),
        setting,
        seen,
    })
}

/// The best finding of each parameter.
fn one_per_parameter<'a>(
    singles: impl Iterator<Item = &'a Finding>,
    order: impl Fn(&&'a Finding, &&'a Finding) -> std::cmp::Ordering,
) -> Vec<&'a Finding> {
    let mut best: BTreeMap<String, &Finding> = BTreeMap::new();
    for finding in singles {
        let name = finding.setting.iter().map(|(name, _)| name).collect::<String>();
        let held = best.entry(name).or_insert(finding);
        if order(&*held, &finding).is_lt() {
            *held = finding;
        }
    }
    best.into_values().collect()
}

/// Whether values that are good alone were seen together often enough, and were not good.
fn do_not_fit(
    singles: &[&Finding],
    evidence: &Evidence,
    days: &RangeInclusive<Day>,
    policy: &Policy,
) -> bool {
    let seen = evidence.seen(&together(singles), days);
    let Some(first) = singles.first().filter(|_| singles.len() > 1) else { return false };
    let mut all = first.cell;
    all.merge(&first.rest);
    let contrast = policy.goal.contrast(&seen, &all.without(&seen));
    seen.effective_tasks() >= policy.support
        && !contrast.is_some_and(|contrast| policy.goal.improves(contrast.difference))
}

fn together(findings: &[&Finding]) -> Setting {
    let parts = findings.iter().flat_map(|finding| finding.setting.iter());
    Setting::new(parts.map(|(name, bin)| (name, bin.clone())))
}

/// The success rate to expect: drawn towards all settings of the same parameters.
fn expected(findings: &[Finding], setting: &Setting, seen: Share) -> f64 {
    let same = |other: &Setting| {
        other.len() == setting.len() && setting.iter().all(|(name, _)| other.bin(name).is_some())
    };
    let groups: Vec<Share> = findings
        .iter()
        .filter(|finding| same(&finding.setting))
        .map(|finding| finding.cell.effective_share())
        .collect();
    Prior::of(&groups).map_or_else(|| seen.rate(), |prior| prior.shrink(seen))
}
