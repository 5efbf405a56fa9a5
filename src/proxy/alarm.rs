//! A timer that is set for every wait and nearly never rings.
//!
//! Limits are long and waits are short, so setting a timer anew for each costs more than it ever
//! saves. An alarm stays set for an earlier wait's deadline; when it rings too early for the wait
//! at hand, it is set again, and that is once per limit instead of once per wait.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

use crate::clock;

/// See the module docs. It belongs to one task: it wakes the one that polled it first.
#[derive(Debug)]
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// The timer is running and knows whom to wake, so there is no need to ask it.
    is_armed: bool,
    /// When it is to be heard.
    deadline: Instant,
}

impl Alarm {
    /// An alarm for this moment.
    pub(super) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline.into())), is_armed: false, deadline }
    }

    /// Is to be heard at this moment instead.
    pub(super) fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.sleep.deadline().into_std() {
            self.reset();
        }
    }

    /// Whether its moment has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_armed && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.is_armed = true;
            ready!(self.sleep.as_mut().poll(cx));
            if clock::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.is_armed = false;
        self.sleep.as_mut().reset(self.deadline.into());
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll(&mut self, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::Alarm;
    use crate::clock;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_moment_that_was_set_last() {
        for (first, last) in [(5, 5), (5, 9), (9, 5)] {
            let began = clock::now();
            let mut alarm = Alarm::new(began + first * SECOND);
            alarm.set(began + last * SECOND);
            alarm.await;
            let late = clock::now() - (began + last * SECOND);
            assert!(late <= Duration::from_millis(2), "{first} {last}: {late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_every_wait_that_takes_too_long() {
        let mut alarm = Alarm::new(clock::now() + 9 * SECOND);
        for limit in [5, 5, 2, 9, 2] {
            let began = clock::now();
            alarm.set(began + limit * SECOND);
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            let late = clock::now() - (began + limit * SECOND);
            assert!(late <= Duration::from_millis(2), "{limit}: {late:?}");
        }
    }
}
