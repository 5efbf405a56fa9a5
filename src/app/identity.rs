//! Who this process is: made at start, told in rows, votes, metrics and logs.

use std::time::Duration;

use crate::{
    aws::task::{self, Task},
    clock,
    config::{Config, Instance},
    domain::task::TaskId,
    history::journal::home::{Home, HomeError},
    store::{Found, Identity, Place},
};

/// How long the data directory may still be somebody else's.
const PATIENCE: Duration = Duration::from_secs(5);

/// The identity of this process start, and the data directory that it has made its own.
///
/// # Errors
/// The data directory is another process's, or damaged.
pub(super) fn establish(config: &Config) -> Result<(Identity, Home), HomeError> {
    let home = Home::claim_within(&config.data_dir, PATIENCE)?;
    let identity = Identity {
        namespace: config.namespace.clone(),
        service: config.service.clone(),
        version: config.version.clone(),
        instance: TaskId::mint(clock::wall_us(), fastrand::u128(..)).to_string(),
        journal_id: home.journal_id().to_owned(),
        display_name: config.instance.name.clone(),
        host: config.instance.host.clone(),
        zone: config.instance.zone.clone(),
        found: Found::default(),
    };
    Ok((identity, home))
}

/// Asks the platform once, where there is one to ask, which task this is. Nobody waits for it: until it
/// is known, and where it is not told, the names of the configuration count.
pub(super) fn find_out(config: &Config, identity: &Identity) {
    let Some(metadata) = config.database.aws.task_metadata.clone() else { return };
    let (instance, found) = (config.instance.clone(), identity.found.clone());
    tokio::spawn(async move {
        let told = match task::of(&metadata).await {
            Ok(told) => told,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "which task of ECS this is remains unknown");
                return;
            }
        };
        let (cluster, task, definition) = (&*told.cluster, &*told.id, &*told.definition);
        tracing::info!(cluster, task, definition, zone = told.zone, "this is a task of ECS");
        // It is set here alone.
        let _first = found.set(place(&instance, told));
    });
}

/// A name that a person has chosen stays.
fn place(instance: &Instance, told: Task) -> Place {
    let is_named = instance.name != instance.machine;
    Place {
        name: (!is_named).then(|| told.id.clone()),
        zone: told.zone,
        cluster: told.cluster,
        task: told.id,
        definition: told.definition,
    }
}

#[cfg(test)]
mod tests {
    use super::{Instance, Task, place};

    #[test]
    fn a_name_that_somebody_chose_stays() {
        let told = Task {
            cluster: "production".to_owned(),
            id: "158d1c80".to_owned(),
            definition: "orders:7".to_owned(),
            zone: Some("eu-central-1b".to_owned()),
        };
        let of = |name: &str| {
            let (machine, name) = ("ip-10-0-3-7".to_owned(), name.to_owned());
            place(&Instance { host: machine.clone(), machine, name, zone: None }, told.clone()).name
        };
        assert_eq!(of("ip-10-0-3-7").as_deref(), Some("158d1c80"));
        assert_eq!(of("orders-3"), None);
    }
}
