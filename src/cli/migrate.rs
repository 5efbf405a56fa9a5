//! `fusebox migrate`: the tables of the store.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{
    exit::Exit,
    output::{complain, say},
    settings::{Settings, environment},
};
use crate::{
    config::{Config, Database, Secret},
    store::{self, migrate},
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
    Up(Settings),
    /// Show what is applied and what is missing.
    Status(Settings),
    /// Print the SQL of every migration, for review or for psql.
    Sql,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match &arguments.action {
        Action::Up(settings) => with_database(settings, up),
        Action::Status(settings) => with_database(settings, status),
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
    let database =
        Database { url: Some(Secret::new(url)), schema: "public".to_owned(), migrate: true };
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

async fn up(database: &Database, data_dir: &Path) -> Result<(), store::Error> {
    let applied = migrate::up(database, data_dir).await?;
    for migration in &applied {
        say(format!("applied {:03} {}", migration.version, migration.name));
    }
    if applied.is_empty() {
        say("nothing to do");
    }
    Ok(())
}

async fn status(database: &Database, data_dir: &Path) -> Result<(), store::Error> {
    for migration in migrate::status(database, data_dir).await? {
        say(format!("{:03} {} {}", migration.version, migration.name, migration.progress));
    }
    Ok(())
}

/// How long rows are kept unless a configuration says otherwise.
const RETENTION: Duration = Duration::from_secs(14 * 86_400);
