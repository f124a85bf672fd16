//! One case as a process: its output goes to a file, and it ends in time or is ended.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    ByItself,
    OverTime,
}

/// Runs to the end, or to the limit.
pub fn run(mut command: Command, log: &Path, limit: Duration) -> Result<Ended, String> {
    let file = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let twin = file
        .try_clone()
        .map_err(|e| format!("{}: {e}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file).stderr(twin);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let ended = crate::run::wait_until(limit, || child.try_wait().ok().flatten());
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(ended.map_or(Ended::OverTime, |_| Ended::ByItself))
}
