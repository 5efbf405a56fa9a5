//! A question for statistics: which calls, and how they are told apart.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    admin::{
        query::{Asked, Pairs},
        reply::Fault,
        rollups::minutes,
        window::{Reach, Window},
    },
    config::suggest::did_you_mean,
    domain::{
        learn::grouping::{Dimension, Grouping},
        units::{parse_duration, show_duration},
    },
    store::RollupQuery,
};

/// The parameters.
const NAMES: [&str; 9] =
    ["domain", "action", "service", "upstream", "from", "to", "groupBy", "bucket", "format"];

/// Names of `groupBy` at most.
const MAX_NAMES: usize = 4;

/// Stretches of time at most: a day has 1,440 minutes.
const MAX_BUCKETS: i64 = 1_500;

/// Stretches that may be grouped by under their name.
const STRETCHES: [(&str, u32); 3] = [("minute", 1), ("hour", HOUR), ("day", DAY)];

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

/// How long minutes and hours are kept apart in rollups.
const KEPT_MINUTES: i64 = 2 * DAY as i64;
const KEPT_HOURS: i64 = 90 * DAY as i64;

const BUCKET: &str =
    "a stretch of time such as 5m, 1h or 1d that an hour or a day is a multiple of";

/// See the module docs.
#[derive(Debug)]
pub(super) struct Question {
    /// Which calls.
    pub(super) calls: RollupQuery,
    /// How they are told apart, when that was asked for.
    pub(super) grouping: Option<Grouping>,
}

impl Question {
    /// Reads a query string; returns what it says of the format too.
    pub(super) fn read(pairs: Pairs, now_us: i64) -> Result<(Self, Asked), Fault> {
        let asked = Asked::read(pairs, &NAMES)?;
        let (mut from_minute, mut to_minute) = minutes(Window::read(&asked, Reach::SCAN, now_us)?);
        let grouping = grouping(&asked)?;
        if let Some(bucket) = grouping.as_ref().and_then(|grouping| grouping.bucket) {
            // Whole stretches, so that none looks quieter than it was.
            let length = i64::from(bucket.get());
            from_minute -= from_minute.rem_euclid(length);
            to_minute += (-to_minute).rem_euclid(length);
            check_bucket(bucket, (from_minute, to_minute), now_us)?;
        }
        let calls = RollupQuery {
            service: asked.owned("service"),
            upstream: asked.owned("upstream"),
            domain: asked.owned("domain"),
            action: asked.owned("action"),
            from_minute,
            to_minute,
        };
        Ok((Self { calls, grouping }, asked))
    }

    /// The same about the stretch of the same length before.
    pub(super) fn before(&self) -> RollupQuery {
        let RollupQuery { from_minute, to_minute, .. } = self.calls;
        RollupQuery {
            from_minute: from_minute - (to_minute - from_minute),
            to_minute: from_minute,
            ..self.calls.clone()
        }
    }

    /// Whether it is about a single operation.
    pub(super) fn is_about_one(&self) -> bool {
        self.calls.domain.is_some() && self.calls.action.is_some()
    }
}

/// Reads `groupBy` and `bucket`.
fn grouping(asked: &Asked) -> Result<Option<Grouping>, Fault> {
    let bucket = asked.parsed("bucket", BUCKET, read_bucket)?;
    let mut grouping = Grouping { by: Vec::new(), bucket };
    for name in asked.text("groupBy").into_iter().flat_map(|names| names.split(',')) {
        if let Some((_, minutes)) = STRETCHES.iter().find(|(known, _)| *known == name) {
            if grouping.bucket.is_some() {
                let message =
                    "one stretch of time is enough: `minute`, `hour`, `day` or a `bucket`";
                return Err(Fault::BadRequest(message.to_owned()));
            }
            grouping.bucket = NonZeroU32::new(*minutes);
            continue;
        }
        let dimension = Dimension::ALL.into_iter().find(|known| known.as_str() == name);
        let dimension = dimension.ok_or_else(|| unknown(name))?;
        if grouping.by.contains(&dimension) {
            return Err(Fault::BadRequest(format!("`groupBy` names `{name}` twice")));
        }
        grouping.by.push(dimension);
    }
    if grouping.by.len() > MAX_NAMES {
        return Err(Fault::unreadable("groupBy", format_args!("{MAX_NAMES} names at most")));
    }
    Ok((grouping != Grouping::default()).then_some(grouping))
}

fn unknown(name: &str) -> Fault {
    let known =
        || Dimension::ALL.into_iter().map(Dimension::as_str).chain(STRETCHES.map(|(name, _)| name));
    let near = did_you_mean(name, known());
    let all: Vec<&str> = known().collect();
    Fault::unreadable("groupBy", format_args!("some of {}{near}", all.join(",")))
}

/// Whole minutes that an hour is a multiple of, or whole hours that a day is.
fn read_bucket(text: &str) -> Option<NonZeroU32> {
    let length = parse_duration(text).ok()?;
    let minutes = u32::try_from(length.as_secs() / 60).ok().and_then(NonZeroU32::new)?;
    let is_whole = length == Duration::from_secs(u64::from(minutes.get()) * 60);
    let divides = |whole: u32| whole.is_multiple_of(minutes.get());
    let fits = divides(HOUR) || (divides(DAY) && minutes.get().is_multiple_of(HOUR));
    (is_whole && fits).then_some(minutes)
}

/// Whether rollups still tell such stretches apart, and there are not too many.
fn check_bucket(bucket: NonZeroU32, (from, to): (i64, i64), now_us: i64) -> Result<(), Fault> {
    let length = i64::from(bucket.get());
    if (to - from) / length > MAX_BUCKETS {
        return Err(Fault::BadRequest(format!(
            "more than {MAX_BUCKETS} stretches of time: ask for longer ones, or for a shorter window"
        )));
    }
    let now = now_us.div_euclid(60_000_000);
    let (kept, whole, least) = match bucket.get() {
        0..HOUR => (KEPT_MINUTES, HOUR, "an hour"),
        HOUR..DAY => (KEPT_HOURS, DAY, "a day"),
        _ => return Ok(()),
    };
    let oldest = now - kept;
    if from < oldest - oldest.rem_euclid(whole.into()) {
        let kept = Duration::from_secs(u64::try_from(kept).unwrap_or_default() * 60);
        return Err(Fault::BadRequest(format!(
            "`bucket`: beyond {} ago at least {least}, for shorter stretches are added up",
            show_duration(kept)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::extract::RawQuery;

    use super::Question;

    /// 2027-01-15T08:00:00Z.
    const NOW_US: i64 = 1_800_000_000_000_000;

    fn read(query: &str) -> Result<Question, String> {
        let pairs = RawQuery(Some(query.to_owned()));
        Question::read(pairs, NOW_US).map(|(question, _)| question).map_err(|e| e.to_string())
    }

    fn shape(query: &str) -> (Vec<&'static str>, Option<u32>) {
        let grouping = read(query).unwrap().grouping.unwrap_or_default();
        let names = grouping.by.iter().map(|dimension| dimension.as_str()).collect();
        (names, grouping.bucket.map(std::num::NonZeroU32::get))
    }

    #[test]
    fn calls_are_told_apart_as_asked() {
        for (query, names, bucket) in [
            ("", vec![], None),
            ("groupBy=service", vec!["service"], None),
            ("groupBy=domain,action&bucket=1h", vec!["domain", "action"], Some(60)),
            ("groupBy=version,hour", vec!["version"], Some(60)),
            ("groupBy=day", vec![], Some(1_440)),
            ("bucket=5m", vec![], Some(5)),
            ("bucket=6h", vec![], Some(360)),
        ] {
            assert_eq!(shape(query), (names, bucket), "{query}");
        }
    }

    #[test]
    fn a_window_is_whole_stretches() {
        let calls = read("bucket=1d&from=-3d&to=-25h").unwrap().calls;
        assert_eq!((calls.from_minute % 1_440, calls.to_minute % 1_440), (0, 0));
        assert_eq!(calls.to_minute - calls.from_minute, 3 * 1_440);
        let plain = read("from=-3d&to=-1d").unwrap();
        let before = plain.before();
        assert_eq!(before.to_minute, plain.calls.from_minute);
        assert_eq!(plain.calls.to_minute - before.to_minute, before.to_minute - before.from_minute);
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused_with_the_reason() {
        for (query, says) in [
            ("groupBy=servise", "did you mean `service`?"),
            ("groupBy=", "`groupBy`: expected 1 to 256 bytes"),
            ("groupBy=service,", "`groupBy`: expected some of domain,action"),
            ("groupBy=path", "`groupBy`: expected some of domain,action"),
            ("groupBy=service,service", "`groupBy` names `service` twice"),
            ("groupBy=hour,day", "one stretch of time is enough"),
            ("groupBy=hour&bucket=1h", "one stretch of time is enough"),
            ("groupBy=domain,action,service,upstream,version", "4 names at most"),
            ("bucket=1", "`bucket`: expected a stretch of time"),
            ("bucket=0m", "`bucket`: expected a stretch of time"),
            ("bucket=30s", "`bucket`: expected a stretch of time"),
            ("bucket=90s", "`bucket`: expected a stretch of time"),
            ("bucket=7m", "`bucket`: expected a stretch of time"),
            ("bucket=90m", "`bucket`: expected a stretch of time"),
            ("bucket=2d", "`bucket`: expected a stretch of time"),
            ("bucket=1m&from=-2d", "more than 1500 stretches"),
            ("bucket=1m&from=-51h&to=-50h", "beyond 2d ago at least an hour"),
            ("bucket=1h&from=-95d&to=-94d", "beyond 90d ago at least a day"),
            ("outcome=success", "unknown parameter `outcome`"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(says), "{query}: {error}");
        }
        assert!(read("bucket=1d&from=-95d&to=-94d").is_ok());
    }
}
