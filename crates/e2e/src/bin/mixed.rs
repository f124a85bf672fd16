//! `mixed`: a fleet of three under load and one trouble after the other. Run by `cargo xtask e2e
//! mixed` in a network namespace of its own; says what it does on stderr, prints JSON on stdout.

use e2e::{Scratch, binary, mixed};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, seed, seconds] = &args[..] else {
        eprintln!("usage: mixed BINARY SEED SECONDS");
        return ExitCode::from(2);
    };
    let (Ok(seed), Ok(seconds)) = (seed.parse(), seconds.parse()) else {
        eprintln!("mixed: {seed} and {seconds} are to be numbers");
        return ExitCode::from(2);
    };
    binary::choose(path.into());
    let mut place = Scratch::new("mixed");
    let report = mixed::run(seed, Duration::from_secs(seconds), place.path());
    println!("{}", report.json());
    if report.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    let problems = report.problems.iter();
    problems.for_each(|problem| eprintln!("problem: {problem}"));
    place.keep();
    ExitCode::FAILURE
}
