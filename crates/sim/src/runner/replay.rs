//! One seed again, to be read.

use super::Options;
use crate::run;

/// Lines of a trace that are shown without `--trace`: the last ones tell most.
const TAIL: usize = 40;

/// Runs a seed and prints its plan, its trace and what came of it.
pub(super) fn one(seed: u64, options: &Options) -> bool {
    let run = run::run(seed, options.bug, true);
    let (outcome, lines) = (run.outcome, run.lines);
    let from = if options.trace {
        0
    } else {
        lines.len().saturating_sub(TAIL)
    };
    if options.trace {
        println!("{}", run::describe(seed));
    }
    for line in &lines[from..] {
        println!("{line}");
    }
    println!(
        "seed {seed}: trace {:016x}, {:?}",
        outcome.hash, outcome.tally
    );
    match &outcome.violation {
        None => println!("seed {seed}: all promises kept"),
        Some(violation) => println!("seed {seed}: {}: {}", violation.checker, violation.what),
    }
    outcome.violation.is_none()
}
