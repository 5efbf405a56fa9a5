//! The server, the database in it, and the rows in that.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox::{
    clock,
    config::{Database, Secret},
    store::{HistoryStore, Identity, migrate, open},
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::{
    Result,
    server::{Server, home},
};

/// Days of rows.
pub(crate) const DAYS: u16 = 14;

/// Days that are filled at the same time.
const FILLERS: usize = 2;

/// How the rows are made.
const FILL: &str = include_str!("fill.sql");

/// Everything that a measurement needs.
pub(crate) struct Lab {
    home: PathBuf,
    database: Database,
    url: String,
    /// Plain SQL.
    pub(crate) client: Client,
    /// The store under test.
    pub(crate) history: Arc<dyn HistoryStore>,
    _server: Server,
}

impl Lab {
    /// Starts the server, and makes the rows where they are not there from an earlier run of today.
    pub(crate) async fn open(rows: u64) -> Result<Self> {
        let home = home()?;
        let server = Server::start(&home)?;
        let name = database_name(rows);
        let admin = connect(&server.url("postgres")).await?;
        let is_there =
            !admin.query("select from pg_database where datname = $1", &[&name]).await?.is_empty();
        let building = format!("{name}_unfinished");
        if !is_there {
            drop_all(&admin).await?;
            admin.batch_execute(&format!("create database {building}")).await?;
            let lab = Self::at(&home, server, &building).await?;
            lab.build(rows).await?;
            let Self { client, history, _server: server, .. } = lab;
            drop((client, history));
            let rename = format!("alter database {building} rename to {name}");
            // Their connections end soon after them, not at once.
            while admin.batch_execute(&rename).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            return Self::at(&home, server, &name).await;
        }
        Self::at(&home, server, &name).await
    }

    async fn at(home: &std::path::Path, server: Server, name: &str) -> Result<Self> {
        let url = server.url(name);
        let secret = Secret::new(url.clone());
        let database = Database {
            url: Some(secret),
            schema: "public".into(),
            migrate: true,
            aws: Arc::default(),
        };
        migrate::up(&database, home).await?;
        let client = connect(&url).await?;
        let history = open(&database, home, identity("bench"))?.history;
        let lab = Self { home: home.to_owned(), database, url, client, history, _server: server };
        if name.ends_with("unfinished") {
            return Ok(lab);
        }
        // What upkeep and the last minutes leave.
        lab.client.batch_execute("delete from task_rollup where resolution = 'delta'").await?;
        lab.client.execute("select bench.unmerged()", &[]).await?;
        for table in ["task_rollup", "task_total"] {
            lab.client.batch_execute(&format!("vacuum analyze {table}")).await?;
        }
        Ok(lab)
    }

    async fn build(&self, rows: u64) -> Result<()> {
        println!("making {rows} rows in {}", self.home.display());
        let began = clock::now();
        self.client.batch_execute(FILL).await?;
        let now = Timestamp::from_microsecond(clock::wall_us())?;
        let mut fillers = JoinSet::new();
        for day in days(now)? {
            if fillers.len() >= FILLERS {
                fillers.join_next().await.transpose()?.transpose()?;
            }
            let share = day.1.duration_since(day.0).as_secs_f64() / (f64::from(DAYS) * 86_400.0);
            fillers.spawn(fill(self.connect().await?, day, of(rows, share)));
        }
        while let Some(filled) = fillers.join_next().await {
            filled??;
        }
        self.client.execute("select bench.rollups()", &[]).await?;
        self.history.maintain(Duration::from_secs(u64::from(DAYS) * 86_400)).await?;
        self.client.batch_execute("vacuum analyze").await?;
        println!("made in {:.0} s\n", clock::now().duration_since(began).as_secs_f64());
        Ok(())
    }

    /// A day's worth of rows on a day that is past retention.
    pub(crate) async fn fill_expired_day(&self, rows: u64) -> Result<()> {
        let today = Timestamp::from_microsecond(clock::wall_us())?.to_zoned(TimeZone::UTC);
        let begin = today.start_of_day()?.checked_sub((i64::from(DAYS) + 2).days())?;
        let day = (begin.timestamp(), begin.checked_add(1.day())?.timestamp());
        let part = format!("drop table if exists task_history_{}", begin.strftime("%Y%m%d"));
        self.client.batch_execute(&part).await?;
        fill(self.connect().await?, day, of(rows, 1.0 / f64::from(DAYS))).await
    }

    /// The store as another instance.
    pub(crate) fn instance(&self, name: &str) -> Result<Arc<dyn HistoryStore>> {
        Ok(open(&self.database, &self.home, identity(name))?.history)
    }

    /// A connection for plain SQL.
    pub(crate) async fn connect(&self) -> Result<Client> {
        connect(&self.url).await
    }
}

/// The days up to now, the oldest and the newest cut.
fn days(now: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>> {
    let mut begin = now.to_zoned(TimeZone::UTC).checked_sub(i64::from(DAYS).days())?;
    let mut days = Vec::new();
    while begin.timestamp() < now {
        let end = begin.start_of_day()?.tomorrow()?;
        days.push((begin.timestamp(), end.timestamp().min(now)));
        begin = end;
    }
    Ok(days)
}

async fn fill(client: Client, day: (Timestamp, Timestamp), rows: i64) -> Result<()> {
    let statement = "select bench.fill($1::text::timestamptz, $2::text::timestamptz, $3)";
    client.batch_execute("set synchronous_commit = off").await?;
    client.execute(statement, &[&day.0.to_string(), &day.1.to_string(), &rows]).await?;
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a number of rows is far below 2^52"
)]
fn of(rows: u64, share: f64) -> i64 {
    (rows as f64 * share) as i64
}

/// Databases of other days, sizes and versions are of no more use.
async fn drop_all(admin: &Client) -> Result<()> {
    let old = "select datname from pg_database where datname like 'history\\_%'";
    for row in admin.query(old, &[]).await? {
        let name: &str = row.get(0);
        admin.batch_execute(&format!("drop database {name} with (force)")).await?;
    }
    Ok(())
}

/// Names what decides about the contents: the size, the day, the tables and how rows are made.
fn database_name(rows: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(FILL);
    migrate::sql().iter().for_each(|(_, text)| hash.update(text));
    let digest: Vec<String> = hash.finalize().iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("history_{rows}_{}_{}", clock::wall_us() / 86_400_000_000, digest.concat())
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn identity(instance: &str) -> Identity {
    Identity {
        namespace: "default".into(),
        service: "shop".into(),
        version: "1".into(),
        instance: instance.into(),
        journal_id: instance.into(),
        display_name: instance.into(),
        host: String::new(),
        zone: None,
        found: Arc::default(),
    }
}
