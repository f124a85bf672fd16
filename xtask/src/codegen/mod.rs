//! `cargo xtask codegen`: writes the wire messages from Kafka's definitions.

/// Runs the subcommand.
pub fn run(_args: &[String]) -> Result<(), String> {
    Err("codegen is not part of this build".into())
}
