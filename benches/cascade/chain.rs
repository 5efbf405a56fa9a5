//! The processes of one scenario: C, what calls it, and the sidecars between them.

use std::{
    net::SocketAddr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    Result,
    configs::Sidecar,
    lab::{Lab, Process},
    local::free_address,
    scenarios::{Scenario, Sidecars},
    service::{MODE, Order},
};

/// See the module's text.
pub(crate) struct Chain {
    c: Process,
    /// Held for their end.
    _others: Vec<Process>,
    doors: Doors,
}

/// Where callers from outside come in.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// For what B does without C, in turn: its instances, or the sidecar of who calls them.
    pub(crate) unrelated: Vec<SocketAddr>,
    /// For what A does without B.
    pub(crate) own: SocketAddr,
    /// For what needs C: A, which has the first instance of B do it, then the other instances.
    pub(crate) needing: Vec<SocketAddr>,
}

/// What a sidecar carries calls to.
#[derive(Debug, Clone, Copy)]
enum To {
    C,
    /// What B needs C for.
    NeedingC,
    /// What B does without.
    Unrelated,
}

impl To {
    /// The upstream's name, by which sidecars share a circuit, and its settings.
    const fn upstream(self, sidecars: &Sidecars) -> (&'static str, &'static str) {
        match self {
            Self::C => ("c", sidecars.towards_c),
            Self::NeedingC if !sidecars.one_circuit => ("b-needing-c", sidecars.towards_b),
            Self::NeedingC | Self::Unrelated => ("b", sidecars.towards_b),
        }
    }
}

impl Chain {
    /// Starts everything, from C upwards.
    pub(crate) fn start(lab: &Lab, scenario: &Scenario) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("chain-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let patience = scenario.patience;
        let mut others = Vec::new();
        // The way to some instances of a service: through a sidecar, if there are any.
        let mut way = |service: &str, to: To, endpoints: &[SocketAddr]| {
            let Some(sidecars) = &scenario.sidecars else { return Ok(endpoints.to_vec()) };
            let (upstream, settings) = to.upstream(sidecars);
            let (namespace, listen) = (namespace.as_str(), free_address());
            let sidecar = Sidecar { namespace, service, listen, upstream, endpoints, settings };
            others.push(start_sidecar(lab, &sidecar)?);
            Ok::<_, crate::Error>(vec![listen])
        };
        let mut services = Vec::new();
        let c = free_address();
        let process = start_service(c, patience, None)?;
        let mut instances = Vec::new();
        for number in 1..=scenario.instances {
            let (listen, next) = (free_address(), way(&format!("b{number}"), To::C, &[c])?);
            services.push(start_service(listen, patience, next.first())?);
            instances.push(listen);
        }
        let (a, next) = (free_address(), way("a", To::NeedingC, &instances[..1])?);
        services.push(start_service(a, patience, next.first())?);
        let unrelated = way("d", To::Unrelated, &instances)?;
        let needing = [&[a], &instances[1..]].concat();
        others.append(&mut services);
        let doors = Doors { unrelated, own: a, needing };
        Ok(Self { c: process, _others: others, doors })
    }

    pub(crate) fn doors(&self) -> Doors {
        self.doors.clone()
    }

    /// Has C hang, or answer again.
    pub(crate) fn tell_c(&mut self, order: Order) -> Result<()> {
        self.c.tell(order.word())
    }
}

fn start_service(
    listen: SocketAddr,
    patience: Duration,
    next: Option<&SocketAddr>,
) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([MODE, &listen.to_string(), &patience.as_millis().to_string()]);
    command.args(next.map(ToString::to_string));
    Process::listening(command, listen)
}

fn start_sidecar(lab: &Lab, sidecar: &Sidecar<'_>) -> Result<Process> {
    let file = lab.written("fusebox", &sidecar.config(lab))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
    command.args(["run", "--config"]).arg(file);
    Process::kept(&command, sidecar.listen)
}
