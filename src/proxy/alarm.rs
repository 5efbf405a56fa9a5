//! A timer that is set for every call and nearly never rings.
//!
//! Timeouts of calls are long and calls are short, so setting a timer anew for each costs more than
//! it ever saves. An alarm stays set for an earlier call's deadline; when it rings too early for the
//! call at hand, it is set again, and that is once per timeout instead of once per call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use hyper::rt::{self, Timer};
use tokio::time::{Sleep, sleep_until};

use crate::clock;

/// See the module docs.
#[derive(Debug)]
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it is to be heard.
    deadline: Instant,
}

impl Alarm {
    /// An alarm for this moment.
    pub(super) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline.into())), deadline }
    }

    /// Is to be heard at this moment instead.
    pub(super) fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(deadline.into());
        }
    }

    /// Whether its moment has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if clock::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.deadline.into());
        }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll(&mut self, cx)
    }
}

impl rt::Sleep for Alarm {}

/// Gives hyper alarms for its own timeouts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarms;

impl Timer for Alarms {
    fn sleep(&self, duration: std::time::Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Alarm::new(clock::now() + duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Alarm::new(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Alarm>() {
            Some(alarm) => alarm.get_mut().set(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }

    fn now(&self) -> Instant {
        clock::now()
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
}
