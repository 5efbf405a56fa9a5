//! The sockets of listeners, as the threads get them.

use std::{net::TcpListener, os::unix::net::UnixListener, sync::Arc};

use tokio::sync::{Semaphore, mpsc};

use super::{
    acceptor::{Arrival, Turns},
    socket::{SocketFile, Sockets},
};
use crate::config::{Listen, Listener};

/// Where connections of a listener come in to one thread.
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) way: Way,
}

/// How they come in.
pub(super) enum Way {
    /// Through a socket of the thread's own, while there is room over all threads.
    Tcp(TcpListener, Arc<Semaphore>),
    /// From the thread that accepts.
    Unix(mpsc::Receiver<Arrival>),
}

/// A Unix socket, room for its connections over all threads, and who takes them.
pub(super) struct Accepting {
    pub(super) listener: Listener,
    pub(super) socket: UnixListener,
    pub(super) room: Arc<Semaphore>,
    pub(super) turns: Turns,
}

/// A listener that has been opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) listener: Listener,
    /// Where it really is.
    pub(super) place: Option<Listen>,
    /// Room for its connections.
    pub(super) room: Arc<Semaphore>,
    /// Removed with this value.
    pub(super) _file: Option<SocketFile>,
}

/// The sockets of some listeners.
pub(super) struct Doors {
    pub(super) by_thread: Vec<Vec<Door>>,
    /// For the first thread.
    pub(super) accepting: Vec<Accepting>,
    pub(super) opened: Vec<Opened>,
}

impl Doors {
    pub(super) fn open(sockets: Vec<(Listener, Sockets)>, workers: usize) -> Self {
        let by_thread = (0..workers).map(|_| Vec::new()).collect();
        let mut doors = Self { by_thread, accepting: Vec::new(), opened: Vec::new() };
        for (listener, sockets) in sockets {
            let room = Arc::new(Semaphore::new(listener.limits.connections.get()));
            let place = sockets.place();
            let (ways, file): (Vec<Way>, _) = match sockets {
                Sockets::Tcp(sockets) => {
                    let way = |socket| Way::Tcp(socket, Arc::clone(&room));
                    (sockets.into_iter().map(way).collect(), None)
                }
                Sockets::Unix(socket, file) => {
                    let (turns, arrivals) = Turns::new(workers);
                    let (listener, room) = (listener.clone(), Arc::clone(&room));
                    doors.accepting.push(Accepting { listener, socket, room, turns });
                    (arrivals.into_iter().map(Way::Unix).collect(), Some(file))
                }
            };
            for (doors, way) in doors.by_thread.iter_mut().zip(ways) {
                doors.push(Door { listener: listener.clone(), way });
            }
            doors.opened.push(Opened { listener, place, room, _file: file });
        }
        doors
    }
}
