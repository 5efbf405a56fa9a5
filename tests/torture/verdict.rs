//! What everybody wrote down, and whether it fits together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::callers::{Call, End};

/// One row of the table.
#[derive(Debug)]
struct Row {
    id: String,
    correlation_id: String,
    outcome: String,
    weight: u64,
}

/// See the module docs.
pub(crate) struct Records {
    calls: Vec<Call>,
    /// The ids that the upstream saw, each once.
    seen: HashSet<String>,
    rows: Vec<Row>,
    /// All calls by the sums.
    summed: u64,
    /// The rows of the sums.
    stored: u64,
    /// Calls that nobody can know about: in flight at a kill.
    unknowable: u64,
    /// Calls that the process said it dropped; none when it did not live through everything.
    told_lost: Option<u64>,
}

/// What came out of it.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// By kind: how many, and the first of them.
    problems: BTreeMap<&'static str, (u64, String)>,
    /// Calls of which somebody knows and that have no row.
    missing: u64,
    /// Calls that only the sums have.
    counted_lost: u64,
    told_lost: Option<u64>,
    unknowable: u64,
    summary: String,
}

impl Records {
    /// What the tables hold, besides what callers and the upstream wrote down.
    pub(crate) fn read(ask: impl Fn(&str) -> String, calls: Vec<Call>, seen: Vec<String>) -> Self {
        let rows = ask("select id, correlation_id, outcome, weight from task_history");
        let rows = rows.lines().map(|line| {
            let mut cells = line.split(' ');
            let mut cell = || cells.next().expect("four cells").to_owned();
            let (id, correlation_id, outcome) = (cell(), cell(), cell());
            Row { id, correlation_id, outcome, weight: cell().parse().expect("a number") }
        });
        let rows = rows.collect();
        let sums = ask("select coalesce(sum(calls), 0), coalesce(sum(stored), 0) from task_rollup");
        let (summed, stored) = sums.split_once(' ').expect("two cells");
        let number = |text: &str| text.parse().expect("a number");
        let (summed, stored) = (number(summed), number(stored));
        let seen = seen.into_iter().collect();
        Self { calls, seen, rows, summed, stored, unknowable: 0, told_lost: None }
    }

    /// With so many calls that were in flight at a kill at most.
    pub(crate) const fn in_flight(mut self, unknowable: u64) -> Self {
        self.unknowable = unknowable;
        self
    }

    /// With so many calls that the process said it dropped.
    pub(crate) const fn told_lost(mut self, calls: u64) -> Self {
        self.told_lost = Some(calls);
        self
    }

    /// Looks for everything that does not fit.
    pub(crate) fn judge(&self) -> Verdict {
        let mut problems = Problems::default();
        let missing = self.judge_calls(&mut problems);
        self.judge_rows(&mut problems);
        let refused_missing = self.judge_refusals(&mut problems);
        let weights: u64 = self.rows.iter().map(|row| row.weight).sum();
        if self.summed < weights {
            problems
                .add("the sums lack calls that have rows", format!("{} < {weights}", self.summed));
        }
        if self.stored != self.rows.len() as u64 {
            let counts = format!("{} and {}", self.stored, self.rows.len());
            problems.add("the sums count other rows than there are", counts);
        }
        let count = |is_it: fn(&Call) -> bool| self.calls.iter().filter(|call| is_it(call)).count();
        let broken = count(|call| call.end == End::Broken);
        let refused = count(|call| matches!(call.end, End::Answered { is_refused: true, .. }));
        let interrupted = self.rows.iter().filter(|row| row.outcome == "interrupted").count();
        let counted_lost = self.summed.saturating_sub(weights);
        let summary = format!(
            "{} calls ({refused} refused, {broken} broken), {} seen upstream, {} rows ({interrupted} \
             interrupted), {counted_lost} counted as lost, {missing} and {refused_missing} refused missing",
            self.calls.len(),
            self.seen.len(),
            self.rows.len(),
        );
        let missing = missing + refused_missing;
        let Self { unknowable, told_lost, .. } = *self;
        Verdict { problems: problems.0, missing, counted_lost, told_lost, unknowable, summary }
    }

    /// Every call that somebody knows of has its row; returns how many have none.
    fn judge_calls(&self, problems: &mut Problems) -> u64 {
        let by_id: HashMap<&str, &Row> = self.rows.iter().map(|row| (&*row.id, row)).collect();
        let mut known: BTreeSet<&str> = self.seen.iter().map(String::as_str).collect();
        for call in &self.calls {
            let End::Answered { status, task_id, is_refused: false, .. } = &call.end else {
                continue;
            };
            known.insert(task_id);
            let Some(row) = by_id.get(&**task_id) else { continue };
            let expected = if *status == 200 { "success" } else { "failure" };
            let is_cut = row.outcome == "interrupted" && call.is_near_a_break;
            if row.outcome != expected && !is_cut {
                problems.add(
                    "a row tells another outcome than the caller saw",
                    format!("{call:?} {row:?}"),
                );
            }
            if row.correlation_id != call.correlation_id {
                problems.add("a row is another call's", format!("{call:?} {row:?}"));
            }
        }
        let missing = known.iter().filter(|id| !by_id.contains_key(**id));
        missing.count() as u64
    }

    /// No row is there twice, and none that nobody can know of.
    fn judge_rows(&self, problems: &mut Problems) {
        let ends: HashMap<&str, &Call> =
            self.calls.iter().map(|call| (&*call.correlation_id, call)).collect();
        let (mut ids, mut names, mut interrupted) = (HashSet::new(), HashSet::new(), 0);
        for row in &self.rows {
            if !ids.insert(&*row.id) {
                problems.add("an id is there twice", format!("{row:?}"));
            }
            if !names.insert(&*row.correlation_id) {
                problems.add("a call has two rows", format!("{row:?}"));
            }
            let Some(call) = ends.get(&*row.correlation_id) else {
                problems.add("a row is of no call", format!("{row:?}"));
                continue;
            };
            if row.outcome == "interrupted" {
                interrupted += 1;
                if !call.is_near_a_break {
                    problems.add("a call was not interrupted", format!("{call:?} {row:?}"));
                }
            }
            match &call.end {
                End::Answered { task_id, .. } if *task_id != row.id => {
                    problems.add(
                        "a row has another id than its caller saw",
                        format!("{call:?} {row:?}"),
                    );
                }
                End::Answered { .. } | End::Broken => {}
            }
        }
        if interrupted > self.unknowable {
            problems.add(
                "more calls were interrupted than there were connections",
                interrupted.to_string(),
            );
        }
    }

    /// Refused calls share rows, whose weights add up; returns how many are missing.
    fn judge_refusals(&self, problems: &mut Problems) -> u64 {
        let is_refused = |call: &&Call| matches!(call.end, End::Answered { is_refused: true, .. });
        let seen = self.calls.iter().filter(is_refused).count() as u64;
        let rows = self.rows.iter().filter(|row| row.outcome == "refused");
        let weights: u64 = rows.map(|row| row.weight).sum();
        if weights > seen + self.unknowable {
            problems.add("more calls were refused than callers saw", format!("{weights} > {seen}"));
        }
        let others = self.rows.iter().filter(|row| row.outcome != "refused" && row.weight != 1);
        others.for_each(|row| problems.add("a row stands for other calls", format!("{row:?}")));
        seen.saturating_sub(weights)
    }
}

#[derive(Default)]
struct Problems(BTreeMap<&'static str, (u64, String)>);

impl Problems {
    fn add(&mut self, kind: &'static str, example: String) {
        self.0.entry(kind).or_insert((0, example)).0 += 1;
    }
}

impl Verdict {
    /// Fails when anything does not fit, or any call is lost.
    pub(crate) fn assert_nothing_is_lost(&self) {
        eprintln!("{}", self.summary);
        assert!(self.problems.is_empty(), "{}: {:#?}", self.summary, self.problems);
        assert_eq!((self.missing, self.counted_lost), (0, 0), "{}", self.summary);
    }

    /// Fails when anything does not fit, or the losses are not those that were counted.
    pub(crate) fn assert_losses_are_counted(&self) {
        eprintln!("{}", self.summary);
        assert!(self.problems.is_empty(), "{}: {:#?}", self.summary, self.problems);
        let real = self.missing..=self.missing + self.unknowable;
        assert!(real.contains(&self.counted_lost), "{}", self.summary);
        assert!(
            self.told_lost.is_none_or(|told| told == self.counted_lost),
            "{:?}",
            self.told_lost
        );
        assert!(self.missing > 0, "the bound was not reached: {}", self.summary);
    }
}
