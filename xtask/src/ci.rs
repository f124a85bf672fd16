//! `cargo xtask ci`: the whole gate, the same on a laptop and in CI. Steps run in order, each
//! prints what it took; the first that fails ends the run.

mod deny;

use crate::run::{cargo, checked, flag, only_flags};
use std::time::{Duration, Instant};

/// Seeds between two looks at the time.
const SEEDS_PER_CHUNK: u64 = 50;
/// Seeds of one run of the gate: three and a half days of a cluster's life. Longer ranges are
/// `cargo xtask sim`'s.
const SEEDS_PER_RUN_MAX: u64 = 5_000;
/// Seeds that a commit has for itself.
const SEEDS_PER_COMMIT: u64 = 10_000_000;

/// A step's name, the time it is meant to take, and what it does.
struct Step {
    name: &'static str,
    budget: Duration,
    act: Box<dyn Fn() -> Result<(), String>>,
}

/// Runs the gate. `--skip NAME[,NAME]` leaves steps out, `--seed-minutes N` and
/// `--e2e-minutes N` set how long the two open-ended steps look for trouble.
pub fn run(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--skip", "--seed-minutes", "--e2e-minutes"], &[])?;
    let seeds: u64 = flag(args, "--seed-minutes")?.unwrap_or(10);
    let end_to_end: u64 = flag(args, "--e2e-minutes")?.unwrap_or(5);
    let skip: String = flag(args, "--skip")?.unwrap_or_default();
    let skipped: Vec<&str> = skip.split(',').filter(|name| !name.is_empty()).collect();
    let steps = steps(seeds, end_to_end);
    if let Some(unknown) = skipped
        .iter()
        .find(|name| !steps.iter().any(|s| s.name == **name))
    {
        let known: Vec<&str> = steps.iter().map(|step| step.name).collect();
        return Err(format!(
            "usage: there is no step {unknown:?}; known: {}",
            known.join(" ")
        ));
    }
    for step in &steps {
        if skipped.contains(&step.name) {
            println!("ci: {:<7} skipped by --skip", step.name);
        } else {
            timed(step)?;
        }
    }
    println!("ci: all green");
    Ok(())
}

fn steps(seed_minutes: u64, e2e_minutes: u64) -> Vec<Step> {
    let step = |name, minutes, act: Box<dyn Fn() -> Result<(), String>>| Step {
        name,
        budget: Duration::from_secs(60 * minutes),
        act,
    };
    vec![
        step(
            "fmt",
            1,
            Box::new(|| checked(cargo().args(["fmt", "--all", "--check"]))),
        ),
        step("clippy", 6, Box::new(clippy)),
        step("tidy", 1, Box::new(|| crate::tidy::run(&[]))),
        step("deny", 1, Box::new(deny::check)),
        step(
            "test",
            12,
            Box::new(|| checked(cargo().args(["test", "--workspace"]))),
        ),
        step(
            "seeds",
            seed_minutes + 3,
            Box::new(move || fresh_seeds(seed_minutes)),
        ),
        step(
            "e2e",
            e2e_minutes + 3,
            Box::new(move || crate::e2e::gate(e2e_minutes)),
        ),
    ]
}

#[expect(
    clippy::disallowed_methods,
    reason = "a step's time is shown to people"
)]
fn timed(step: &Step) -> Result<(), String> {
    println!(
        "ci: {:<7} (budget {} min)",
        step.name,
        step.budget.as_secs() / 60
    );
    let start = Instant::now();
    let outcome = (step.act)();
    let took = start.elapsed();
    let verdict = match (&outcome, took > step.budget) {
        (Err(_), _) => "FAILED",
        (Ok(()), true) => "ok, over its budget",
        (Ok(()), false) => "ok",
    };
    println!(
        "ci: {:<7} {verdict} after {:.1} s",
        step.name,
        took.as_secs_f64()
    );
    outcome.map_err(|message| format!("step {}: {message}", step.name))
}

fn clippy() -> Result<(), String> {
    checked(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Runs seeds that no other commit has run, in chunks, until the time is up; prints the range.
/// The range begins where the commit says, so that a red run can be had again, and a green one too.
#[expect(
    clippy::disallowed_methods,
    reason = "how long seeds are run is a matter of time"
)]
fn fresh_seeds(minutes: u64) -> Result<(), String> {
    let first = first_seed(&crate::run::output(
        std::process::Command::new("git").args(["rev-parse", "HEAD"]),
    )?)?;
    let checkpoint = crate::run::target_directory()?.join("ci-seeds.txt");
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut next = first;
    while next == first || (Instant::now() < end && next < first + SEEDS_PER_RUN_MAX) {
        let chunk = format!("{next}..{}", next + SEEDS_PER_CHUNK);
        let place = checkpoint.to_string_lossy().into_owned();
        crate::sim::run(&["--seeds".into(), chunk, "--checkpoint".into(), place])?;
        next += SEEDS_PER_CHUNK;
    }
    println!("ci: seeds {first}..{next} are clean");
    Ok(())
}

/// Where a commit's seeds begin.
fn first_seed(commit: &str) -> Result<u64, String> {
    let head = commit.get(..8).unwrap_or_default();
    let number =
        u32::from_str_radix(head, 16).map_err(|_| format!("{commit:?} is not a commit's name"))?;
    Ok(u64::from(number) * SEEDS_PER_COMMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_seeds_of_its_own() {
        let first = first_seed("0000000bd1e2").unwrap();
        assert_eq!(first, 11 * SEEDS_PER_COMMIT);
        assert!(first_seed("ffffffff00").unwrap() > first);
        assert!(first_seed("not a commit").is_err());
    }
}
