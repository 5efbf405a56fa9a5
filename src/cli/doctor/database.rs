//! Whether the database can be used as it must be.

use super::finding::{Finding, subject};
use crate::{
    config::Config,
    store::{
        self, Findings,
        migrate::{self, Progress},
    },
};

/// Clocks that are further apart make times of rows hard to compare, in microseconds.
const FAR_APART_US: i64 = 1_000_000;

/// Looks at the database; nothing where the embedded store is used.
pub(super) async fn database(config: &Config) -> Vec<Finding> {
    let Some(examined) = store::examine(&config.database).await else {
        return vec![Finding::good(subject::CONNECT, "the embedded store is used")];
    };
    let found = match examined {
        Ok(found) => found,
        Err(error) => return vec![Finding::bad(subject::CONNECT, store::causes(&error))],
    };
    let major = found.version / 10_000;
    let detail =
        format!("PostgreSQL {major} as {}, {:.1?} there and back", found.user, found.round_trip);
    let connected = match found.version {
        ..140_000 => Finding::bad(subject::CONNECT, format!("{detail}; 14 or later is needed")),
        _ => Finding::good(subject::CONNECT, detail),
    };
    vec![
        connected,
        tables(config, &found).await,
        privileges(config, &found),
        if found.listens {
            Finding::good(subject::LISTEN, "a word came back")
        } else {
            Finding::doubtful(subject::LISTEN, "nothing came back within 2 s")
        },
        clocks(&found),
    ]
}

async fn tables(config: &Config, found: &Findings) -> Finding {
    let known = match migrate::status(&config.database, &config.data_dir).await {
        Ok(known) => known,
        Err(error) => return Finding::bad(subject::SCHEMA, store::causes(&error)),
    };
    let count =
        |is_it: fn(&Progress) -> bool| known.iter().filter(|one| is_it(&one.progress)).count();
    let pending = count(|progress| *progress == Progress::Pending);
    let changed = count(|progress| *progress == Progress::Changed);
    let newer = count(|progress| *progress == Progress::Newer);
    match (pending, changed) {
        (_, 1..) => Finding::bad(subject::SCHEMA, format!("{changed} files have changed since"))
            .with_remedy("run the version that applied them: `fusebox migrate status` names them"),
        (0, _) if newer > 0 => {
            Finding::good(subject::SCHEMA, format!("{newer} migrations newer than this program"))
        }
        (0, _) => Finding::good(subject::SCHEMA, format!("{} migrations applied", known.len())),
        (_, _) if config.database.migrate && found.may_create => {
            Finding::good(subject::SCHEMA, format!("{pending} missing, which the start applies"))
        }
        _ => {
            let missing = format!("{pending} of {} are missing", known.len());
            let missing = Finding::bad(subject::SCHEMA, missing);
            if found.may_create { missing } else { missing.with_remedy(granting(&found.user)) }
        }
    }
}

/// What gives this role what it lacks.
fn granting(role: &str) -> String {
    let is_plain = role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let quoted = format!("'{}'", role.replace('\'', "'\\''"));
    let word = if is_plain { role } else { &quoted };
    format!("run `fusebox migrate up --grant {word}` with the URL of the tables' owner")
}

fn privileges(config: &Config, found: &Findings) -> Finding {
    let schema = &config.database.schema;
    if !found.may_use {
        let detail = format!("{} may not use the schema {schema}, or it is not there", found.user);
        return Finding::bad(subject::PRIVILEGES, detail).with_remedy(granting(&found.user));
    }
    match found.forbidden.as_slice() {
        [] => Finding::good(subject::PRIVILEGES, format!("{} in schema {schema}", found.user)),
        tables => {
            let detail = format!("{} may not use as it must: {}", found.user, tables.join(", "));
            Finding::bad(subject::PRIVILEGES, detail).with_remedy(granting(&found.user))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
fn clocks(found: &Findings) -> Finding {
    let detail = format!("the database's is {:+.2} s from ours", found.ahead_us as f64 / 1e6);
    if found.ahead_us.abs() > FAR_APART_US {
        return Finding::doubtful(subject::CLOCK, detail);
    }
    Finding::good(subject::CLOCK, detail)
}
