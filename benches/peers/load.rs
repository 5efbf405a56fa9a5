//! The load: one run of wrk or h2load, and what it says.

use std::{fmt, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use crate::lab::{Lab, Process};

/// What is sent for how long.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) tool: Tool,
    /// Kept busy at a time.
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// `https` in place of `http`.
    pub(crate) is_tls: bool,
    /// Answers that are no success are what is measured.
    pub(crate) expects_refusals: bool,
    /// What wrk asks for, where it is not always the same.
    pub(crate) script: Option<PathBuf>,
}

/// What sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// HTTP/1.1, one call at a time on each connection.
    Wrk,
    /// HTTP/2, so many streams at a time on each connection.
    H2load { streams: u32 },
}

impl Aim {
    /// HTTP/1.1 over so many connections.
    pub(crate) const fn http1(connections: u32, seconds: u32) -> Self {
        Self {
            tool: Tool::Wrk,
            connections,
            seconds,
            is_tls: false,
            expects_refusals: false,
            script: None,
        }
    }
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Load {
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    /// None where the tool tells no quantiles.
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

/// A run whose figures would mean nothing.
#[derive(Debug)]
pub(crate) struct Useless(String);

impl fmt::Display for Useless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run of the load is of no use:\n{}", self.0)
    }
}

impl std::error::Error for Useless {}

/// Drives one proxy for some seconds; `meanwhile` is called again and again until it ends.
pub(crate) fn drive(
    lab: &Lab,
    proxy: SocketAddr,
    aim: &Aim,
    mut meanwhile: impl FnMut(),
) -> Result<Load, Box<dyn std::error::Error>> {
    let url = format!("http{}://{proxy}/bench", if aim.is_tls { "s" } else { "" });
    let connections = aim.connections.to_string();
    let mut command = match aim.tool {
        Tool::Wrk => {
            let mut wrk = lab.beside_proxy("wrk");
            wrk.args(["--threads", "1", "--latency", "--timeout", "15s"]);
            wrk.args(["--connections", &connections]);
            wrk.args(["--duration", &format!("{}s", aim.seconds)]);
            if let Some(script) = &aim.script {
                wrk.arg("--script").arg(script);
            }
            wrk
        }
        Tool::H2load { streams } => {
            let mut h2load = lab.beside_proxy("h2load");
            h2load.args(["--threads", "1", "--clients", &connections]);
            h2load.args(["--max-concurrent-streams", &streams.to_string()]);
            h2load.args(["--duration", &aim.seconds.to_string()]);
            h2load
        }
    };
    command.arg(url).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(command)?;
    let limit = Duration::from_secs(u64::from(aim.seconds) + 30);
    let text = process.output_within(limit, &mut meanwhile)?;
    let load = match aim.tool {
        Tool::Wrk => wrk(&text, aim.expects_refusals),
        Tool::H2load { .. } => h2load(&text),
    };
    load.ok_or_else(|| Useless(text).into())
}

/// Reads wrk's report; none when calls failed or a figure is missing.
fn wrk(text: &str, expects_refusals: bool) -> Option<Load> {
    if text.contains("Socket errors:") || (text.contains("Non-2xx") != expects_refusals) {
        return None;
    }
    let value =
        |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    let calls = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Load {
        calls: calls.trim().split(' ').next()?.parse().ok()?,
        calls_per_second: value("Requests/sec:")?.parse().ok()?,
        p50: Some(duration(value("50%")?)?),
        p99: Some(duration(value("99%")?)?),
    })
}

/// Reads h2load's report, which has no quantiles; none when calls failed.
fn h2load(text: &str) -> Option<Load> {
    let line =
        |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    let (done, all) = (line("status codes:")?, line("requests:")?);
    let calls: u64 = done.split(' ').next()?.parse().ok()?;
    // What the end of the time cut off counts as failed; nothing else may.
    if calls == 0 || !done.contains(" 0 4xx, 0 5xx") || !all.contains(" 0 errored") {
        return None;
    }
    let rate = line("finished in")?.split(", ").nth(1)?.strip_suffix(" req/s")?;
    Some(Load { calls, calls_per_second: rate.parse().ok()?, p50: None, p99: None })
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
