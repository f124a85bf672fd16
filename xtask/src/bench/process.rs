//! What a process used, from `/proc`, and what it counted, from its metrics.

/// Clock ticks a second in `/proc/PID/stat`: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used since its start; or between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, user and system.
    pub cpu_s: f64,
    /// Resident memory now, bytes.
    pub resident: f64,
    /// Bytes sent towards the device.
    pub written: f64,
}

impl Usage {
    /// Of a process, so far.
    pub fn of(pid: u32) -> Result<Usage, String> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))
        };
        Usage::parse(&read("stat")?, &read("status")?, &read("io")?)
            .ok_or_else(|| format!("/proc/{pid} has an unknown form"))
    }

    /// From the texts of `stat`, `status` and `io`.
    pub fn parse(stat: &str, status: &str, io: &str) -> Option<Usage> {
        // The name in parentheses may hold anything, so fields are counted from its end.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let value = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Usage {
            cpu_s: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            resident: value(status, "VmRSS:")? * 1024.0,
            written: value(io, "write_bytes:")?,
        })
    }

    /// What was used since `before`; memory is what is resident now.
    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            cpu_s: self.cpu_s - before.cpu_s,
            resident: self.resident,
            written: self.written - before.written,
        }
    }
}

/// Most memory that a process ever had resident, bytes.
pub fn peak_resident(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0)
        .ok_or_else(|| format!("{path} has an unknown form"))
}

/// The sum over all counters of syncs in Prometheus' text.
pub fn counted_syncs(metrics: &str) -> Option<f64> {
    let values = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let name = name.split('{').next()?;
            (name.contains("sync") && name.ends_with("_total"))
                .then(|| value.parse::<f64>().ok())?
        });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}
