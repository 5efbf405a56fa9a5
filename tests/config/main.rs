//! The configuration from the outside: files with their problems, variables, flags.
//!
//! `tests/data/config/*.yaml` are files, each with the report that it must get beside it
//! (`*.txt`). `UPDATE_EXPECT=1 cargo test --test config` writes the reports anew; read them then.

mod bounds;
mod data;
mod defaults;
mod fallback;
mod flags;
mod guide;
mod properties;
mod schema;
mod shipped;
mod variables;

use std::path::Path;

use fusebox::config::{Environment, Loaded, Problems, Source, load};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let environment = Environment::new(variables.iter().copied(), "host");
    load(&Source { name: "fusebox.yaml".to_owned(), text: text.to_owned() }, &environment)
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Problems {
    read(text, variables).expect_err("problems")
}

/// A configuration with everything that must be there, and what a test adds to its end.
fn with(more: &str) -> String {
    format!("{MINIMAL}{more}")
}

const MINIMAL: &str = "\
listeners:
  egress: { listen: \"127.0.0.1:8080\", upstream: payments }
upstreams:
  payments: { endpoints: [http://payments] }
";
