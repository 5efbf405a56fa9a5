//! A database of one's own, and what is in it.

use super::fusebox::PATIENCE;
use crate::{local::wait_until, postgres::Server};

/// An empty database on the server that all tests share, or on one that a test may stop.
pub(crate) struct Database<'a> {
    server: &'a Server,
    /// For Fusebox.
    pub(crate) url: String,
}

impl Database<'static> {
    /// On the shared server.
    pub(crate) fn new() -> Self {
        Database::on(Server::shared())
    }
}

impl<'a> Database<'a> {
    /// On this server.
    pub(crate) fn on(server: &'a Server) -> Self {
        Self { server, url: server.database() }
    }

    /// What a query prints: bare values, a row a line.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.server.psql(self.name(), &["-c", sql])
    }

    /// Waits until a query prints this; a table that is not there yet is waited for too.
    pub(crate) fn wait_for(&self, sql: &str, expected: &str) {
        let is_there = "select to_regclass('task_history') is not null";
        let mut last = String::new();
        wait_until(&format!("{sql} prints {expected}"), PATIENCE, || {
            if self.query(is_there) != "t" {
                return None;
            }
            let printed = self.query(sql);
            if printed != last {
                // Shown by the test runner if the wait fails.
                eprintln!("{sql}: {printed}");
                printed.clone_into(&mut last);
            }
            (printed == expected).then_some(())
        });
    }

    fn name(&self) -> &str {
        let path = self.url.rsplit('/').next().unwrap_or_default();
        path.split('?').next().unwrap_or_default()
    }
}
