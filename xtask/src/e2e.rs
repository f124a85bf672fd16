//! `cargo xtask e2e`: long end-to-end runs of real processes.

/// Runs the subcommand.
pub fn run(_args: &[String]) -> Result<(), String> {
    Err("usage: cargo xtask e2e faults".into())
}

/// The gate's share of it.
pub fn gate(_minutes: u64) -> Result<(), String> {
    Ok(())
}
