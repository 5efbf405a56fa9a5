//! Early warnings, in Postgres.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::{Row, types::Type};

use super::{
    Postgres, read,
    state::{LIMIT, Param, micros},
};
use crate::{
    domain::learn::warn::{
        Signal,
        score::{Fate, Score},
    },
    store::{
        Error, Merit, Notice, Prediction, Subject, WarningStore, Which,
        rows::{column_list, unsigned},
        warning::{PREDICTION_COLUMNS, WATCH, fate, fate_columns, notices_json},
    },
};

#[async_trait]
impl WarningStore for Postgres {
    async fn claim_watch(&self, lease: Duration) -> Result<bool, Error> {
        let statement = self.tables.name(
            "insert into @sidecar_duty as d (namespace, duty, instance, until)
            select $1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond'
            where not exists (select from @sidecar_duty where namespace = $1 and duty = $2
                and instance <> $3 and until >= clock_timestamp())
            on conflict (namespace, duty) do update
                set instance = excluded.instance, until = excluded.until
                where d.instance = excluded.instance or d.until < clock_timestamp()
            returning 1",
        );
        let (duty, lease) = (WATCH, micros(lease));
        let params: [Param<'_>; 4] = [
            (&self.identity.namespace, Type::TEXT),
            (&duty, Type::TEXT),
            (&self.identity.instance, Type::TEXT),
            (&lease, Type::INT8),
        ];
        Ok(!self.ask_steadily(&statement, &params).await?.is_empty())
    }

    async fn warn(&self, notices: &[Notice], lasts: Duration) -> Result<(), Error> {
        let statement =
            self.tables.name("select @fusebox_warn($1, $2, $3 * interval '1 microsecond', $4)");
        let (lasts, notices) = (micros(lasts), notices_json(notices));
        let params: [Param<'_>; 4] = [
            (&self.identity.namespace, Type::TEXT),
            (&self.identity.instance, Type::TEXT),
            (&lasts, Type::INT8),
            (&notices, Type::JSONB),
        ];
        self.ask_steadily(&statement, &params).await?;
        Ok(())
    }

    async fn predictions(&self, which: Which, limit: u32) -> Result<Vec<Prediction>, Error> {
        let (filter, since_us) = match which {
            Which::Active => {
                ("active_until > clock_timestamp() and $3::timestamptz is not null", 0)
            }
            Which::Shown => (
                "active_until > clock_timestamp() and not is_muted and $3::timestamptz is not null",
                0,
            ),
            Which::Pending => ("resolved_at is null and $3::timestamptz is not null", 0),
            Which::Since(since_us) => ("made_at >= $3", since_us),
        };
        let statement = self.tables.name(format!(
            "select id, (1000000 * extract(epoch from made_at))::bigint,
                (1000000 * extract(epoch from active_until))::bigint,
                active_until > clock_timestamp(), {}
            from @prediction where namespace = $1 and {filter} order by made_at desc limit $2",
            column_list(PREDICTION_COLUMNS)
        ));
        let (limit, since) = (i64::from(limit), read::timestamp(since_us)?);
        let params: [Param<'_>; 3] = [
            (&self.identity.namespace, Type::TEXT),
            (&limit, Type::INT8),
            (&since, Type::TIMESTAMPTZ),
        ];
        let rows = match which {
            Which::Active | Which::Shown => self.ask_steadily(&statement, &params).await?,
            Which::Pending | Which::Since(_) => self.reads.query(&statement, &params).await?,
        };
        rows.iter().filter_map(|row| prediction(row).transpose()).collect()
    }

    async fn resolve(&self, id: i64, fate: Fate) -> Result<(), Error> {
        let Some((came_true, lead_s)) = fate_columns(fate) else { return Ok(()) };
        let statement = self.tables.name(
            "update @prediction set resolved_at = clock_timestamp(), came_true = $3, lead_s = $4
            where namespace = $1 and id = $2 and resolved_at is null",
        );
        let params: [Param<'_>; 4] = [
            (&self.identity.namespace, Type::TEXT),
            (&id, Type::INT8),
            (&came_true, Type::BOOL),
            (&lead_s, Type::INT4),
        ];
        self.reads.query(&statement, &params).await?;
        Ok(())
    }

    async fn keep_score(&self, (signal, score): &Merit) -> Result<(), Error> {
        let statement = self.tables.name(
            "insert into @prediction_score
                (namespace, signal, decided, precision, recall, brier, lead_s)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (namespace, signal) do update set scored_at = clock_timestamp(),
                decided = excluded.decided, precision = excluded.precision,
                recall = excluded.recall, brier = excluded.brier, lead_s = excluded.lead_s",
        );
        let signal = signal.as_str();
        let decided = i64::try_from(score.decided).unwrap_or(i64::MAX);
        let params: [Param<'_>; 7] = [
            (&self.identity.namespace, Type::TEXT),
            (&signal, Type::TEXT),
            (&decided, Type::INT8),
            (&score.precision, Type::FLOAT8),
            (&score.recall, Type::FLOAT8),
            (&score.brier, Type::FLOAT8),
            (&score.lead, Type::FLOAT8),
        ];
        self.reads.query(&statement, &params).await?;
        Ok(())
    }

    async fn scores(&self) -> Result<Vec<Merit>, Error> {
        let statement = self.tables.name(
            "select signal, decided, precision, recall, brier, lead_s from @prediction_score
            where namespace = $1 order by signal",
        );
        let params: [Param<'_>; 1] = [(&self.identity.namespace, Type::TEXT)];
        let rows = self.ask_steadily(&statement, &params).await?;
        rows.iter().filter_map(|row| scored(row).transpose()).collect()
    }

    async fn openings(&self, since_us: i64, limit: u32) -> Result<Vec<(String, i64)>, Error> {
        let statement = self.tables.name(
            "select upstream, (1000000 * extract(epoch from at))::bigint
            from @circuit_breaker_event
            where namespace = $1 and at >= $2 and to_state = 'open'
                and from_state in ('closed', 'ramping')
            order by id desc limit $3",
        );
        let (since, limit) = (read::timestamp(since_us)?, i64::from(limit));
        let params: [Param<'_>; 3] = [
            (&self.identity.namespace, Type::TEXT),
            (&since, Type::TIMESTAMPTZ),
            (&limit, Type::INT8),
        ];
        let rows = self.reads.query(&statement, &params).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    async fn forget_predictions(&self, before_us: i64) -> Result<(), Error> {
        let statement =
            self.tables.name("delete from @prediction where namespace = $1 and made_at < $2");
        let before = read::timestamp(before_us)?;
        let params: [Param<'_>; 2] =
            [(&self.identity.namespace, Type::TEXT), (&before, Type::TIMESTAMPTZ)];
        self.reads.query(&statement, &params).await?;
        Ok(())
    }
}

impl Postgres {
    /// Runs what every instance asks once a minute on the connection that stands anyway: those for
    /// reads are closed when they are not needed, and each would be made for this anew.
    async fn ask_steadily(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        let lease = self.sync.lease().await?;
        lease.within(LIMIT, |db| db.query_typed(statement, params)).await
    }
}

/// None for a signal that a newer version has made up.
fn prediction(row: &Row) -> Result<Option<Prediction>, Error> {
    let Some(signal) = Signal::parse(row.try_get(4)?) else { return Ok(None) };
    let horizon_s: i32 = row.try_get(11)?;
    let notice = Notice {
        signal,
        subject: Subject {
            upstream: row.try_get(5)?,
            domain: row.try_get(6)?,
            action: row.try_get(7)?,
        },
        claim: row.try_get(8)?,
        detail: row.try_get(9)?,
        bar: row.try_get(10)?,
        horizon: Duration::from_secs(unsigned(horizon_s.into())),
        probability: row.try_get(12)?,
        is_muted: row.try_get(13)?,
    };
    Ok(Some(Prediction {
        id: row.try_get(0)?,
        made_at_us: row.try_get(1)?,
        active_until_us: row.try_get(2)?,
        is_active: row.try_get(3)?,
        notice,
        fate: fate(row.try_get(14)?, row.try_get(15)?),
    }))
}

fn scored(row: &Row) -> Result<Option<Merit>, Error> {
    let Some(signal) = Signal::parse(row.try_get(0)?) else { return Ok(None) };
    let score = Score {
        decided: usize::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default(),
        precision: row.try_get(2)?,
        recall: row.try_get(3)?,
        brier: row.try_get(4)?,
        lead: row.try_get(5)?,
    };
    Ok(Some((signal, score)))
}
