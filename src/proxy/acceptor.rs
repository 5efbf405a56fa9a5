//! Unix sockets are accepted by one thread, which hands the connections out to all in turn.
//!
//! The kernel spreads the connections of a TCP port over the sockets that share it; a Unix socket
//! cannot be shared like that. If every thread accepted from the same one, each connection would
//! wake all of them, and the first one awake would empty the queue: of 64 callers who connect and
//! stay, as pools do, one of two threads then gets 58 to 64. Handed out in turn, each gets 32, and
//! the price is one message between threads per connection, not per call.
//!
//! A thread that is behind is passed over, so that it delays nobody else; what no thread takes
//! waits in the kernel.

use std::os::unix::net::UnixStream;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::entrance::{Accept, Entrance};

/// Connections that wait for one thread. Beyond, it is behind.
const WAITING: usize = 64;

/// A connection that was accepted, and its room.
pub(super) type Arrival = (UnixStream, OwnedSemaphorePermit);

/// The threads that take connections, and whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    threads: Vec<mpsc::Sender<Arrival>>,
    next: usize,
}

impl Turns {
    /// For so many threads, at least one; each takes its connections from one of the receivers.
    pub(super) fn new(threads: usize) -> (Self, Vec<mpsc::Receiver<Arrival>>) {
        let (threads, receivers) = (0..threads).map(|_| mpsc::channel(WAITING)).unzip();
        (Self { threads, next: 0 }, receivers)
    }

    /// Hands out every connection that comes in, until none can come any more.
    pub(super) async fn serve(mut self, mut entrance: Entrance<impl Accept<Caller = UnixStream>>) {
        while let Some(arrival) = entrance.next().await {
            self.hand_out(arrival).await;
        }
    }

    /// Hands a connection to the next thread that is not behind; if all are, to the one whose turn
    /// it is, when it can take it.
    async fn hand_out(&mut self, mut arrival: Arrival) {
        let (before, after) = self.threads.split_at(self.next);
        self.next = (self.next + 1) % self.threads.len();
        for thread in after.iter().chain(before) {
            match thread.try_send(arrival) {
                Ok(()) => return,
                Err(refused) => arrival = refused.into_inner(),
            }
        }
        // A thread that is gone has failed, and with it the process.
        let _gone = after[0].send(arrival).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::UnixStream,
        sync::Arc,
        task::{Context, Waker},
    };

    use tokio::sync::Semaphore;

    use super::{Arrival, Turns, WAITING};

    fn arrival() -> Arrival {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (UnixStream::pair().unwrap().0, room)
    }

    #[tokio::test]
    async fn threads_get_connections_in_turn() {
        let (mut turns, threads) = Turns::new(3);
        for _ in 0..64 {
            turns.hand_out(arrival()).await;
        }
        assert_eq!(threads.iter().map(|thread| thread.len()).collect::<Vec<_>>(), [22, 21, 21]);
    }

    #[tokio::test]
    async fn a_thread_that_is_behind_or_gone_delays_nobody() {
        let (mut turns, mut threads) = Turns::new(3);
        drop(threads.remove(1));
        let mut taken = 0;
        for _ in 0..4 * WAITING {
            turns.hand_out(arrival()).await;
            taken += usize::from(threads[1].try_recv().is_ok());
        }
        assert_eq!((threads[0].len(), threads[1].len()), (WAITING, 0));
        assert_eq!(taken, 3 * WAITING);
    }

    #[tokio::test]
    async fn when_all_are_behind_the_connection_waits_for_one() {
        let (mut turns, mut threads) = Turns::new(2);
        for _ in 0..2 * WAITING {
            turns.hand_out(arrival()).await;
        }
        let mut waiting = Box::pin(turns.hand_out(arrival()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        drop(threads[0].try_recv().unwrap());
        waiting.await;
        assert_eq!(threads[0].len(), WAITING);
    }
}
