//! `narrow`: a node catches up behind a narrow line. Run by `cargo xtask e2e narrow` in a network namespace of its
//! own; prints JSON on stdout.

use e2e::{Scratch, binary, narrow};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, mbit, megabytes] = &args[..] else {
        eprintln!("usage: narrow BINARY MBIT MEGABYTES");
        return ExitCode::from(2);
    };
    let (Ok(mbit), Ok(megabytes)) = (mbit.parse(), megabytes.parse()) else {
        eprintln!("narrow: {mbit} and {megabytes} are to be numbers");
        return ExitCode::from(2);
    };
    binary::choose(path.into());
    let place = Scratch::new("narrow");
    let problem = match narrow::run(mbit, megabytes, place.path()) {
        Ok(report) => {
            println!("{}", report.json());
            report.problem()
        }
        Err(problem) => Some(problem),
    };
    match problem {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            eprintln!("problem: {problem}");
            ExitCode::FAILURE
        }
    }
}
