//! Who this process is: made at start, told in rows, votes and logs.

use std::time::Duration;

use crate::{
    clock,
    config::Config,
    domain::task::TaskId,
    history::journal::home::{Home, HomeError},
    store::Identity,
};

/// How long the data directory may still be somebody else's.
const PATIENCE: Duration = Duration::from_secs(5);

/// The identity of this process start, and the data directory that it has made its own.
///
/// # Errors
/// The data directory is another process's, or damaged.
pub(super) fn establish(config: &Config, host_name: &str) -> Result<(Identity, Home), HomeError> {
    let home = Home::claim_within(&config.data_dir, PATIENCE)?;
    let identity = Identity {
        namespace: config.namespace.clone(),
        service: config.service.clone(),
        version: config.version.clone(),
        instance: TaskId::mint(clock::wall_us(), fastrand::u128(..)).to_string(),
        journal_id: home.journal_id().to_owned(),
        display_name: host_name.to_owned(),
    };
    Ok((identity, home))
}
