//! `cargo xtask interop`.

/// Runs the subcommand.
pub fn run(_args: &[String]) -> Result<(), String> {
    Err("interop is not part of this build".into())
}
