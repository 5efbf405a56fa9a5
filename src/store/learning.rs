//! What is learned from: the tasks of a day that had parameters, and what is kept of them when the
//! day is over.
//!
//! Cells are derived from rows and may be derived anew: a day is replaced as a whole.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{
    Counted, Error, WhyQuery,
    rows::{column_list, unsigned},
};
use crate::domain::{
    breaker::State,
    learn::{
        cell::{Cell, Cost},
        evidence::Day,
        formula::moments::Moments,
        lesson::is_lesson,
        setting::{Bin, Setting},
    },
    outcome::Reason,
    task::TaskId,
};

/// Which operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationName {
    /// The task's domain.
    pub domain: Box<str>,
    /// The task's action.
    pub action: Box<str>,
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LessonQuery {
    /// They began on this day, UTC.
    pub day: Day,
    /// Behind this row: when it began, and its id.
    pub after: Option<(i64, TaskId)>,
    /// Rows at most.
    pub limit: u32,
}

/// A task with parameters whose end says something about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// When it began, in microseconds since the Unix epoch.
    pub started_at_us: i64,
    /// For how many it stands, where rows are thinned.
    pub weight: u32,
    /// Which it was.
    pub id: TaskId,
    /// What it did.
    pub operation: OperationName,
    /// Who asked for it.
    pub service: Box<str>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// How long it took.
    pub duration: Duration,
    /// Its parameters.
    pub parameters: Value,
    /// Its impact, 0 to 100.
    pub impact: Option<f64>,
    /// Its cost.
    pub cost: Option<f64>,
}

/// What a day of an operation came to, for one stratum and setting.
#[derive(Debug, Clone, PartialEq)]
pub struct DayCell {
    /// The day.
    pub day: Day,
    /// The stratum.
    pub stratum: Box<str>,
    /// All parameters.
    pub setting: Setting,
    /// These are not all: their combinations with others were too many, so that those tasks are
    /// counted in all, where this is none of them, and for each parameter by itself.
    pub is_part: bool,
    /// The sums.
    pub cell: Cell,
}

/// Rows to learn from, and what is kept of them.
#[async_trait]
pub trait LearningStore: Send + Sync {
    /// A page of tasks that had parameters and are lessons, in the order in which they began: they
    /// succeeded, failed or timed out for a reason that [`is_lesson`], their circuit was closed, and
    /// nobody was warned at that time that their operation fails more than usual.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<Lesson>, Error>;

    /// Whether this instance is to add up a day that is over: nobody has, or a day has passed since
    /// and late rows may have come (until two days after its end), and nobody is at it.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn claim_day(&self, day: Day) -> Result<bool, Error>;

    /// This instance is still at the day that it claimed.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn keep_day(&self, day: Day) -> Result<(), Error>;

    /// Puts what a day came to for one operation in the place of what it was said to have come to
    /// before. Of several instances that do it at once the last one counts.
    ///
    /// # Errors
    /// The store is away or refuses, and then nothing was written.
    async fn learn(&self, of: &OperationName, day: Day, cells: &[DayCell]) -> Result<(), Error>;

    /// All operations of this day have been added up, so many tasks.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn day_is_learned(&self, day: Day, tasks: u64) -> Result<(), Error>;

    /// When a day was last added up, in microseconds since the Unix epoch; 0 where none was. As long
    /// as that stays, so does what days came to.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn learned_at(&self) -> Result<i64, Error>;

    /// What the days from this one on came to, for one operation.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn cells(&self, operation: &OperationName, from: Day) -> Result<Vec<DayCell>, Error>;

    /// The operations that had parameters on any day from this one on, and how many tasks.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn operations(&self, from: Day) -> Result<Vec<(OperationName, u64)>, Error>;

    /// The newest calls of an operation, counted by each of their attributes.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn why(&self, query: &WhyQuery) -> Result<Counted, Error>;

    /// Forgets days before this one.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn forget_days(&self, before: Day) -> Result<(), Error>;
}

/// What makes a row a lesson, as far as the row itself tells. A task that was reported may have
/// failed for no reason that is known.
pub(super) fn lessons_only() -> String {
    let reasons = Reason::ALL.iter().filter(|reason| is_lesson(**reason));
    let reasons: Vec<String> = reasons.map(|reason| format!("'{}'", reason.as_str())).collect();
    format!(
        "params is not null and outcome in ('success', 'failure', 'timeout')
            and (failure_reason is null or failure_reason in ({}))
            and breaker_state = '{}'",
        reasons.join(", "),
        State::Closed.as_str()
    )
}

/// The columns of a cell's counts.
pub(super) const COUNTS: [&str; 6] =
    ["tasks", "successes", "impacts", "durations", "costs", "cost_successes"];

/// The columns of the squares of weights, each with the count that it is where nothing was said of
/// them.
pub(super) const WEIGHTS: [(&str, &str); 4] = [
    ("task_weights", "tasks"),
    ("impact_weights", "impacts"),
    ("duration_weights", "durations"),
    ("cost_weights", "costs"),
];

/// The columns of its sums.
pub(super) const SUMS: [&str; 7] = [
    "impact_sum",
    "impact_squares",
    "ln_duration_sum",
    "ln_duration_squares",
    "cost_sum",
    "cost_squares",
    "cost_of_successes",
];

/// A cell as it stands in its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sums {
    pub(super) counts: [i64; 6],
    pub(super) weights: [i64; 4],
    pub(super) sums: [f64; 7],
}

impl From<&Cell> for Sums {
    fn from(cell: &Cell) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let Cell { impact, ln_duration, cost, .. } = cell;
        Self {
            counts: [
                count(cell.tasks),
                count(cell.successes),
                count(impact.count),
                count(ln_duration.count),
                count(cost.each.count),
                count(cost.successes),
            ],
            weights: [
                count(cell.weight_squares),
                count(impact.weight_squares),
                count(ln_duration.weight_squares),
                count(cost.each.weight_squares),
            ],
            sums: [
                impact.sum,
                impact.sum_of_squares,
                ln_duration.sum,
                ln_duration.sum_of_squares,
                cost.each.sum,
                cost.each.sum_of_squares,
                cost.of_successes,
            ],
        }
    }
}

impl From<Sums> for Cell {
    fn from(Sums { counts, weights, sums }: Sums) -> Self {
        let [tasks, successes, impacts, durations, costs, cost_successes] = counts.map(unsigned);
        let [weight_squares, of_impacts, of_durations, of_costs] = weights.map(unsigned);
        let moments = |(count, weight_squares), at: usize| Moments {
            count,
            weight_squares,
            sum: sums[at],
            sum_of_squares: sums[at + 1],
        };
        Self {
            tasks,
            weight_squares,
            successes,
            impact: moments((impacts, of_impacts), 0),
            ln_duration: moments((durations, of_durations), 2),
            cost: Cost {
                each: moments((costs, of_costs), 4),
                successes: cost_successes,
                of_successes: sums[6],
            },
        }
    }
}

/// What a cell is read from, in order: its counts, the squares of weights, its sums.
pub(super) fn cell_columns() -> String {
    let weights = WEIGHTS.map(|(own, count)| format!("coalesce({own}, {count})"));
    let [counts, sums] = [column_list(COUNTS), column_list(SUMS)];
    format!("{counts}, {}, {sums}", weights.join(", "))
}

/// For how many a row stands.
pub(super) fn weight_of(weight: i32) -> u32 {
    u32::try_from(weight).unwrap_or(1).max(1)
}

/// The cells of one operation, as the function that replaces them takes them.
pub(super) fn cells_json(cells: &[DayCell]) -> Value {
    let json = |cell: &DayCell| {
        let Sums { counts, weights, sums } = Sums::from(&cell.cell);
        let [tasks, successes, impacts, durations, costs, cost_successes] = counts;
        json!([
            cell.stratum,
            setting_json(&cell.setting),
            tasks,
            successes,
            impacts,
            sums[0],
            sums[1],
            durations,
            sums[2],
            sums[3],
            costs,
            sums[4],
            sums[5],
            cost_successes,
            sums[6],
            weights[0],
            weights[1],
            weights[2],
            weights[3],
            cell.is_part,
        ])
    };
    Value::Array(cells.iter().map(json).collect())
}

/// For so long whoever claimed a day is believed to be at it.
pub(super) const CLAIM: Duration = Duration::from_secs(600);

/// The microseconds of a day.
pub(super) const DAY_US: i64 = 86_400_000_000;

/// When a day begins, and the next, in microseconds since the Unix epoch.
pub(super) const fn span_of(day: Day) -> (i64, i64) {
    (day as i64 * DAY_US, (day as i64 + 1) * DAY_US)
}

/// A setting as it stands in its column.
pub(super) fn setting_json(setting: &Setting) -> Value {
    let words = setting.iter().map(|(name, bin)| (name.to_owned(), Value::from(bin.to_word())));
    Value::Object(words.collect::<Map<_, _>>())
}

/// The setting of a column. A word that a newer version wrote is a value that is not told apart.
pub(super) fn setting_of(json: &Value) -> Setting {
    let words = json.as_object().into_iter().flatten();
    let bin = |word: &Value| word.as_str().and_then(Bin::parse).unwrap_or(Bin::Other);
    Setting::new(words.map(|(name, word)| (name.as_str(), bin(word))))
}
