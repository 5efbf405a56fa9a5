//! What people call the instances: the id of a start says nothing to them.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::{Postgres, state::Param};
use crate::store::Error;

/// Names at most, those that live before others; further instances are told by their ids.
const MOST: i64 = 10_000;

/// Display names by the id of a start: of those that live, and of those before as long as there are
/// rows of them.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Reads them.
    pub(super) async fn read(store: &Postgres) -> Result<Self, Error> {
        let statement = store.tables.name(
            "select instance, display_name from @sidecar_identity
            where namespace = $1 and display_name <> ''
            order by ended_at desc nulls first limit $2",
        );
        let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&MOST, Type::INT8)];
        let rows = store.reads.query(&statement, &params).await?;
        Ok(Self(rows.iter().map(|row| (row.get(0), row.get(1))).collect()))
    }

    /// The name of an instance, or its id where it has none. Starts of the same name are one to people.
    pub(super) fn of<'a>(&'a self, instance: &'a str) -> &'a str {
        self.0.get(instance).map_or(instance, String::as_str)
    }
}
