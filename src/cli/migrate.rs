//! `fusebox migrate`: the tables of the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    exit::Exit,
    output::{complain, say},
    progress::Progress,
    settings::{Settings, environment},
};
use crate::{
    config::{Aws, Config, Database, Secret, check_database_url},
    store::{
        self,
        migrate::{self, Applied, Progress as Progression, Status, Step},
    },
};

/// What to do with the tables.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply what is missing.
    Up(Up),
    /// Show what is applied and what is missing.
    Status(Tables),
    /// Print the SQL of every migration, for review or for psql.
    Sql,
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    tables: Tables,
    /// Then let this role of Postgres do what Fusebox does at run time, where it does not own the
    /// tables. Also FUSEBOX_GRANT_TO.
    #[arg(long, value_name = "ROLE")]
    grant: Option<String>,
}

#[derive(Debug, Args)]
struct Tables {
    #[command(flatten)]
    settings: Settings,
    /// Print the migrations as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match &arguments.action {
        Action::Up(Up { tables: Tables { settings, json }, grant }) => {
            let wished = || environment().get("FUSEBOX_GRANT_TO").map(str::to_owned);
            let role = grant.clone().or_else(wished).filter(|role| !role.is_empty());
            with_database(settings, async |database, data_dir| {
                up(database, data_dir, role.as_deref(), *json).await
            })
        }
        Action::Status(Tables { settings, json }) => {
            with_database(settings, async |database, data_dir| {
                status(database, data_dir, *json).await
            })
        }
        Action::Sql => {
            for (name, sql) in migrate::sql() {
                say(format!("-- {name}\n{sql}"));
            }
            Exit::Ok
        }
    }
}

fn with_database(
    settings: &Settings,
    action: impl AsyncFnOnce(&Database, &Path) -> Result<(), store::Error>,
) -> Exit {
    let Place { database, data_dir, .. } = match place(settings) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    match runtime.block_on(action(&database, &data_dir)) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(Exit::Unreachable, format!("fusebox: {:#}", anyhow::Error::new(error)))
        }
    }
}

/// Where a store is, and whose rows and how long they are kept in it.
pub(super) struct Place {
    pub(super) database: Database,
    pub(super) data_dir: PathBuf,
    pub(super) namespace: String,
    pub(super) retention: Duration,
}

/// Which store: that of the configuration, or, for a one-off task that has none, that of
/// `DATABASE_URL`.
pub(super) fn place(settings: &Settings) -> Result<Place, Exit> {
    if !settings.is_silent() {
        return Ok(place_of(&settings.load()?.config));
    }
    let environment = environment();
    let url = environment.get("DATABASE_URL").filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| {
        complain(Exit::Usage, "fusebox: no database: give --config FILE or set DATABASE_URL")
    })?;
    check_database_url(url).map_err(|problem| {
        complain(Exit::Configuration, format!("fusebox: DATABASE_URL: {problem}"))
    })?;
    let database = Database {
        url: Some(Secret::new(url)),
        schema: "public".to_owned(),
        migrate: true,
        aws: Arc::new(Aws::of(&environment)),
    };
    Ok(Place {
        database,
        data_dir: PathBuf::new(),
        namespace: "default".to_owned(),
        retention: RETENTION,
    })
}

/// The store of a configuration.
pub(super) fn place_of(config: &Config) -> Place {
    Place {
        database: config.database.clone(),
        data_dir: config.data_dir.clone(),
        namespace: config.namespace.clone(),
        retention: config.history.retention,
    }
}

async fn up(
    database: &Database,
    data_dir: &Path,
    role: Option<&str>,
    as_json: bool,
) -> Result<(), store::Error> {
    let progress = Progress::on_stderr();
    let (tell, mut steps) = watch::channel(None::<Step>);
    let telling = async {
        while steps.changed().await.is_ok() {
            if let Some(Step { done, all, name }) = &*steps.borrow_and_update() {
                progress.tell(*done, *all, &format!("applying {name}"));
            }
        }
    };
    let applying = migrate::up_telling(database, data_dir, tell);
    let (applied, ()) = tokio::join!(applying, telling);
    drop(progress);
    let applied = applied?;
    // What is applied is told also where the role cannot be helped.
    let granted = match role {
        Some(role) => migrate::grant(database, role).await.map(|()| Some(role)),
        None => Ok(None),
    };
    if as_json {
        let named = |one: &Applied| json!({ "version": one.version, "name": one.name });
        let applied: Vec<Value> = applied.iter().map(named).collect();
        let role = granted.as_ref().ok().copied().flatten();
        say(json!({ "applied": applied, "grantedTo": role }));
        return granted.map(drop);
    }
    for migration in &applied {
        say(format!("applied {:03} {}", migration.version, migration.name));
    }
    if applied.is_empty() {
        say("nothing to apply");
    }
    if let Some(role) = granted? {
        say(format!("{role} may do what Fusebox does"));
    }
    Ok(())
}

async fn status(database: &Database, data_dir: &Path, as_json: bool) -> Result<(), store::Error> {
    let migrations = migrate::status(database, data_dir).await?;
    if as_json {
        say(json!({ "migrations": migrations.iter().map(as_value).collect::<Vec<_>>() }));
        return Ok(());
    }
    for migration in migrations {
        say(format!("{:03} {} {}", migration.version, migration.name, migration.progress));
    }
    Ok(())
}

fn as_value(migration: &Status) -> Value {
    let (progress, at_us, by) = match &migration.progress {
        Progression::Applied { at_us, by } => ("applied", Some(*at_us), Some(by)),
        Progression::Pending => ("pending", None, None),
        Progression::Changed => ("changed", None, None),
        Progression::Newer => ("newer", None, None),
    };
    let at = at_us.and_then(|at_us| jiff::Timestamp::from_microsecond(at_us).ok());
    json!({
        "version": migration.version,
        "name": migration.name,
        "progress": progress,
        "appliedAt": at.map(|at| at.to_string()),
        "by": by,
    })
}

/// How long rows are kept unless a configuration says otherwise.
const RETENTION: Duration = Duration::from_secs(14 * 86_400);
