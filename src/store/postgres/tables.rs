//! The schema that the tables live in, and statements that name it.

use std::borrow::Cow;

use crate::store::Error;

/// Names tables together with their schema. A `search_path` would not do: behind a pooler the next
/// statement may run on another connection, and some proxies refuse to set it at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables {
    schema: String,
}

impl Tables {
    /// Takes a schema's name that needs no quoting.
    pub(super) fn new(schema: &str) -> Result<Self, Error> {
        let mut letters = schema.bytes();
        let begins = letters.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        let goes_on = letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if begins && goes_on && schema.len() <= MAX_IDENTIFIER {
            return Ok(Self { schema: schema.to_owned() });
        }
        Err(Error::Refused(Box::new(BadSchema(schema.to_owned()))))
    }

    /// The schema's name.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// A statement in which every `@` before a name becomes the schema.
    pub(super) fn name<'a>(&self, statement: impl Into<Cow<'a, str>>) -> String {
        statement.into().replace('@', &format!("{}.", self.schema))
    }
}

/// The longest name that Postgres keeps whole, in bytes.
pub(super) const MAX_IDENTIFIER: usize = 63;

/// A schema's name that would need quoting.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` cannot be used as a schema: at most 63 lower-case letters, digits and underscores, not \
     beginning with a digit"
)]
struct BadSchema(String);

#[cfg(test)]
mod tests {
    use super::Tables;

    #[test]
    fn statements_name_the_schema() {
        let tables = Tables::new("fuse_1").unwrap();
        assert_eq!(tables.name("select from @a, @b"), "select from fuse_1.a, fuse_1.b");
    }

    #[test]
    fn a_schema_that_would_need_quoting_is_refused() {
        for bad in ["", "1a", "Public", "a b", "a;drop", "a\"", "a.b", &"a".repeat(64)] {
            assert!(Tables::new(bad).is_err(), "{bad}");
        }
    }
}
