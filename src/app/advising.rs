//! What is recommended for tasks, brought to where answers are given.
//!
//! Evidence grows by a day at a time, so that it is worked out anew a few times an hour, and at once
//! under another configuration. While the store is away what was known last goes on being told.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::time::sleep;

use crate::{
    clock,
    domain::{units::Percent, wait::spread},
    learning::Advisor,
    proxy::plane::{Advised, Captures},
    store::Error,
};

/// How often it is looked whether there is anything to do.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often it is worked out.
const WORK_OUT_EVERY: Duration = Duration::from_secs(600);

/// How often while there is nothing to tell.
const NOTHING_EVERY: Duration = Duration::from_secs(60);

/// How far apart instances that started together drift: 50 %.
const JITTER: Option<Percent> = Percent::from_basis_points(5_000);

/// Goes on telling what is recommended under the current configuration.
pub(super) async fn forever(
    current: impl Fn() -> Arc<Captures>,
    advisor: Arc<Advisor>,
) -> Infallible {
    let mut done: Option<(Arc<Captures>, std::time::Instant)> = None;
    loop {
        let captures = current();
        let is_done = done
            .as_ref()
            .is_some_and(|(of, until)| Arc::ptr_eq(of, &captures) && clock::now() < *until);
        if !is_done && !captures.advice().advised().is_empty() {
            match work_out(&captures, &advisor).await {
                Ok(told) => {
                    let every = if told > 0 { WORK_OUT_EVERY } else { NOTHING_EVERY };
                    let again = spread(every, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..));
                    done = Some((captures, clock::now() + again));
                }
                // An outage is the writer's to tell.
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no advice for now");
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Works it out, and says of how many operations there is something to tell.
async fn work_out(captures: &Captures, advisor: &Advisor) -> Result<usize, Error> {
    let advice = captures.advice();
    let mut all = Vec::new();
    for (operation, _) in advisor.operations().await? {
        let is_told = |of: &&Advised| of.holds(&operation.domain, &operation.action);
        let Some(advised) = advice.advised().iter().find(is_told) else { continue };
        let report = advisor.report(&operation, advised.goal()).await?;
        let field = report.advice.as_ref().and_then(|advice| advice.to_field());
        let value = field.and_then(|field| HeaderValue::try_from(field).ok());
        all.extend(value.map(|value| (operation.domain, operation.action, value)));
    }
    let told = all.len();
    advice.put(all);
    Ok(told)
}
