//! Who has used the file, for as long as there are rows of it.

use std::time::Duration;

use rusqlite::Connection;

use crate::store::Identity;

/// Says that this one lives, and forgets those of whom no row can be left.
pub(super) fn note(
    db: &Connection,
    me: &Identity,
    (retention, now_us): (Duration, i64),
) -> Result<(), rusqlite::Error> {
    let place = me.found.get();
    let mut tell = db.prepare_cached(
        "insert into sidecar_identity (
            namespace, instance, service, version, journal_id, display_name, host, zone,
            cluster, task, definition, started_at_us, seen_at_us)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)
        on conflict do update set
            display_name = excluded.display_name, host = excluded.host, zone = excluded.zone,
            cluster = excluded.cluster, task = excluded.task, definition = excluded.definition,
            seen_at_us = excluded.seen_at_us",
    )?;
    tell.execute((
        &me.namespace,
        &me.instance,
        &me.service,
        &me.version,
        &me.journal_id,
        me.name(),
        &me.host,
        me.zone(),
        place.map(|place| &*place.cluster),
        place.map(|place| &*place.task),
        place.map(|place| &*place.definition),
        now_us,
    ))?;
    let kept_us = i64::try_from(retention.saturating_add(SLACK).as_micros()).unwrap_or(i64::MAX);
    db.execute(
        "delete from sidecar_identity where seen_at_us < ?1",
        [now_us.saturating_sub(kept_us)],
    )?;
    Ok(())
}

/// How long one may go on after it was last seen.
const SLACK: Duration = Duration::from_secs(3_600);
