//! How long a call waits for its upstream.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{alarm::Alarm, upload::Upload};
use crate::{breakers::Admission, clock, config::Timeouts, domain::outcome::Reason};

/// How long one call waits for its upstream.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    pub(super) timeouts: &'a Timeouts,
    /// When the sending began.
    pub(super) began: Instant,
    /// How long the first byte is waited for.
    pub(super) first_byte: Duration,
    /// When the attempt's time is over.
    pub(super) deadline: Instant,
    /// Why, when it is.
    pub(super) late: Reason,
    /// The connection's, borrowed while it is polled only.
    pub(super) alarm: &'a RefCell<Alarm>,
    /// Who wants to know of a long wait.
    pub(super) watched: Watched<'a>,
}

/// Who wants to know that an attempt waits for long, and after how long. Borrowed to tell it only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched<'a>(pub(super) Option<(Duration, &'a RefCell<Admission>)>);

impl Patience<'_> {
    /// Waits for the response head: until the deadline, and for `first_byte` from when the sending
    /// began, or from when the caller's body has been sent. Long waits are told in between.
    pub(super) async fn wait<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = T>>,
        upload: &Upload,
    ) -> Result<T, Reason> {
        let first_byte = self.first_byte;
        let mut look = self.watched.0.map_or(first_byte, |(look, _)| look.min(first_byte));
        let mut now = self.began;
        loop {
            // While the caller is still sending, look again later: its own idle limit is watching.
            let since = upload.done_at.get().unwrap_or(now).max(self.began);
            let until = (since + look).min(self.deadline);
            if let Some(head) = self.before(until, sending.as_mut()).await {
                return Ok(head);
            }
            now = clock::now();
            if now >= self.deadline {
                return Err(upload.or_caller(self.late));
            }
            let Some(done) = upload.done_at.get() else { continue };
            let waited = now.saturating_duration_since(done.max(self.began));
            if waited >= first_byte {
                return Err(Reason::TimeoutFirstByte);
            }
            if waited >= look {
                look = self.watched.tell(waited, now).map_or(first_byte, |at| at.min(first_byte));
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

impl Watched<'_> {
    /// An attempt has waited for so long. After how long that is to be told again.
    fn tell(self, waited: Duration, now: Instant) -> Option<Duration> {
        self.0?.1.borrow_mut().waits(waited, now)
    }
}

#[cfg(test)]
mod tests {
    use super::{Alarm, Patience, Upload, Watched};
    use crate::{
        clock,
        config::{self, Timeouts},
        domain::outcome::Reason,
    };
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
            learned: config::LearnedTimeout::default(),
        };
        upload.done_at.set(Some(asked));
        tokio::time::advance(10 * SECOND).await;
        let (began, deadline) = (clock::now(), asked + 60 * SECOND);
        let late = Reason::TimeoutTotal;
        let (first_byte, timeouts) = (timeouts.first_byte, &timeouts);
        let (alarm, watched) = (&alarm, Watched(None));
        let patience = Patience { timeouts, began, first_byte, deadline, late, alarm, watched };
        let waited = patience.wait(pin!(pending::<()>()), &upload).await;
        assert_eq!(waited, Err(Reason::TimeoutFirstByte));
        let late = clock::now() - (asked + 12 * SECOND);
        assert!(late <= Duration::from_millis(2), "{late:?}");
    }
}
