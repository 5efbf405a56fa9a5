//! The runs: what is measured about the proxies, each a table.

use std::{error::Error, fs};

use crate::{
    Effort,
    configs::{self, Speech},
    lab::Lab,
    load::{Aim, Tool},
    local::free_address,
    proxies::{Kind, Proxy},
    round::{Round, median},
    table::{self, Line},
};

/// Long enough for pools to fill and for allocators to reach their size.
const WARM_UP_SECONDS: u32 = 2;
/// What a sidecar has at a busy moment.
const CONNECTIONS: u32 = 64;
/// What it has at a bad one.
const MANY_CONNECTIONS: u32 = 2_000;

/// Why a run has no figures.
type Failure = Box<dyn Error>;

/// A run by the name that it is asked for with.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Lab, Effort) -> Result<(), Failure>,
}

/// All of them; the first are those that run when none is named.
pub(crate) const RUNS: [Run; 6] = [
    Run { name: "http1", measure: http1 },
    Run { name: "refused", measure: refused },
    Run { name: "memory", measure: memory },
    Run { name: "scale", measure: scale },
    Run { name: "http2", measure: http2 },
    Run { name: "tls", measure: tls },
];

/// HTTP/1.1 on both sides, over many connections and over one.
fn http1(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    let proxies = started(lab, &Kind::ALL, Speech::Http1)?;
    for connections in [CONNECTIONS, 1] {
        println!("HTTP/1.1, {connections} connections\n");
        compare(lab, &proxies, effort, &Aim::http1(connections, effort.seconds))?;
    }
    Ok(())
}

/// HTTP/2 with the caller, as gRPC channels have it: few connections, many streams.
fn http2(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    let kinds = [Kind::Nginx, Kind::HaProxy, Kind::Envoy, Kind::Fusebox];
    let proxies = started(lab, &kinds, Speech::Http2)?;
    for (connections, streams) in [(8, 8), (1, 64), (1, 1)] {
        println!("HTTP/2, {connections} connections of {streams} streams\n");
        let tool = Tool::H2load { streams };
        let aim = Aim { tool, ..Aim::http1(connections, effort.seconds) };
        compare(lab, &proxies, effort, &aim)?;
    }
    Ok(())
}

/// TLS on both sides.
fn tls(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    let proxies = started(lab, &[Kind::Nginx, Kind::Fusebox], Speech::Tls)?;
    println!("HTTP/1.1 over TLS on both sides, {CONNECTIONS} connections\n");
    let aim = Aim { is_tls: true, ..Aim::http1(CONNECTIONS, effort.seconds) };
    compare(lab, &proxies, effort, &aim)
}

/// A call that an open circuit refuses beside one that is carried.
fn refused(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    let carried_aim = Aim::http1(CONNECTIONS, effort.seconds);
    let refused_aim = Aim { expects_refusals: true, ..carried_aim.clone() };
    let listen = free_address();
    let refusing = Proxy::fusebox(lab, listen, |url| configs::refusing(lab, listen, url))?;
    let listen = free_address();
    let carrying =
        Proxy::fusebox(lab, listen, |url| configs::fusebox(lab, listen, Speech::Http1, url))?;
    warm_up(lab, &refusing, &refused_aim)?;
    warm_up(lab, &carrying, &carried_aim)?;
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        let carried = Round::of(lab, &carrying, &carried_aim)?.cpu_us_per_call();
        let refused = Round::of(lab, &refusing, &refused_aim)?.cpu_us_per_call();
        rounds.push((carried, refused));
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(rounds.iter().map(figure));
    println!("A call that an open circuit refuses, {CONNECTIONS} connections\n");
    println!("CPU us/call: carried {:.1}, refused {:.1}", of(|it| it.0), of(|it| it.1));
    println!("refused/carried: {:.2}\n", of(|it| it.1 / it.0));
    Ok(())
}

/// Anonymous memory while many connections are busy.
fn memory(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    println!("RssAnon MiB at its highest, connections busy\n");
    println!("{:<12}{CONNECTIONS:>10}{MANY_CONNECTIONS:>10}", "");
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Direct) {
        let Some(proxy) = Proxy::start(kind, lab, Speech::Http1)? else { continue };
        let mut figures = String::new();
        for connections in [CONNECTIONS, MANY_CONNECTIONS] {
            let round = Round::of(lab, &proxy, &Aim::http1(connections, effort.seconds))?;
            figures.push_str(&format!("{:>10.1}", round.mebibytes()));
        }
        println!("{:<12}{figures}", kind.name());
    }
    println!();
    Ok(())
}

/// How cost grows with routes, upstreams and connections. Every call takes the next route.
fn scale(lab: &Lab, effort: Effort) -> Result<(), Failure> {
    const CONNECTIONS: [u32; 3] = [1, 64, 1_000];
    // Routes and upstreams.
    const SIZES: [(u32, u32); 7] =
        [(1, 1), (10, 10), (100, 100), (1_000, 1_000), (10, 1), (100, 1), (1_000, 1)];
    println!("Fusebox: CPU us per call and RssAnon MiB, every call by the next route\n");
    let head: Vec<String> = CONNECTIONS.map(|it| format!("{it:>10} conn{:>11}", "MiB")).into();
    println!("{:<20}{}", "routes, upstreams", head.concat());
    for size @ (routes, upstreams) in SIZES {
        let listen = free_address();
        let proxy = Proxy::fusebox(lab, listen, |url| configs::many(lab, listen, size, url))?;
        let script = lab.file("scale.lua");
        fs::write(&script, in_turn(routes))?;
        let mut figures = String::new();
        for connections in CONNECTIONS {
            let script = Some(script.clone());
            let aim = Aim { script, ..Aim::http1(connections, effort.seconds) };
            warm_up(lab, &proxy, &aim)?;
            let round = Round::of(lab, &proxy, &aim)?;
            let (cpu, memory) = (round.cpu_us_per_call(), round.mebibytes());
            figures.push_str(&format!("{cpu:>15.1}{memory:>11.1}"));
        }
        println!("{:<20}{figures}", format!("{routes}, {upstreams}"));
    }
    println!();
    Ok(())
}

/// Tells wrk to ask for one host after the other.
fn in_turn(count: u32) -> String {
    format!(
        "local calls, at = {{}}, 0
init = function()
  for number = 1, {count} do
    calls[number] = wrk.format('GET', '/bench', {{ Host = 'u' .. number .. '.internal' }})
  end
end
request = function()
  at = at % {count} + 1
  return calls[at]
end
"
    )
}

/// The proxies of these kinds that are installed.
fn started(lab: &Lab, kinds: &[Kind], speech: Speech) -> Result<Vec<Proxy>, Failure> {
    let mut proxies = Vec::new();
    for kind in kinds {
        match Proxy::start(*kind, lab, speech)? {
            Some(proxy) => proxies.push(proxy),
            None => println!("{} is missing: it is not installed", kind.name()),
        }
    }
    Ok(proxies)
}

/// Some rounds of all of them in turn, and the table.
fn compare(lab: &Lab, proxies: &[Proxy], effort: Effort, aim: &Aim) -> Result<(), Failure> {
    let mut lines: Vec<Line> =
        proxies.iter().map(|proxy| Line { kind: proxy.kind, rounds: Vec::new() }).collect();
    for proxy in proxies {
        warm_up(lab, proxy, aim)?;
    }
    for _ in 0..effort.rounds {
        for (proxy, line) in proxies.iter().zip(&mut lines) {
            line.rounds.push(Round::of(lab, proxy, aim)?);
        }
    }
    println!("{}", table::render(&lines));
    Ok(())
}

fn warm_up(lab: &Lab, proxy: &Proxy, aim: &Aim) -> Result<(), Failure> {
    let aim = Aim { seconds: WARM_UP_SECONDS, ..aim.clone() };
    Round::of(lab, proxy, &aim).map(drop)
}
