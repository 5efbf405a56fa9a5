//! `fusebox history --follow`: new rows as they come, each once.

use std::{collections::BTreeSet, io::Write, time::Duration};

use super::{
    client::Error,
    exit::Exit,
    output::complain,
    rows::{Question, Row, Source},
    table::{Printer, Wanted},
};
use crate::{clock, domain::task::TaskId};

/// Prints the newest rows, oldest first, and then each new one as it comes.
///
/// Rows come when calls end, so a row may come long after its call began: every second those that
/// began a moment ago are asked for, and now and then all that began within `lookback`. What was
/// printed is remembered for as long.
///
/// # Errors
/// There is no answer to the first question, or one that waiting does not mend.
pub async fn run(
    source: &Source,
    question: &Question<'_>,
    lookback: Duration,
    wanted: Wanted,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut seen = Seen::default();
    let mut printer = Printer::new(wanted);
    let mut answered = clock::now();
    // All are remembered, so that none of them is new later; the newest are printed.
    let (mut rows, answer) = sweep(source, question, lookback, &mut seen, wanted.limit).await;
    answer?;
    let mut is_away = false;
    for turn in 1_u64.. {
        printer.print(&rows, out)?;
        out.flush()?;
        tokio::time::sleep(EVERY).await;
        let asked = clock::now();
        // Whatever came while there was no answer is asked for too.
        let gap = asked.saturating_duration_since(answered);
        let reach = if turn.is_multiple_of(WIDE) { lookback } else { NEAR.min(lookback) };
        let answer;
        (rows, answer) = sweep(source, question, reach + gap, &mut seen, usize::MAX).await;
        match answer {
            Ok(()) => {
                (answered, is_away) = (asked, false);
                seen.forget(lookback + gap);
            }
            Err(error) if error.exit() == Exit::Unreachable => {
                if !is_away {
                    complain(Exit::Ok, format!("fusebox: {error}; asking again"));
                }
                is_away = true;
            }
            Err(error) => {
                printer.print(&rows, out)?;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// The new ones among all rows that began within this time, oldest first and the newest `limit` of
/// them. They are remembered, so they are there also when the answer broke off.
async fn sweep(
    source: &Source,
    question: &Question<'_>,
    reach: Duration,
    seen: &mut Seen,
    limit: usize,
) -> (Vec<Row>, Result<(), Error>) {
    let from = format!("-{}ms", reach.as_millis());
    let mut pairs = question.to_vec();
    pairs.push(("from", &from));
    let mut fresh: Vec<Row> = Vec::new();
    let take = |page| {
        fresh.extend(seen.fresh(page));
        fresh.truncate(limit);
    };
    let answer = source.pages(&pairs, usize::MAX, take).await;
    fresh.sort_by_key(Seen::key);
    (fresh, answer.map(drop))
}

/// Which rows were printed, by time.
#[derive(Debug, Default)]
struct Seen {
    rows: BTreeSet<(i64, TaskId)>,
    /// What began before is not remembered, and therefore not printed any more.
    since_us: i64,
}

impl Seen {
    fn key(row: &Row) -> (i64, TaskId) {
        (row.started_us(), row.id())
    }

    /// Those rows that are new.
    fn fresh(&mut self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| row.started_us() >= self.since_us && self.rows.insert(Self::key(row)));
        rows
    }

    /// Forgets what began more than twice so long before the newest, and the oldest when there are
    /// too many.
    fn forget(&mut self, lookback: Duration) {
        let Some(&(newest, _)) = self.rows.last() else { return };
        let span = i64::try_from(lookback.as_micros()).unwrap_or(i64::MAX).saturating_mul(2);
        self.forget_before(newest.saturating_sub(span));
        while self.rows.len() > MAX_SEEN {
            let Some((oldest, _)) = self.rows.pop_first() else { break };
            self.forget_before(oldest + 1);
        }
    }

    fn forget_before(&mut self, us: i64) {
        self.since_us = self.since_us.max(us);
        self.rows = self.rows.split_off(&(self.since_us, TaskId::from_u128(0)));
    }
}

/// How often new rows are asked for.
const EVERY: Duration = Duration::from_secs(1);
/// How far back those questions reach: longer than most calls and the writer take.
const NEAR: Duration = Duration::from_secs(15);
/// Every so many questions, one reaches as far back as was wished.
const WIDE: u64 = 15;
/// Rows that are remembered at most: 32 MB.
const MAX_SEEN: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_SEEN, Seen};
    use crate::{cli::rows::Row, domain::task::TaskId};

    const SECOND_US: i64 = 1_000_000;

    /// A row that began in this second.
    fn row(second: i64, random: u128) -> Row {
        let id = TaskId::mint(second * SECOND_US, random);
        Row::sample(id, second * SECOND_US)
    }

    #[test]
    fn a_row_is_new_once_however_late_it_comes() {
        let mut seen = Seen::default();
        let new = |seen: &mut Seen, rows: &[(i64, u128)]| {
            let rows = rows.iter().map(|&(second, random)| row(second, random)).collect();
            seen.fresh(rows).len()
        };
        assert_eq!(new(&mut seen, &[(100, 1), (101, 1), (101, 2)]), 3);
        assert_eq!(new(&mut seen, &[(100, 1), (101, 1), (101, 2), (102, 1)]), 1);
        seen.forget(Duration::from_secs(10));
        assert_eq!(new(&mut seen, &[(83, 1), (100, 1), (102, 1)]), 1, "it began long ago");
        assert_eq!(new(&mut seen, &[(83, 1)]), 0);
        assert_eq!(new(&mut seen, &[(81, 1)]), 0, "too long ago to tell whether it is new");
    }

    #[test]
    fn what_is_forgotten_is_not_new_again() {
        let mut seen = Seen::default();
        for at in 0..=i64::try_from(MAX_SEEN).unwrap() {
            seen.rows.insert((at, TaskId::from_u128(1)));
        }
        seen.forget(Duration::from_secs(1_000_000));
        assert_eq!(seen.rows.len(), MAX_SEEN);
        assert_eq!(seen.fresh(vec![row(0, 1)]).len(), 0);
    }
}
