//! Migrations in Postgres, over a connection of their own.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, types::Type};

use super::{connection::Connector, state::Param, tables::Tables};
use crate::{
    config::Database,
    store::{
        Error, grants,
        migrate::{
            Applied, Migration, Onlooker, Record, Status, TOOL_VERSION, compare, migrations,
            pending, sql, told, warn_of_newer,
        },
    },
};

pub(in crate::store) async fn up(
    url: &str,
    of: &Database,
    onlooker: Onlooker,
) -> Result<Vec<Applied>, Error> {
    let tables = Tables::new(&of.schema)?;
    let known = migrations(sql());
    let link = Connector::new(url, &of.aws)?.connect().await?;
    let applying = timeout(LIMIT, apply(&link.client, &tables, &known, &onlooker));
    applying.await.map_err(|_| Error::too_slow())?
}

pub(in crate::store) async fn grant(url: &str, of: &Database, role: &str) -> Result<(), Error> {
    let tables = Tables::new(&of.schema)?;
    let link = Connector::new(url, &of.aws)?.connect().await?;
    // One after the other, as migrations: the server refuses to change a table's rights twice at once.
    let statements = format!(
        "begin; set local statement_timeout = '{STATEMENT_LIMIT_S}s';
        select pg_advisory_xact_lock({LOCK}); {}commit",
        grants::statements(tables.schema(), role)
    );
    let granting = timeout(LIMIT, link.client.batch_execute(&statements));
    Ok(granting.await.map_err(|_| Error::too_slow())??)
}

pub(in crate::store) async fn status(url: &str, of: &Database) -> Result<Vec<Status>, Error> {
    let tables = Tables::new(&of.schema)?;
    let link = Connector::new(url, &of.aws)?.connect().await?;
    let reading = timeout(LIMIT, records(&link.client, &tables));
    let applied = reading.await.map_err(|_| Error::too_slow())??;
    Ok(compare(&migrations(sql()), &applied))
}

/// Applies what is missing in one transaction, under the lock that every file takes too. Where
/// nothing is missing no lock is taken, so that a fleet that starts does not queue up.
async fn apply(
    db: &Client,
    tables: &Tables,
    known: &[Migration],
    onlooker: &Onlooker,
) -> Result<Vec<Applied>, Error> {
    let applied = records(db, tables).await?;
    if pending(known, &applied)?.is_empty() && has_checksums(known, &applied) {
        warn_of_newer(known, &applied);
        return Ok(Vec::new());
    }
    let schema = tables.schema();
    // Whoever waits for a table makes all others wait that come after, so it is not for long: it is
    // tried again. The server ends what this process no longer waits for.
    db.batch_execute(&format!(
        "begin; set local statement_timeout = '{STATEMENT_LIMIT_S}s';
        select pg_advisory_xact_lock({LOCK}); set local lock_timeout = '{LOCK_LIMIT_S}s'"
    ))
    .await?;
    if !exists(db, "select from pg_namespace where nspname = $1", schema).await? {
        db.batch_execute(&format!("create schema {schema}")).await?;
    }
    db.batch_execute(&format!("set local search_path = {schema}")).await?;
    let applied = records(db, tables).await?;
    let missing = pending(known, &applied)?;
    for migration in told(&missing, onlooker) {
        db.batch_execute(migration.text).await?;
        sign(db, migration, TOOL_VERSION).await?;
    }
    for migration in known {
        // What was run by hand keeps its name and gets its checksum.
        sign(db, migration, "psql").await?;
    }
    db.batch_execute("commit").await?;
    warn_of_newer(known, &applied);
    let applied = missing.into_iter();
    Ok(applied.map(|m| Applied { version: m.version, name: m.name.to_owned() }).collect())
}

/// Records the checksum of a migration that has none.
async fn sign(db: &Client, migration: &Migration, by: &str) -> Result<(), Error> {
    let params: [Param<'_>; 3] =
        [(&migration.version, Type::INT4), (&migration.sha256, Type::TEXT), (&by, Type::TEXT)];
    let statement = "update fusebox_migration set sha256 = $2, tool_version = $3
        where version = $1 and sha256 is null";
    db.execute_typed(statement, &params).await?;
    Ok(())
}

fn has_checksums(known: &[Migration], applied: &[Record]) -> bool {
    let is_ours = |record: &Record| known.iter().any(|m| m.version == record.version);
    applied.iter().all(|record| record.sha256.is_some() || !is_ours(record))
}

/// What was applied; nothing where the table of migrations is missing.
async fn records(db: &Client, tables: &Tables) -> Result<Vec<Record>, Error> {
    let there = "select from pg_tables where schemaname = $1 and tablename = 'fusebox_migration'";
    if !exists(db, there, tables.schema()).await? {
        return Ok(Vec::new());
    }
    let statement = tables.name(
        "select version, name, sha256, (1000000 * extract(epoch from applied_at))::bigint,
            tool_version
        from @fusebox_migration order by version",
    );
    let rows = db.query_typed(&statement, &[]).await?;
    let records = rows.iter().map(|row| Record {
        version: row.get(0),
        name: row.get(1),
        sha256: row.get(2),
        at_us: row.get(3),
        tool_version: row.get(4),
    });
    Ok(records.collect())
}

async fn exists(db: &Client, statement: &str, name: &str) -> Result<bool, Error> {
    let params: [Param<'_>; 1] = [(&name, Type::TEXT)];
    Ok(!db.query_typed(statement, &params).await?.is_empty())
}

/// The lock of all migrations; the files take the same.
const LOCK: i64 = 7_310_868_735_926_133_857;
/// How long a statement may take, in seconds, waiting for another process included.
const STATEMENT_LIMIT_S: u32 = 60;
/// How long it may wait for a table that others use, in seconds.
const LOCK_LIMIT_S: u32 = 3;
/// How long everything may take, waiting for another process included.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::LOCK;
    use crate::store::migrate::{sql, version_of};

    #[test]
    fn every_file_takes_the_lock_and_records_itself() {
        assert!(sql().is_sorted_by_key(|(name, _)| version_of(name)));
        for (name, text) in sql() {
            let version = version_of(name);
            assert!(name.starts_with(&format!("{version:03}_")), "{name}");
            assert!(text.contains(&format!("pg_advisory_xact_lock({LOCK})")), "{name}");
            assert!(text.contains(&format!("values ({version}, '{name}', 'psql')")), "{name}");
        }
    }
}
