//! `cargo xtask sim`: runs ranges of simulation seeds.

/// Runs the subcommand.
pub fn run(_args: &[String]) -> Result<(), String> {
    Err("sim is not part of this build".into())
}
