//! One proxy in one round: what it carried, and what that cost.

use std::error::Error;

use crate::{
    cost::{self, Cpu},
    lab::Lab,
    load::{Aim, Load, drive},
    proxies::Proxy,
    rows::Rows,
};

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) load: Load,
    /// CPU time of the proxy for all calls of the round, the last row's commit included.
    cpu: Cpu,
    /// The most that was resident while the load lasted.
    pub(crate) anonymous_bytes: u64,
}

impl Round {
    /// Drives a proxy and measures it.
    pub(crate) fn of(lab: &Lab, proxy: &Proxy, aim: &Aim) -> Result<Self, Box<dyn Error>> {
        let committed = proxy.rows.as_ref().map(Rows::committed).transpose()?.unwrap_or(0);
        let cpu = || proxy.pid().map(cost::cpu_time).unwrap_or_default();
        let cpu_before = cpu();
        let mut anonymous_bytes = 0;
        let load = drive(lab, proxy.listen, aim, || {
            let now = proxy.pid().map_or(0, cost::anonymous_bytes);
            anonymous_bytes = anonymous_bytes.max(now);
        })?;
        if let Some(rows) = &proxy.rows {
            rows.settle(committed + load.calls);
        }
        Ok(Self { load, cpu: cpu().since(cpu_before), anonymous_bytes })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of seconds are far below 2^52")]
    pub(crate) fn cpu_us_per_call(&self) -> f64 {
        self.cpu.all().as_secs_f64() * 1e6 / self.load.calls as f64
    }

    /// The part of it that the kernel took, in percent.
    pub(crate) fn kernel_percent(&self) -> f64 {
        self.cpu.kernel.div_duration_f64(self.cpu.all()) * 100.0
    }

    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    pub(crate) fn mebibytes(&self) -> f64 {
        self.anonymous_bytes as f64 / (1024.0 * 1024.0)
    }

    /// The median latency in microseconds; NaN where the tool tells none.
    pub(crate) fn p50_us(&self) -> f64 {
        self.load.p50.map_or(f64::NAN, |p50| p50.as_secs_f64() * 1e6)
    }

    /// The same of one in a hundred calls.
    pub(crate) fn p99_us(&self) -> f64 {
        self.load.p99.map_or(f64::NAN, |p99| p99.as_secs_f64() * 1e6)
    }
}

/// The middle one, of two the lower; NaN of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
