//! What an error of Postgres means for its caller.

use std::error::Error as StdError;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::{BoxError, Error};

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match meaning(&error) {
            Meaning::Unavailable => Self::Unavailable(error.into()),
            Meaning::Refused => Self::Refused(error.into()),
            Meaning::BadData => Self::BadData(error.into()),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(cause) => cause.into(),
            other => Self::Unavailable(other.into()),
        }
    }
}

impl Error {
    /// The error of a statement that took too long.
    pub(super) fn too_slow() -> Self {
        Self::Unavailable(BoxError::from("no answer in time"))
    }

    /// What the server said, where it said something.
    pub(super) fn of_the_server(&self) -> Option<&DbError> {
        let (Self::Unavailable(cause) | Self::Refused(cause) | Self::BadData(cause)) = self else {
            return None;
        };
        cause.downcast_ref::<tokio_postgres::Error>()?.as_db_error()
    }
}

enum Meaning {
    Unavailable,
    Refused,
    BadData,
}

fn meaning(error: &tokio_postgres::Error) -> Meaning {
    match error.code() {
        Some(state) => meaning_of_state(state),
        None if is_distrust(error) => Meaning::Refused,
        None => Meaning::Unavailable,
    }
}

/// By the class of the SQLSTATE. What is not listed may pass: trying again costs little, giving up
/// on a healthy server costs the rows.
fn meaning_of_state(state: &SqlState) -> Meaning {
    match state.code() {
        // The writable server has moved, and the next connection finds it; or this process stood
        // still for so long that the server ended its transaction.
        "25006" | "25P03" | "25P04" => return Meaning::Unavailable,
        _ => {}
    }
    match state.code().get(..2) {
        // Not authorised, no such database or schema, syntax or privilege, not supported, raised.
        Some("0A" | "25" | "28" | "3D" | "3F" | "42" | "P0") => Meaning::Refused,
        // A value, a constraint, a limit of the program.
        Some("22" | "23" | "54") => Meaning::BadData,
        _ => Meaning::Unavailable,
    }
}

/// Whether TLS failed for a reason that stays: a certificate, a name, a server without TLS.
fn is_distrust(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        let io = inner.downcast_ref::<std::io::Error>();
        if io.and_then(std::io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = inner.source();
    }
    error.source().is_some_and(|cause| cause.to_string() == "server does not support TLS")
}

#[cfg(test)]
mod tests {
    use super::{Meaning, meaning_of_state};
    use tokio_postgres::error::SqlState;

    #[test]
    fn what_passes_by_itself_needs_no_person_and_costs_no_row() {
        for (codes, expected) in [
            (&["08006", "53300", "57P01", "57014", "40P01", "55P03"][..], "away"),
            (&["25006", "25P03", "25P04"], "away"),
            (&["28P01", "3D000", "42501", "42P01", "25P02"], "refused"),
            (&["22021", "23514", "54000"], "bad data"),
        ] {
            for code in codes {
                let meaning = match meaning_of_state(&SqlState::from_code(code)) {
                    Meaning::Unavailable => "away",
                    Meaning::Refused => "refused",
                    Meaning::BadData => "bad data",
                };
                assert_eq!(meaning, expected, "{code}");
            }
        }
    }
}
