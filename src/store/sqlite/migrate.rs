//! Migrations of the embedded file.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{
    clock,
    store::{
        BoxError, Error,
        migrate::{
            Applied, Onlooker, Record, Status, TOOL_VERSION, compare, migrations, pending, told,
            warn_of_newer,
        },
    },
};

/// The files, name and text, in order.
const FILES: [(&str, &str); 6] = [
    ("001_store.sql", include_str!("../../../migrations/sqlite/001_store.sql")),
    ("002_statistics.sql", include_str!("../../../migrations/sqlite/002_statistics.sql")),
    ("010_learning.sql", include_str!("../../../migrations/sqlite/010_learning.sql")),
    ("011_predictions.sql", include_str!("../../../migrations/sqlite/011_predictions.sql")),
    ("014_evidence.sql", include_str!("../../../migrations/sqlite/014_evidence.sql")),
    ("015_identity.sql", include_str!("../../../migrations/sqlite/015_identity.sql")),
];

pub(in crate::store) async fn up(
    data_dir: &Path,
    onlooker: Onlooker,
) -> Result<Vec<Applied>, Error> {
    blocking(data_dir, move |db| apply(db, &onlooker)).await
}

pub(in crate::store) async fn status(data_dir: &Path) -> Result<Vec<Status>, Error> {
    let read = |db: &mut Connection| {
        let tx = db.transaction()?;
        Ok(compare(&migrations(&FILES), &records(&tx)?))
    };
    blocking(data_dir, read).await
}

async fn blocking<T: Send + 'static>(
    data_dir: &Path,
    work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let data_dir = data_dir.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&mut super::connect(&data_dir)?));
    done.await.map_err(|error| Error::Unavailable(BoxError::from(error)))?
}

/// Applies what is missing in one transaction, which keeps other processes out.
pub(super) fn apply(db: &mut Connection, onlooker: &Onlooker) -> Result<Vec<Applied>, Error> {
    let known = migrations(&FILES);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = records(&tx)?;
    let missing = pending(&known, &before)?;
    for migration in told(&missing, onlooker) {
        tx.execute_batch(migration.text)?;
        tx.execute(
            "insert into fusebox_migration (version, name, sha256, applied_at_us, tool_version)
            values (?1, ?2, ?3, ?4, ?5)",
            (migration.version, migration.name, &migration.sha256, clock::wall_us(), TOOL_VERSION),
        )?;
    }
    tx.commit()?;
    warn_of_newer(&known, &before);
    let applied = missing.into_iter();
    Ok(applied.map(|m| Applied { version: m.version, name: m.name.to_owned() }).collect())
}

/// What was applied. Makes the table of migrations where it is missing.
fn records(tx: &Transaction<'_>) -> Result<Vec<Record>, Error> {
    tx.execute_batch(
        "create table if not exists fusebox_migration (
            version integer primary key, name text not null, sha256 text,
            applied_at_us integer not null, tool_version text not null)",
    )?;
    let mut statement = tx.prepare(
        "select version, name, sha256, applied_at_us, tool_version from fusebox_migration
        order by version",
    )?;
    let records = statement.query_map([], |row| {
        Ok(Record {
            version: row.get(0)?,
            name: row.get(1)?,
            sha256: row.get(2)?,
            at_us: row.get(3)?,
            tool_version: row.get(4)?,
        })
    })?;
    Ok(records.collect::<Result<_, _>>()?)
}
