//! What the kernel says about this process and this machine.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::Duration;

/// The signal of a write beyond the limit of a file's size. It ends a process that doesn't take it; for one that does the
/// write fails.
pub const FILE_TOO_LARGE: i32 = Signal::XFSZ.as_raw();

/// How much of the machine this process uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Memory held in RAM.
    pub resident_bytes: u64,
    /// Processor time since the start, user and kernel.
    pub cpu: Duration,
    /// Open descriptors.
    pub open_files: u64,
    /// Threads.
    pub threads: u64,
}

/// Measures now. What the kernel doesn't tell is 0.
pub fn usage() -> Usage {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    Usage {
        resident_bytes: field(&status, "VmRSS:") * 1024,
        cpu: Duration::new(
            u64::try_from(cpu.tv_sec).unwrap_or(0),
            u32::try_from(cpu.tv_nsec).unwrap_or(0),
        ),
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64),
        threads: field(&status, "Threads:"),
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// Raises the limit of open files to the most this process may have, and tells that.
pub fn raise_open_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// This machine's name; `localhost` if it has none.
pub fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() || name == "(none)" {
        "localhost".to_owned()
    } else {
        name
    }
}

/// The id of this boot of the machine; after another boot the page cache is a new one. Empty if
/// the kernel doesn't tell.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_measured() {
        let usage = usage();
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.open_files >= 3 && usage.threads >= 1, "{usage:?}");
    }

    #[test]
    fn the_soft_limit_of_files_becomes_the_hard_one() {
        let raised = raise_open_files().expect("raising to the hard limit is always allowed");
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raised, hard);
    }

    #[test]
    fn the_boot_id_stays_the_same_during_a_boot() {
        assert_eq!(boot_id(), boot_id());
    }
}
