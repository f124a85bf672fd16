//! `cargo xtask bench`.

/// Runs the subcommand.
pub fn run(_args: &[String]) -> Result<(), String> {
    Err("bench is not part of this build".into())
}
