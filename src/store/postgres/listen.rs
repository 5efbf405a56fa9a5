//! Hints that shared state changed, by LISTEN and NOTIFY.
//!
//! A pooler in transaction mode answers LISTEN as if all were well and then delivers nothing, so
//! each subscription proves itself: a word sent over another connection must arrive.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    sync::{broadcast, mpsc},
    time::timeout,
};
use tokio_postgres::{Notification, types::Type};

use super::{
    Postgres,
    state::{LIMIT, Param},
    tables::MAX_IDENTIFIER,
};
use crate::store::{Error, Hints};

/// The channel of a namespace. A long name is cut: two namespaces that then share one only look
/// once too often.
pub(super) fn channel(namespace: &str) -> String {
    let mut name = format!("fusebox_{namespace}");
    let end = (0..=MAX_IDENTIFIER.min(name.len())).rev().find(|&at| name.is_char_boundary(at));
    name.truncate(end.unwrap_or(0));
    name
}

pub(super) async fn subscribe(store: &Postgres) -> Result<Option<Hints>, Error> {
    let channel = channel(&store.identity.namespace);
    let listen = format!("listen \"{}\"", channel.replace('"', "\"\""));
    // On a connection that nobody else uses until the word is there. A pooler hands a word on to whoever
    // has the server's connection just then, so one that is in use may get its own by chance; and who
    // looks at the breakers is not to wait for a word that may never come.
    let lease = store.sync.another().await?;
    let Some(mut notices) = lease.link()?.notices() else {
        return Err(Error::too_slow());
    };
    lease.within(LIMIT, |db| db.batch_execute(&listen)).await?;
    let nonce = format!("{TEST}{}-{:016x}", store.identity.instance, fastrand::u64(..));
    let params: [Param<'_>; 2] = [(&channel, Type::TEXT), (&nonce, Type::TEXT)];
    store.reads.query("select pg_notify($1, $2)", &params).await?;
    let has_arrived = matches!(timeout(SELF_TEST, arrives(&mut notices, &nonce)).await, Ok(true));
    let was_deaf = store.is_deaf.swap(!has_arrived, Ordering::Relaxed);
    if !has_arrived {
        // The one in use stays. Another may be better, should somebody try again.
        if !was_deaf {
            tracing::warn!("notifications do not come through, is there a pooler in between?");
        }
        return Ok(None);
    }
    store.sync.replace(lease).await;
    let (hint, hints) = mpsc::channel(1);
    tokio::spawn(forward(notices, hint));
    Ok(Some(hints))
}

/// Waits for the word. False when the connection ends first.
async fn arrives(notices: &mut broadcast::Receiver<Notification>, nonce: &str) -> bool {
    loop {
        match notices.recv().await {
            Ok(notice) if notice.payload() == nonce => return true,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return false,
        }
    }
}

/// Passes notices on as hints until the connection or the reader is gone.
async fn forward(mut notices: broadcast::Receiver<Notification>, hint: mpsc::Sender<()>) {
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            () = hint.closed() => return,
        };
        match notice {
            Err(broadcast::error::RecvError::Closed) => return,
            // Another tests its line: after a failover they all do at once.
            Ok(notice) if notice.payload().starts_with(TEST) => continue,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
        }
        // A full channel holds a hint that was not read yet, and that one covers this.
        hint.try_send(()).ok();
    }
}

/// What the word begins with, and no breaker's key.
const TEST: &str = "\u{1f}test ";

/// How long the word may take.
const SELF_TEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::channel;

    #[test]
    fn a_channel_fits_into_an_identifier() {
        assert_eq!(channel("production"), "fusebox_production");
        assert_eq!(channel(&"x".repeat(100)).len(), 63);
        assert_eq!(channel(&"ä".repeat(100)).len(), 62);
    }
}
