//! What a process costs: CPU time and anonymous memory, read from `/proc`, children included.

use std::{fs, iter::Sum, time::Duration};

/// Linux shows CPU time in these, on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time, by who spent it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// The program itself.
    pub(crate) user: Duration,
    /// The kernel on its behalf: system calls, waking up.
    pub(crate) kernel: Duration,
}

impl Cpu {
    pub(crate) fn all(self) -> Duration {
        self.user + self.kernel
    }

    /// What was spent since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            kernel: self.kernel.saturating_sub(before.kernel),
        }
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            user: sum.user + one.user,
            kernel: sum.kernel + one.kernel,
        })
    }
}

/// CPU time of a process and all below it.
pub(crate) fn cpu_time(pid: u32) -> Cpu {
    family(pid).into_iter().filter_map(stat).map(|stat| stat.cpu).sum()
}

/// Anonymous resident memory of a process and all below it, in bytes.
pub(crate) fn anonymous_bytes(pid: u32) -> u64 {
    let of = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    family(pid).into_iter().filter_map(of).sum::<u64>() * 1_024
}

struct Stat {
    parent: u32,
    cpu: Cpu,
}

/// See `proc_pid_stat(5)`: the name in brackets may hold anything, so fields count from behind it.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let (parent, user, kernel) = (fields.get(1)?, fields.get(11)?, fields.get(12)?);
    let time = |ticks: &str| {
        Some(Duration::from_millis(ticks.parse::<u64>().ok()? * 1_000 / TICKS_PER_SECOND))
    };
    let cpu = Cpu { user: time(user)?, kernel: time(kernel)? };
    Some(Stat { parent: parent.parse().ok()?, cpu })
}

/// The process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let running: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    let mut members = vec![pid];
    let mut at = 0;
    while let Some(&parent) = members.get(at) {
        members.extend(running.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        at += 1;
    }
    members
}
