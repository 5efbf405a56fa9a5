//! A relay to Postgres that can swallow notifications, and nothing else.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

/// See the module docs. It goes on until the tests end; those who are connected end their side.
pub(super) struct Muffler {
    pub(super) address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

/// What the server tells without being asked.
const NOTIFICATION: u8 = b'A';
/// A kind and a length, which counts itself.
const HEAD: usize = 5;

impl Muffler {
    /// A relay to this port of loopback that lets everything pass.
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let swallows = Arc::<AtomicBool>::default();
        let shared = Arc::clone(&swallows);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Without a server the connection ends as soon as it is made.
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                thread::spawn(move || relay(near, far, shared));
            }
        });
        Self { address, swallows }
    }

    /// Whether notifications are swallowed from now on.
    pub(super) fn swallow(&self, swallows: bool) {
        self.swallows.store(swallows, Relaxed);
    }
}

fn relay(near: TcpStream, far: TcpStream, swallows: Arc<AtomicBool>) {
    let (Ok(mut near_in), Ok(mut far_out)) = (near.try_clone(), far.try_clone()) else { return };
    thread::spawn(move || {
        drop(io::copy(&mut near_in, &mut far_out));
        drop(far_out.shutdown(std::net::Shutdown::Both));
    });
    drop(answers(far, &near, &swallows));
    drop(near.shutdown(std::net::Shutdown::Both));
}

/// Passes on message by message what the server says.
fn answers(mut from: TcpStream, mut to: &TcpStream, swallows: &AtomicBool) -> io::Result<()> {
    loop {
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let rest = u32::from_be_bytes(length).saturating_sub(4);
        let mut message = head.to_vec();
        (&mut from).take(rest.into()).read_to_end(&mut message)?;
        if kind != NOTIFICATION || !swallows.load(Relaxed) {
            to.write_all(&message)?;
        }
    }
}
