//! `cargo xtask sim`: builds the simulator with its probes and starts it. What it can do, and
//! how to read what it says, is in `docs/testing.md`.

use crate::run::{cargo, checked};

/// Builds, then runs with the arguments as they are. The simulator's profile is optimised and
/// keeps all assertions; its feature brings planted bugs and coverage marks.
pub fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--profile",
        "sim",
        "-p",
        "sim",
        "--bin",
        "sim",
    ]);
    command.args(["--features", "probe", "--"]);
    command.args(args);
    checked(&mut command)
}
