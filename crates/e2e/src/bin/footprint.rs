//! `footprint`: measures start, memory and size of a binary against what is promised. Run by
//! `cargo xtask e2e footprint`; prints JSON.

use e2e::{binary, footprint};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(path) = std::env::args().nth(1) {
        binary::choose(path.into());
    }
    let footprint = footprint::measure();
    println!("{}", footprint.json());
    let problems = footprint.problems();
    problems
        .iter()
        .for_each(|problem| eprintln!("problem: {problem}"));
    if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
