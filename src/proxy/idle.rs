//! The bound on the wait for a body's next frame.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Sleep;

/// See the module's text. A body that is there already costs no timer.
#[derive(Debug)]
pub(super) struct Idle {
    timeout: Duration,
    /// Set while a frame is awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

/// No frame came in time.
#[derive(Debug)]
pub(super) struct TimedOut;

impl Idle {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { timeout, timer: None }
    }

    /// Passes on what came, or the news that nothing came in time.
    pub(super) fn watch<T>(
        &mut self,
        polled: Poll<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, TimedOut>> {
        if let Poll::Ready(frame) = polled {
            self.timer = None;
            return Poll::Ready(Ok(frame));
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(TimedOut))
    }
}
