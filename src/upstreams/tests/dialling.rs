//! Connections to listeners on loopback.

use std::{
    future::pending,
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::{TcpListener, UnixListener};

use super::{shown, start};
use crate::{
    domain::outcome::Reason,
    upstreams::{Lookup, Socket},
};

/// A resolver that knows one name.
#[derive(Clone)]
struct Knows(Vec<SocketAddr>);

impl Lookup for Knows {
    async fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_name_with_two_families_is_reached_by_the_one_that_works() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let v4 = service.local_addr().unwrap();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, v4.port()));
    let (upstreams, live) = start("endpoints: [http://localhost]");
    tokio::spawn({
        let upstreams = Arc::clone(&upstreams);
        async move { upstreams.run(&Knows(vec![v6, v4]), pending()).await }
    });
    let hosts = live.resolved().await.unwrap();
    assert_eq!(shown(&hosts), [v6.to_string()]);
    let Ok(Socket::Tcp(stream)) = live.dial(&hosts[0]).await else { panic!("a stream") };
    assert_eq!(stream.peer_addr().unwrap(), v4);
    let hosts = live.hosts();
    assert_eq!((hosts.generation(), shown(&hosts)), (2, vec![v4.to_string()]));
    assert!(live.dial(&hosts[0]).await.is_ok());
    assert_eq!(live.generation(), 2, "and so it stays");
}

#[tokio::test]
async fn a_name_of_which_nothing_works_fails_as_its_address_did() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone_v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, gone.port()));
    let (upstreams, live) = start("endpoints: [http://localhost]");
    tokio::spawn(async move { upstreams.run(&Knows(vec![gone, gone_v6]), pending()).await });
    let hosts = live.resolved().await.unwrap();
    assert_eq!(live.dial(&hosts[0]).await.unwrap_err(), Reason::ConnectRefused);
    assert_eq!(live.generation(), 1);
}

#[tokio::test]
async fn a_socket_is_an_address_like_any_other() {
    let name = format!("fusebox-dial-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let service = UnixListener::bind(&path).unwrap();
    let (_, live) = start(&format!("endpoints: [\"unix:{}\"]", path.display()));
    let hosts = live.resolved().await.unwrap();
    assert!(matches!(live.dial(&hosts[0]).await, Ok(Socket::Unix(_))));
    drop(service);
    assert_eq!(live.dial(&hosts[0]).await.unwrap_err(), Reason::ConnectRefused);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(live.dial(&hosts[0]).await.unwrap_err(), Reason::ConnectRefused);
}
