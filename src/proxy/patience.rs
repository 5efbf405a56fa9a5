//! How long a call waits for its upstream.

use std::{cell::RefCell, future::poll_fn, pin::Pin, task::Poll, time::Instant};

use tokio::time::timeout_at;

use super::{alarm::Alarm, upload::Upload};
use crate::{clock, config, domain::outcome::Reason};

/// How long one call waits for its upstream.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    pub(super) timeouts: &'a config::Timeouts,
    /// When the sending began.
    pub(super) began: Instant,
    /// When the attempt's time is over.
    pub(super) deadline: Instant,
    /// Why, when it is.
    pub(super) late: Reason,
    /// The connection's, borrowed while it is polled only.
    pub(super) alarm: &'a RefCell<Alarm>,
}

impl Patience<'_> {
    /// Waits for the response head: until the deadline, and for `first_byte` from when the sending
    /// began, or from when the caller's body has been sent.
    pub(super) async fn wait<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = T>>,
        upload: &Upload,
    ) -> Result<T, Reason> {
        let first_byte_after = |moment: Instant| moment.max(self.began) + self.timeouts.first_byte;
        let mut now = self.began;
        loop {
            // While the caller is still sending, look again later: its own idle limit is watching.
            let until = first_byte_after(upload.done_at.get().unwrap_or(now)).min(self.deadline);
            if let Some(head) = self.before(until, sending.as_mut()).await {
                return Ok(head);
            }
            now = clock::now();
            if now >= self.deadline {
                return Err(upload.or_caller(self.late));
            }
            if upload.done_at.get().is_some_and(|done| now >= first_byte_after(done)) {
                return Err(Reason::TimeoutFirstByte);
            }
        }
    }

    /// Waits for a connection: for `connect`, and no longer than until the deadline.
    pub(super) async fn connect<T>(
        &self,
        making: impl Future<Output = Result<T, Reason>>,
    ) -> Result<T, Reason> {
        let until = self.connect_until();
        let reason = if until < self.deadline { Reason::ConnectTimeout } else { self.late };
        timeout_at(until.into(), making).await.map_err(|_| reason)?
    }

    /// When there must be a connection.
    pub(super) fn connect_until(&self) -> Instant {
        (self.began + self.timeouts.connect).min(self.deadline)
    }

    /// What the future says, or none when the moment comes first.
    async fn before<T>(
        &self,
        moment: Instant,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        self.alarm.borrow_mut().set(moment);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.alarm.borrow_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{Alarm, Patience, Upload};
    use crate::{clock, config::Timeouts, domain::outcome::Reason};
    use std::{cell::RefCell, future::pending, pin::pin, time::Duration};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_first_byte_begins_when_the_connection_is_there() {
        let (upload, asked) = (Upload::default(), clock::now());
        let alarm = RefCell::new(Alarm::new(asked));
        let timeouts = Timeouts {
            connect: SECOND,
            first_byte: 2 * SECOND,
            total: 60 * SECOND,
            body_idle: SECOND,
            attempt: None,
            tunnel_idle: SECOND,
        };
        upload.done_at.set(Some(asked));
        tokio::time::advance(10 * SECOND).await;
        let (began, deadline) = (clock::now(), asked + 60 * SECOND);
        let late = Reason::TimeoutTotal;
        let patience = Patience { timeouts: &timeouts, began, deadline, late, alarm: &alarm };
        let waited = patience.wait(pin!(pending::<()>()), &upload).await;
        assert_eq!(waited, Err(Reason::TimeoutFirstByte));
        let late = clock::now() - (asked + 12 * SECOND);
        assert!(late <= Duration::from_millis(2), "{late:?}");
    }
}
