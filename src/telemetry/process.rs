//! The process as its metrics tell it: time, memory, files. The names are those that every
//! Prometheus client uses.
//!
//! Read from `/proc` when somebody asks; what is not there is left out.

use std::fs;

use super::metrics::{Family, Kind, Source};

/// What the kernel counts CPU time in, on every architecture of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The running process.
#[derive(Debug)]
pub struct Process {
    /// When it started, in microseconds since the Unix epoch.
    pub started_at_us: i64,
}

impl Source for Process {
    fn families(&self) -> Vec<Family> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let files = fs::read_dir("/proc/self/fd").map(|files| count(files.count()));
        let gauge = |name, help, value: Option<f64>| {
            value.map(|value| Family::single(name, help, Kind::Gauge, value))
        };
        let families = [
            cpu_seconds(&stat).map(|value| {
                let help = "CPU time that the process has used, in seconds";
                Family::single("process_cpu_seconds", help, Kind::Counter, value)
            }),
            gauge(
                "process_resident_memory_bytes",
                "Memory that the process has resident",
                kilobytes(&status, "VmRSS:"),
            ),
            gauge(
                "process_anonymous_memory_bytes",
                "The part of it that is backed by no file",
                kilobytes(&status, "RssAnon:"),
            ),
            gauge(
                "process_virtual_memory_bytes",
                "Addresses that the process has mapped",
                kilobytes(&status, "VmSize:"),
            ),
            gauge("process_threads", "Threads of the process", field(&status, "Threads:")),
            gauge("process_open_fds", "Files and sockets that are open", files.ok()),
            gauge("process_max_fds", "How many may be", max_files(&limits)),
            gauge(
                "process_start_time_seconds",
                "When the process started, since the Unix epoch",
                Some(seconds(self.started_at_us)),
            ),
        ];
        families.into_iter().flatten().collect()
    }
}

/// User and system time: the 14th and 15th field, counted from the end of the name, which may hold
/// anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some((user.parse::<f64>().ok()? + system.parse::<f64>().ok()?) / TICKS_PER_SECOND)
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    field(status, name).map(|kilobytes| kilobytes * 1_024.0)
}

fn max_files(limits: &str) -> Option<f64> {
    field(limits, "Max open files")
}

#[expect(clippy::cast_precision_loss, reason = "files are few")]
fn count(files: usize) -> f64 {
    files as f64
}

#[expect(clippy::cast_precision_loss, reason = "microseconds stay far below 2^53")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::{Process, cpu_seconds, field, max_files};
    use crate::telemetry::metrics::Source;

    #[test]
    fn cpu_time_is_found_whatever_the_process_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 12345";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn a_field_is_a_number_behind_its_name() {
        assert_eq!(field("Name:\tx\nThreads:\t9\n", "Threads:"), Some(9.0));
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024      4096   files\n";
        assert_eq!(max_files(limits), Some(1_024.0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_knows_all_of_itself() {
        let families = Process { started_at_us: 1_000_000 }.families();
        assert_eq!(families.len(), 8, "{families:?}");
    }
}
