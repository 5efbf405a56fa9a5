//! The news that the plane is closing, for each connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::watch;

use super::plane::Phase;

/// See the module's text.
pub(super) struct Closing {
    phase: watch::Receiver<Phase>,
    /// None once it has come.
    news: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The task is woken when the phase changes, so there is no need to ask for every call.
    is_awaited: bool,
}

impl Closing {
    pub(super) fn new(phase: watch::Receiver<Phase>) -> Self {
        let mut watched = phase.clone();
        let news = Box::pin(async move {
            // An error means that the plane is gone, which is as good as closing.
            let _closing_or_gone = watched.wait_for(|phase| *phase == Phase::Closing).await;
        });
        Self { phase, news: Some(news), is_awaited: false }
    }

    /// Whether it has come. Ready once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_awaited && !self.phase.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        self.is_awaited = true;
        let Some(news) = &mut self.news else { return Poll::Pending };
        ready!(news.as_mut().poll(cx));
        self.news = None;
        Poll::Ready(())
    }
}
