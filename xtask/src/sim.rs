//! `cargo xtask sim`: builds the simulator with its probes and starts it. What it can do, and
//! how to read what it says, is in `docs/testing.md`.

use crate::run::{cargo, checked};

/// Builds, then runs with the arguments as they are. The simulator's profile is optimised and
/// keeps all assertions; its feature brings planted bugs and coverage marks.
pub fn run(args: &[String]) -> Result<(), String> {
    let mut command = built("run");
    command.arg("--").args(args);
    checked(&mut command)
}

/// Builds alone, so that the time of what is run then is its own.
pub fn build() -> Result<(), String> {
    checked(&mut built("build"))
}

fn built(how: &str) -> std::process::Command {
    let mut command = cargo();
    command.args([how, "--quiet", "--profile", "sim", "-p", "sim"]);
    command.args(["--bin", "sim", "--features", "probe"]);
    command
}
