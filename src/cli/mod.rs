//! The command line: one file per family of subcommands, each thin.

pub mod client;
pub mod exit;
pub mod healthcheck;
pub mod status;
