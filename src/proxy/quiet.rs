//! Whether the service beside us still makes calls, while both are asked to stop.
//!
//! Nobody tells when the service is done. Where it is stopped first, as ECS does by `dependsOn`, it
//! is gone already; where all are told at the same time, it ends its work with calls through us. A
//! call that it gets through us and has not answered yet counts too: it may need others for it.

use std::time::Duration;

use super::plane::TrafficBoard;
use crate::{clock, domain::outcome::Outcome, telemetry::traffic::Traffic};

/// How often the calls are counted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Calls of all upstreams.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Calls {
    in_flight: u64,
    over: u64,
}

impl Calls {
    fn of(board: &TrafficBoard) -> Self {
        let over = |traffic: &Traffic| -> u64 {
            let outcomes: [(Outcome, u64); _] = traffic.outcomes();
            outcomes.iter().map(|(_, calls)| calls).sum()
        };
        Self {
            in_flight: board.values().map(|traffic| traffic.in_flight()).sum(),
            over: board.values().map(|traffic| over(traffic)).sum(),
        }
    }
}

/// Waits until no call has been under way for `quiet`; not at all where that is zero.
pub(super) async fn wait(board: &TrafficBoard, quiet: Duration) {
    let (mut before, mut since) = (Calls::of(board), clock::now());
    while clock::now() - since < quiet {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = Calls::of(board);
        if now.in_flight > 0 || now != before {
            since = clock::now();
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::sleep;

    use super::{TrafficBoard, wait};
    use crate::{clock, history::samples, telemetry::traffic::Traffic};

    const QUIET: Duration = Duration::from_secs(5);

    fn upstreams() -> (TrafficBoard, [Arc<Traffic>; 2]) {
        let traffic = [(); 2].map(|()| Arc::new(Traffic::new(clock::now())));
        let [orders, payments] = traffic.clone();
        ([(Arc::from("orders"), orders), (Arc::from("payments"), payments)].into(), traffic)
    }

    /// How long the wait takes while this goes on beside it, in whole seconds.
    async fn waits_beside(board: &TrafficBoard, quiet: Duration, life: impl Future) -> u64 {
        let began = clock::now();
        let (waited, _) = tokio::join!(
            async {
                wait(board, quiet).await;
                clock::now() - began
            },
            life
        );
        waited.as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn without_calls_it_takes_as_long_as_it_says() {
        let (board, _) = upstreams();
        assert_eq!(waits_beside(&board, QUIET, async {}).await, 5);
        assert_eq!(waits_beside(&board, Duration::ZERO, async {}).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_holds_it_up_however_long_and_whomever_it_is_to() {
        let (board, [orders, payments]) = upstreams();
        orders.begin();
        let life = async {
            sleep(Duration::from_secs(60)).await;
            payments.begin();
            orders.end();
            sleep(Duration::from_secs(60)).await;
            payments.end();
        };
        assert_eq!(waits_beside(&board, QUIET, life).await, 125);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_are_over_between_two_looks_hold_it_up_too() {
        let (board, [orders, _]) = upstreams();
        let call = samples::refused(&samples::site("orders"));
        let life = async {
            for _ in 0..10 {
                sleep(QUIET - Duration::from_secs(1)).await;
                orders.count(&call, clock::now());
            }
        };
        assert_eq!(waits_beside(&board, QUIET, life).await, 45);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_wait_for_calls_where_it_is_turned_off() {
        let (board, [orders, _]) = upstreams();
        orders.begin();
        assert_eq!(waits_beside(&board, Duration::ZERO, async {}).await, 0);
    }
}
