//! What tests and benchmarks need of the machine: free ports, waiting, signals.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// Asks until there is an answer, and panics when there is none in time.
///
/// The one place that sleeps: other processes give nothing to wait on.
#[expect(clippy::disallowed_methods, reason = "another process can only be asked again")]
pub(crate) fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    // Short at first, so that quick things are seen at once; then without burden for the machine.
    const LONGEST_PAUSE: Duration = Duration::from_millis(100);
    let mut pause = Duration::from_millis(1);
    let began = fusebox::clock::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        let waited = fusebox::clock::now().duration_since(began);
        assert!(waited < limit, "after {waited:?} still waiting for: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// An address of loopback that nobody listens on.
///
/// Below the ports that the system hands out for outgoing connections, so that none of those can
/// take it before it is used; counted up, so that no two tests of a run get the same.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at the same time begin far from each other.
    let begin = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0).wrapping_mul(61);
    for _ in 0..COUNT {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset));
        // Only bound: one that listened, though for a moment, would take the call of another run that
        // expects nobody there.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        if socket.bind(&address.into()).is_ok() {
            return address;
        }
    }
    panic!("no port of loopback is free");
}

/// Sends a signal by its name, such as `TERM`, to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot send {name} to {pid}");
}
