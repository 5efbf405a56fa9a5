//! The cursor of this instance's journal: how far its batches were applied.
//!
//! Until the journal is a file, it is the memory of the process, so its id is the instance. A
//! position that is not ahead of the cursor makes the statement fail rather than do nothing: then
//! the commit behind it in the same message is not reached.

use tokio_postgres::{error::SqlState, types::Type};

use super::{
    session::Lease,
    state::{LIMIT, Param},
    tables::Tables,
};
use crate::store::{Advance, Error, rows::signed};

/// A cursor, and where a batch takes it.
pub(super) struct Cursor<'a> {
    pub(super) tables: &'a Tables,
    pub(super) journal_id: &'a str,
    pub(super) advance: Advance,
}

impl Cursor<'_> {
    /// The statement that moves it forward for so many rows. A cursor that went back, as behind a
    /// failover that lost the last batches, is moved too: what is newer must not be lost with them.
    pub(super) fn moving(&self, rows: usize) -> String {
        let into = self.tables.name("insert into @journal_cursor as reached");
        let journal_id = literal(self.journal_id);
        let Advance { worker, position } = self.advance;
        format!(
            "{into} (journal_id, worker, position, rows_total)
            values ({journal_id}, {worker}, {position}, {rows})
            on conflict (journal_id, worker) do update set
                -- Null, which the column refuses, when the batch was applied before.
                position = case when reached.position < excluded.position
                    then excluded.position end,
                rows_total = reached.rows_total + excluded.rows_total,
                committed_at = clock_timestamp()"
        )
    }

    /// Whether it is as far as this already.
    pub(super) async fn has_passed(&self, lease: &Lease<'_>) -> Result<bool, Error> {
        let statement = self.tables.name(
            "select from @journal_cursor where journal_id = $1 and worker = $2 and position >= $3",
        );
        let (worker, position) = (i64::from(self.advance.worker), signed(self.advance.position));
        let params: [Param<'_>; 3] =
            [(&self.journal_id, Type::TEXT), (&worker, Type::INT8), (&position, Type::INT8)];
        let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
        Ok(!rows.is_empty())
    }
}

/// Whether a move failed because the cursor was as far already.
pub(super) fn is_passed(error: &Error) -> bool {
    error.of_the_server().is_some_and(|error| {
        *error.code() == SqlState::NOT_NULL_VIOLATION && error.table() == Some("journal_cursor")
    })
}

/// A text as a literal that means the same whatever the server's settings.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_literal_cannot_end_early() {
        assert_eq!(literal("a"), "E'a'");
        assert_eq!(literal(r"a'; drop table x; --\'"), r"E'a''; drop table x; --\\'''");
    }
}
