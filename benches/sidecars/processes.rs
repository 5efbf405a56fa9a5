//! What processes cost: CPU time, read from `/proc`.

use std::{fs, time::Duration};

/// Linux shows CPU time in these, on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of a process and all below it, those that have ended included.
pub(crate) fn cpu_of_family(pid: u32) -> Duration {
    time_of(family(pid).into_iter().filter_map(stat).map(|stat| stat.own + stat.ended).sum())
}

/// CPU time of this process alone.
pub(crate) fn cpu_of_this() -> Duration {
    time_of(stat(std::process::id()).map_or(0, |stat| stat.own))
}

/// CPU time of all below this process: the pooler. The server has no parent but the system.
pub(crate) fn cpu_of_children() -> Duration {
    cpu_of_family(std::process::id()).saturating_sub(cpu_of_this())
}

/// Who started a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

struct Stat {
    parent: u32,
    /// In user and kernel mode.
    own: u64,
    /// That of children that have ended.
    ended: u64,
}

/// See `proc_pid_stat(5)`: the name in brackets may hold anything, so fields count from behind it.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    let fields: Vec<u64> = after_name.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    let [parent, own, ended] = [
        fields.get(1)?,
        &(fields.get(11)? + fields.get(12)?),
        &(fields.get(13)? + fields.get(14)?),
    ];
    Some(Stat { parent: u32::try_from(*parent).ok()?, own: *own, ended: *ended })
}

/// The process and its children, and theirs.
fn family(pid: u32) -> Vec<u32> {
    let running: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut members = vec![pid];
    let mut at = 0;
    while let Some(&parent) = members.get(at) {
        members.extend(running.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        at += 1;
    }
    members
}
