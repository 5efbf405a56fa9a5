//! The load: one run of wrk against one proxy, and what it says.

use std::{fmt, net::SocketAddr, process::Stdio, time::Duration};

use crate::lab::{Lab, Process};

/// Connections that are kept busy at a time.
pub(crate) const CONNECTIONS: u32 = 64;

/// What one run of wrk measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Load {
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// A run whose figures would mean nothing.
#[derive(Debug)]
pub(crate) struct Useless(String);

impl fmt::Display for Useless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run of wrk is of no use:\n{}", self.0)
    }
}

impl std::error::Error for Useless {}

/// Drives one proxy for some seconds; `meanwhile` is called again and again until it ends.
pub(crate) fn drive(
    lab: &Lab,
    proxy: SocketAddr,
    seconds: u32,
    mut meanwhile: impl FnMut(),
) -> Result<Load, Box<dyn std::error::Error>> {
    let mut wrk = lab.beside_proxy("wrk");
    wrk.args(["--threads", "1", "--latency"])
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s")])
        .arg(format!("http://{proxy}/bench"))
        .stdout(Stdio::piped());
    let mut process = Process::start(wrk)?;
    let limit = Duration::from_secs(u64::from(seconds) + 15);
    let text = process.output_within(limit, &mut meanwhile)?;
    parse(&text).ok_or_else(|| Useless(text).into())
}

/// Reads wrk's report; none when calls failed or a figure is missing.
fn parse(text: &str) -> Option<Load> {
    if text.contains("Socket errors:") || text.contains("Non-2xx") {
        return None;
    }
    let value =
        |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    let calls = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Load {
        calls: calls.trim().split(' ').next()?.parse().ok()?,
        calls_per_second: value("Requests/sec:")?.parse().ok()?,
        p50: duration(value("50%")?)?,
        p99: duration(value("99%")?)?,
    })
}

/// `812.00us`, `1.20ms`, `2.00s`, `1.00m`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * seconds))
}
