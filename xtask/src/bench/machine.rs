//! Facts about the machine, without which a figure means nothing.

use crate::run::output;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often the device is asked for a sync.
const PROBES: usize = 200;
/// Bytes that are written before each.
const PROBE_BYTES: usize = 4096;

/// Lines of facts; `data` lies on the device that the brokers write to.
pub fn facts(data: &Path) -> Result<Vec<String>, String> {
    let first = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let place = output(Command::new("df").args(["-T", "--"]).arg(data))?;
    let columns: Vec<&str> = place
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let filesystem = columns.get(1).unwrap_or(&"unknown");
    let java = Command::new("java")
        .arg("-version")
        .output()
        .map_err(|e| format!("java: {e}"))?;
    let java = String::from_utf8_lossy(&java.stderr)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let (middle, slow) = sync_times(data)?;
    Ok(vec![
        format!(
            "processor: {}, {cores} cores",
            first("/proc/cpuinfo", "model name")
        ),
        format!("memory: {}", first("/proc/meminfo", "MemTotal")),
        format!("system: Linux {}, file system {filesystem}", kernel.trim()),
        format!(
            "device: 4 KiB write and fdatasync {:.2} ms median, {:.2} ms at the 99th percentile",
            middle.as_secs_f64() * 1e3,
            slow.as_secs_f64() * 1e3
        ),
        format!("Java: {java}"),
    ])
}

#[expect(clippy::disallowed_methods, reason = "measures the device")]
fn sync_times(data: &Path) -> Result<(Duration, Duration), String> {
    let path = data.with_extension("probe");
    let probe = || -> std::io::Result<Vec<Duration>> {
        let mut file = File::create(&path)?;
        let mut times = Vec::new();
        for _ in 0..PROBES {
            file.write_all(&[7; PROBE_BYTES])?;
            let start = Instant::now();
            file.sync_data()?;
            times.push(start.elapsed());
        }
        Ok(times)
    };
    let times = probe();
    let _ = std::fs::remove_file(&path);
    let mut times = times.map_err(|e| format!("{}: {e}", path.display()))?;
    times.sort();
    Ok((times[PROBES / 2], times[PROBES * 99 / 100]))
}
