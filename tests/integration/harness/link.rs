//! A link that can break: a TCP relay in front of Postgres that can be cut or paused.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use crate::local::free_address;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything passes.
    Whole,
    /// Connections are accepted, and nothing passes: what a partition looks like.
    Paused,
    /// Connections are accepted and dropped at once.
    Cut,
    /// The test is over.
    Ended,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

/// See the module docs.
pub(crate) struct BreakableLink {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl BreakableLink {
    /// A whole link to this address.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).expect("its port is free");
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Whole),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, target, &shared))
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds everything back until it is mended; nobody is told.
    pub(crate) fn pause(&self) {
        self.enter(State::Paused);
    }

    /// Drops every connection, and new ones at once.
    pub(crate) fn cut(&self) {
        self.enter(State::Cut);
        self.drop_all();
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.enter(State::Whole);
    }

    fn enter(&self, state: State) {
        *lock(&self.shared.state) = state;
        self.shared.changed.notify_all();
    }

    fn drop_all(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for BreakableLink {
    fn drop(&mut self) {
        self.enter(State::Ended);
        self.drop_all();
        // Wakes the thread that accepts, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.take().map(JoinHandle::join));
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for near in listener.incoming().flatten() {
        match *lock(&shared.state) {
            State::Ended => return,
            State::Cut => continue,
            State::Whole | State::Paused => {}
        }
        // Without a target the connection is dropped, as a broken link would.
        let Ok(far) = TcpStream::connect(target) else { continue };
        let handles = (near.try_clone(), far.try_clone(), near.try_clone(), far.try_clone());
        let (Ok(near_in), Ok(far_in), Ok(near_held), Ok(far_held)) = handles else { continue };
        lock(&shared.open).extend([near_held, far_held]);
        for (from, to) in [(near_in, far), (far_in, near)] {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || pump(from, to, &shared));
        }
    }
}

/// Passes bytes on while the link is whole, and ends both sides with either.
fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let state = lock(&shared.state);
        let is_paused = |state: &mut State| *state == State::Paused;
        let state = shared.changed.wait_while(state, is_paused);
        drop(state);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
