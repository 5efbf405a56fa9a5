//! The rights of the role that Fusebox runs as, where that is not the owner of the tables: what
//! `migrations/grants.sql` grants by psql, in the program's own words.

/// The file, written for psql.
const FILE: &str = include_str!("../../migrations/grants.sql");

/// The part that is for Fusebox, not for people who ask.
const BEGIN: &str = "\n\\if :{?role}\ngrant";
const END: &str = "\\endif";

/// The statements that grant this role what it needs in this schema, which is a plain identifier.
pub(super) fn statements(schema: &str, role: &str) -> String {
    let part = FILE.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (part, _) = part.unwrap_or_default();
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    // The schema first: a role may be called as it likes.
    let part = part.replace(":\"schema\"", &quoted(schema)).replace(":\"role\"", &quoted(role));
    format!("set local search_path = {}; grant{part}", quoted(schema))
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn all_that_the_file_grants_to_fusebox_is_granted_and_nothing_else() {
        let text = statements("public", "fuse\"box");
        assert_eq!(text.matches("to \"fuse\"\"box\";").count(), 8, "{text}");
        assert!(text.starts_with("set local search_path = \"public\"; grant usage on schema"));
        for odd in ["\\", ":\"", "analyst"] {
            assert!(!text.contains(odd), "{odd} in {text}");
        }
    }
}
