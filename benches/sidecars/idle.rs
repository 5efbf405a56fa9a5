//! What a fleet costs the database while all is well.

use std::time::Duration;

use fusebox::clock;

use crate::{
    Result,
    counts::Asked,
    crowd::Crowd,
    lab::{Done, Lab},
    processes::{cpu_of_children, cpu_of_this},
};

/// How long it is left alone before it is looked at: longer than three heartbeats, and than the
/// connections of the start are kept.
const SETTLING: Duration = Duration::from_secs(45);

/// See the module's text.
pub(crate) struct Idle {
    pub(crate) span: Duration,
    pub(crate) asked: Asked,
    pub(crate) done: Done,
    pub(crate) pooler: Duration,
    pub(crate) sidecars: Duration,
}

pub(crate) async fn measure(lab: &Lab, crowd: &Crowd, span: Duration) -> Result<Idle> {
    lab.checkpoint().await?;
    crowd.live(SETTLING).await;
    let (began, asked, pooler, sidecars) =
        (clock::now(), lab.counts.asked(), cpu_of_children(), cpu_of_this());
    let done = lab.done().await?;
    crowd.live(span).await;
    Ok(Idle {
        done: lab.done().await?.since(&done),
        span: clock::now().duration_since(began),
        asked: lab.counts.asked().since(&asked),
        pooler: cpu_of_children().saturating_sub(pooler),
        sidecars: cpu_of_this().saturating_sub(sidecars),
    })
}

impl Idle {
    /// A share of one core, in percent.
    pub(crate) fn percent(&self, cpu: Duration) -> f64 {
        100.0 * cpu.as_secs_f64() / self.span.as_secs_f64()
    }
}
