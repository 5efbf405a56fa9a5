//! The least that Pingora can be: every call goes to one address, nothing is added, nothing is
//! logged. One thread, as every proxy of the benchmark has.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora_core::{
    Result,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Backend(SocketAddr);

#[async_trait]
impl ProxyHttp for Backend {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

/// `pingora-peer LISTEN BACKEND`; runs until it is killed.
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, listen, backend] = &args[..] else { panic!("usage: pingora-peer LISTEN BACKEND") };
    let backend = backend.parse().expect("BACKEND is an address and a port");
    let mut server =
        Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Backend(backend));
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.run_forever();
}
