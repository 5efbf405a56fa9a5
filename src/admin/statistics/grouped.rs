//! Statistics of groups: from rollups where these tell the groups apart, else from rows.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    figures::{Figures, ratio},
    question::Question,
};
use crate::{
    admin::{questions::Questions, reply::Fault, rollups::MINUTE_US, window::show_time},
    domain::{
        learn::{
            grouping::{Calls, GroupKey, Grouping, Groups},
            operation::Tally,
        },
        units::show_duration,
    },
    store::RowSumsQuery,
};

/// Groups that are told at most: their stretches of time, and without any.
const MAX_STRETCHES: usize = 20_000;
const MAX_GROUPS: usize = 500;

/// Rows that are read at most, the newest first.
const MAX_ROWS: u32 = 100_000;

/// See the module docs.
pub(super) struct Grouped {
    groups: Groups,
    before: Option<Groups>,
    source: Source,
}

/// What the groups were computed from.
enum Source {
    Rollups,
    Rows { rows: u64, covers: Option<f64>, is_exact: bool, cut_at_us: Option<i64> },
}

/// As the API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupedJson {
    grouped: SourceJson,
    groups: Vec<GroupJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceJson {
    by: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// `rollups` or `rows`.
    from: &'static str,
    /// Whether every call is counted for what it was.
    exact: bool,
    /// How many rows were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// Which share of the calls these rows stand for.
    #[serde(skip_serializing_if = "Option::is_none")]
    covers: Option<f64>,
    /// When the oldest row that was read began, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Groups that are not told, those with the fewest calls.
    left_out: usize,
}

#[derive(Serialize)]
struct GroupJson {
    key: Map<String, Value>,
    #[serde(flatten)]
    figures: Figures,
}

impl Grouped {
    /// Finds the groups of a question, which is about so many calls.
    pub(super) async fn find(
        questions: &Questions,
        grouping: &Grouping,
        question: &Question,
        total: u64,
    ) -> Result<Self, Fault> {
        let history = &questions.history;
        let (mut groups, calls) = (Groups::by(grouping.clone()), &question.calls);
        if !grouping.is_in_rollups() {
            let query = RowSumsQuery { of: calls.clone(), limit: MAX_ROWS };
            let found = questions.read(history.sum_rows(&query)).await?;
            let mut counted = 0;
            for (row, sum) in &found.sums {
                let calls = Calls { key: &row.key, version: &row.version, instance: &row.instance };
                groups.add(calls, sum);
                counted += sum.count;
            }
            let source = Source::Rows {
                rows: found.rows,
                covers: ratio(counted.min(total), total),
                is_exact: found.is_one_to_one && found.cut_at_us.is_none() && counted >= total,
                cut_at_us: found.cut_at_us,
            };
            return Ok(Self { groups, before: None, source });
        }
        let source = Source::Rollups;
        if let Some(bucket) = grouping.bucket {
            let sums = questions.read(history.series(calls, bucket)).await?;
            sums.iter().for_each(|(key, sum)| groups.add(key, sum));
            return Ok(Self { groups, before: None, source });
        }
        let mut before = groups.clone();
        for (groups, calls) in [(&mut groups, calls), (&mut before, &question.before())] {
            let sums = questions.read(history.totals(calls)).await?;
            sums.iter().for_each(|(key, sum)| groups.add(key, sum));
        }
        Ok(Self { groups, before: Some(before), source })
    }

    pub(super) fn show(self) -> GroupedJson {
        let (shown, left_out) = self.shown();
        let group = |(key, tally): (&GroupKey, &Tally)| GroupJson {
            key: self.key(key),
            figures: self.figures(key, tally),
        };
        let groups = shown.into_iter().map(group).collect();
        let grouping = self.groups.grouping();
        let bucket = grouping.bucket.map(|minutes| {
            show_duration(std::time::Duration::from_secs(u64::from(minutes.get()) * 60))
        });
        let (from, exact, rows, covers, cut_at_us) = match self.source {
            Source::Rollups => ("rollups", true, None, None, None),
            Source::Rows { rows, covers, is_exact, cut_at_us } => {
                ("rows", is_exact, Some(rows), covers, cut_at_us)
            }
        };
        let grouped = SourceJson {
            by: grouping.by.iter().map(|dimension| dimension.as_str()).collect(),
            bucket,
            from,
            exact,
            rows,
            covers,
            since: cut_at_us.and_then(show_time),
            left_out,
        };
        GroupedJson { grouped, groups }
    }

    /// As flat records, and the names of what is in them.
    pub(super) fn records(&self) -> (Vec<&'static str>, Vec<Map<String, Value>>) {
        let grouping = self.groups.grouping();
        let bucket = grouping.bucket.map(|_| BUCKET);
        let names = grouping.by.iter().map(|dimension| dimension.as_str());
        let columns = bucket.into_iter().chain(names).chain(COLUMNS).collect();
        let record = |(key, tally): (&GroupKey, &Tally)| {
            self.key(key).into_iter().chain(flat(&self.figures(key, tally))).collect()
        };
        (columns, self.shown().0.into_iter().map(record).collect())
    }

    fn shown(&self) -> (Vec<(&GroupKey, &Tally)>, usize) {
        let has_stretches = self.groups.grouping().bucket.is_some();
        self.groups.busiest(if has_stretches { MAX_STRETCHES } else { MAX_GROUPS })
    }

    fn figures(&self, key: &GroupKey, tally: &Tally) -> Figures {
        Figures::of(tally, self.before.as_ref().and_then(|before| before.of(key)))
    }

    fn key(&self, key: &GroupKey) -> Map<String, Value> {
        let bucket = key.bucket.map(|minute| {
            let at = show_time(minute.saturating_mul(MINUTE_US));
            (BUCKET.to_owned(), Value::from(at))
        });
        let names = self.groups.grouping().by.iter().zip(&key.names);
        let names =
            names.map(|(dimension, name)| (dimension.as_str().to_owned(), Value::from(&**name)));
        bucket.into_iter().chain(names).collect()
    }
}

/// The name of a stretch's beginning.
const BUCKET: &str = "bucket";

/// What a record tells of its calls, in the order of columns.
pub(super) const COLUMNS: [&str; 24] = [
    "total",
    "success",
    "failure",
    "timeout",
    "refused",
    "cancelled",
    "interrupted",
    "successRate",
    "successRateLow",
    "successRateHigh",
    "averageDurationMs",
    "p50Ms",
    "p95Ms",
    "p99Ms",
    "scored",
    "averageImpactScore",
    "priced",
    "totalCost",
    "costPerSuccess",
    "wastedCost",
    "completeness",
    "topFailureReason",
    "topFailureCount",
    "topFailureTrend",
];

/// Figures as [`COLUMNS`].
pub(super) fn flat(figures: &Figures) -> impl Iterator<Item = (String, Value)> + use<> {
    let Figures { outcomes, success_rate_interval, .. } = figures;
    let sure = success_rate_interval.as_ref();
    let top = figures.common_failure_reasons.first();
    let cells = [
        json!(figures.total),
        json!(outcomes.success),
        json!(outcomes.failure),
        json!(outcomes.timeout),
        json!(outcomes.refused),
        json!(outcomes.cancelled),
        json!(outcomes.interrupted),
        json!(figures.success_rate),
        json!(sure.map(|sure| sure.low)),
        json!(sure.map(|sure| sure.high)),
        json!(figures.average_duration_ms),
        json!(figures.p50_ms),
        json!(figures.p95_ms),
        json!(figures.p99_ms),
        json!(figures.scored),
        json!(figures.average_impact_score),
        json!(figures.priced),
        json!(figures.total_cost),
        json!(figures.cost_per_success),
        json!(figures.wasted_cost),
        json!(figures.completeness),
        json!(top.map(|top| top.reason)),
        json!(top.map(|top| top.count)),
        json!(top.and_then(|top| top.trend)),
    ];
    COLUMNS.map(str::to_owned).into_iter().zip(cells)
}
