//! `fusebox demo`: everything at work on one machine, with nothing to set up.
//!
//! Two small services on loopback, one of which fails for eight seconds in every fifty; a caller;
//! and a Fusebox between them that runs exactly as `fusebox run` would, with the embedded store in a
//! directory of its own that is removed at the end.

mod services;
mod traffic;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;

use self::services::Temper;
use super::{
    exit::Exit,
    output::{complain, say},
    settings,
};
use crate::{
    app::App,
    config::{self, Environment, Listen, Source},
    shutdown::Signals,
};

/// The configuration of the demo, the same file that the repository shows.
const CONFIG: &str = include_str!("../../../config/demo.yaml");
/// The ports of the product, when they are free.
const PROXY: u16 = 8080;
const ADMIN: u16 = 9901;

/// How to show it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where calls come in, on loopback [default: 8080, or a free one].
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The admin port, on loopback [default: 9901, or a free one].
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
}

/// Runs the demo until it is interrupted.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let data_dir = std::env::temp_dir().join(format!("fusebox-demo-{}", std::process::id()));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let shown = runtime.block_on(show(arguments, data_dir.clone()));
    // Not there when the demo did not get that far.
    let _absent = std::fs::remove_dir_all(&data_dir);
    match shown {
        Ok(()) => Exit::Ok,
        Err(error) => complain(Exit::Runtime, format!("fusebox: {error:#}")),
    }
}

async fn show(arguments: &Arguments, data_dir: PathBuf) -> anyhow::Result<()> {
    let signals = Signals::take()?;
    let payments = services::start(Temper::Flaky).await?;
    let music = services::start(Temper::Slow).await?;
    let listen = free(arguments.port, PROXY);
    let admin = free(arguments.admin_port, ADMIN);
    let variables = [
        ("DEMO_PORT", listen.to_string()),
        ("DEMO_ADMIN_PORT", admin.to_string()),
        ("DEMO_DATA_DIR", data_dir.display().to_string()),
        ("DEMO_PAYMENTS", format!("http://{payments}")),
        ("DEMO_MUSIC", format!("http://{music}")),
    ];
    let environment = Environment::new(variables, &settings::host_name());
    let source = Source::from_bytes("config/demo.yaml".to_owned(), CONFIG.as_bytes().to_vec())?;
    let loaded = config::load(&source, &environment)?;
    let app = App::build(loaded.config, Vec::new())?;
    let (listeners, admin) = app.addresses();
    let (Some((_, Listen::Tcp(proxy))), Some(admin)) = (listeners.first().cloned(), admin) else {
        anyhow::bail!("the demo has no listener");
    };
    invite(proxy, admin);
    for path in ["/payments/charge", "/music/beats"] {
        tokio::spawn(traffic::call_forever(proxy, path));
    }
    Ok(app.run(signals).await?)
}

/// The port asked for, or the usual one when it is free, or any.
fn free(asked: Option<u16>, usual: u16) -> u16 {
    let usual_is_free = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, usual)).is_ok();
    asked.unwrap_or_else(|| if usual_is_free() { usual } else { 0 })
}

fn invite(proxy: SocketAddr, admin: SocketAddr) {
    say(format!(
        "\nFusebox demo: the dashboard is at http://{admin}/\n\n\
         The upstream `payments` fails from 8 s to 16 s after the start, and again every 50 s. Its\n\
         breaker opens at the fifth failure, lets one call through 10 s later, and closes after two\n\
         successes. Three lines to try:\n\n  \
         curl -i http://{proxy}/payments/charge\n  \
         curl -s http://{admin}/api/v1/circuit-breakers\n  \
         curl -s 'http://{admin}/api/v1/tasks?limit=3'\n\n\
         Ctrl-C ends it.\n"
    ));
}
