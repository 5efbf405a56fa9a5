//! What one poll and one heartbeat cost the server, asked for one after the other.

use std::time::Duration;

use crate::{Result, lab::Lab};

const POLLS: u32 = 4_000;
const BEATS: u32 = 2_000;
/// Sidecars that ask.
const STORES: usize = 20;
/// As if the last transition were long ago.
const CLOSED_WITHIN: Duration = Duration::ZERO;

/// CPU time of the server's processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    pub(crate) poll: Duration,
    pub(crate) beat: Duration,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Prices> {
    let stores = (0..STORES).map(|number| lab.direct_store(number)).collect::<Result<Vec<_>>>()?;
    let presence = lab.counts.presence().ok_or("no heart has beaten")?;
    let before = lab.done().await?;
    for (_, store) in (0..POLLS).zip(stores.iter().cycle()) {
        store.breakers(CLOSED_WITHIN).await?;
    }
    let between = lab.done().await?;
    for (_, store) in (0..BEATS).zip(stores.iter().cycle()) {
        store.heartbeat(&presence).await?;
    }
    let after = lab.done().await?;
    Ok(Prices { poll: between.since(&before).cpu / POLLS, beat: after.since(&between).cpu / BEATS })
}
