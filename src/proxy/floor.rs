//! The listeners of all threads together, and how threads are told of another configuration.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, mpsc};

use super::{
    doors::{Doors, Opened},
    halls::Update,
    plane::Shared,
    socket::Sockets,
};
use crate::config::{Config, Listen, Listener};

/// See the module docs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Floor {
    threads: Vec<mpsc::Sender<Update>>,
    /// Locked for the time of a look.
    opened: Arc<Mutex<Vec<Opened>>>,
}

impl Floor {
    pub(super) fn new(threads: Vec<mpsc::Sender<Update>>, opened: Vec<Opened>) -> Self {
        Self { threads, opened: Arc::new(Mutex::new(opened)) }
    }

    /// Where callers come in: name and the address that was really bound.
    pub fn places(&self) -> Vec<(String, Listen)> {
        let opened = self.opened();
        let place = |one: &Opened| Some((one.listener.name.clone(), one.place.clone()?));
        opened.iter().filter_map(place).collect()
    }

    /// The listeners of a configuration that are to be opened.
    pub fn missing(&self, config: &Config) -> Vec<Listener> {
        let opened = self.opened();
        let is_open =
            |listener: &&Listener| opened.iter().any(|one| one.listener.is_where(listener));
        config.listeners.iter().filter(|listener| !is_open(listener)).cloned().collect()
    }

    /// Opens sockets for such a listener.
    ///
    /// # Errors
    /// The address or the path is taken, or not ours.
    pub fn open(&self, listener: &Listener) -> std::io::Result<Sockets> {
        Sockets::open(&listener.listen, self.threads.len())
    }

    /// Has all threads take over another configuration, for which these listeners were opened; those
    /// that it has not are closed. It is done when this returns: every call that begins later sees
    /// it.
    pub async fn renew(&self, shared: &Shared, sockets: Vec<(Listener, Sockets)>) {
        let Doors { by_thread, mut accepting, opened } = Doors::open(sockets, self.threads.len());
        self.note(&shared.config, opened);
        let (done, mut all_done) = mpsc::channel(1);
        for (thread, doors) in self.threads.iter().zip(by_thread) {
            let update = Update {
                shared: shared.clone(),
                doors,
                // The first one accepts for all.
                accepting: std::mem::take(&mut accepting),
                done: done.clone(),
            };
            // A thread that is gone has failed, and with it the process.
            let _gone = thread.send(update).await;
        }
        drop(done);
        // Nothing is ever sent: it ends when all have dropped theirs.
        let _none = all_done.recv().await;
    }

    fn note(&self, config: &Config, more: Vec<Opened>) {
        let mut all = self.opened();
        let now = |listener: &Listener| config.listeners.iter().find(|it| it.is_where(listener));
        all.retain_mut(|one| {
            let Some(listener) = now(&one.listener) else { return false };
            let before = std::mem::replace(&mut one.listener, listener.clone());
            resize(&one.room, before.limits.connections, listener.limits.connections);
            true
        });
        all.extend(more);
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for more connections, or for fewer as soon as enough have ended: until then nobody
/// comes in.
fn resize(room: &Arc<Semaphore>, before: NonZeroUsize, now: NonZeroUsize) {
    room.add_permits(now.get().saturating_sub(before.get()));
    let fewer = before.get().saturating_sub(now.get());
    if let Some(fewer) = u32::try_from(fewer).ok().filter(|fewer| *fewer > 0) {
        let leaving = Arc::clone(room).acquire_many_owned(fewer);
        // The room is never closed.
        tokio::spawn(async move { leaving.await.map(|permits| permits.forget()) });
    }
}
