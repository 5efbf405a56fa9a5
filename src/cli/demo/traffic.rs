//! The caller of the demo: steady calls through the proxy, as a service would make them.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Between two calls to the same upstream.
const PAUSE: Duration = Duration::from_millis(100);
/// Before a broken connection is made anew.
const RECONNECT: Duration = Duration::from_millis(500);

/// Calls `path` through the proxy for ever.
pub(super) async fn call_forever(proxy: SocketAddr, path: &'static str) {
    loop {
        // The proxy may still be starting, or be draining already.
        let _broken = calls(proxy, path).await;
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Calls over one connection until it breaks.
async fn calls(proxy: SocketAddr, path: &'static str) -> anyhow::Result<()> {
    let stream = TcpStream::connect(proxy).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    loop {
        let request = Request::get(path).header(header::HOST, "demo").body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        response.into_body().collect().await?;
        tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
    }
}
