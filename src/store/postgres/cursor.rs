//! The cursors of a journal: how far its rows were applied.
//!
//! They move in the transaction that holds the rows, each from where the writer believes it to be.
//! One that is elsewhere makes the statement fail rather than do nothing: then the commit behind it
//! in the same message is not reached.

use std::{collections::BTreeMap, fmt::Write as _};

use tokio_postgres::{error::DbError, types::Type};

use super::{
    Postgres, literal,
    state::{LIMIT, Param},
    tables::Tables,
};
use crate::store::{Advance, Batch, Error, rows::unsigned};

/// The statement that moves the cursors of a batch.
pub(super) fn moving(tables: &Tables, batch: &Batch<'_>) -> String {
    let list = |number: fn(&Advance) -> u64| {
        batch.advances.iter().fold(String::new(), |mut list, advance| {
            let comma = if list.is_empty() { "" } else { "," };
            write!(list, "{comma}{}", number(advance)).ok();
            list
        })
    };
    let (workers, from, to) = (list(|a| u64::from(a.worker)), list(|a| a.from), list(|a| a.to));
    let (function, journal_id) =
        (tables.name("@fusebox_move_cursors"), literal::text(batch.journal_id));
    let rows = batch.rows.len();
    format!(
        "select {function}({journal_id}, array[{workers}]::int[], array[{from}]::bigint[],
            array[{to}]::bigint[], {rows})"
    )
}

/// Where the cursors of a journal are.
pub(super) async fn all(store: &Postgres, journal_id: &str) -> Result<BTreeMap<u32, u64>, Error> {
    let statement =
        store.tables.name("select worker, position from @journal_cursor where journal_id = $1");
    let params: [Param<'_>; 1] = [(&journal_id, Type::TEXT)];
    let lease = store.writer.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    let cursors = rows
        .iter()
        .filter_map(|row| Some((u32::try_from(row.get::<_, i32>(0)).ok()?, unsigned(row.get(1)))));
    Ok(cursors.collect())
}

/// Whether a move failed because a cursor is elsewhere.
pub(super) fn is_elsewhere(error: &Error) -> bool {
    error.of_the_server().map(DbError::code).is_some_and(|code| code.code() == ELSEWHERE)
}

/// What the function raises.
const ELSEWHERE: &str = "FBX01";
