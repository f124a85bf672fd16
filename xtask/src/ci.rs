//! `cargo xtask ci`: the whole gate, the same on a laptop and in CI. Steps run in order, each
//! prints what it took; the first that fails ends the run.

mod deny;

use crate::run::{cargo, checked, exists, flag, only_flags};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Seeds of one run of the gate: three and a half days of a cluster's life. Longer ranges are
/// `cargo xtask sim`'s.
const SEEDS_PER_RUN_MAX: u64 = 5_000;
/// Seeds that a commit has for itself.
const SEEDS_PER_COMMIT: u64 = 10_000_000;
/// What the tests may leave out for want of the right to mount, by the name that they know.
const MOUNT: &str = "mount";
/// What they may leave out for want of a C compiler that makes libraries.
const COMPILER: &str = "cc";

/// What a step didn't do, and why; a step that did all says nothing.
pub type NotRun = Vec<String>;

/// A step's name, the time it is meant to take, and what it does.
struct Step {
    name: &'static str,
    budget: Duration,
    act: Act,
}

type Act = Box<dyn Fn() -> Result<NotRun, String>>;

/// Runs the gate. `--skip NAME[,NAME]` leaves steps out; `--seed-minutes N`, `--planted-minutes N`
/// and `--e2e-minutes N` set how long the open-ended steps look for trouble.
pub fn run(args: &[String]) -> Result<(), String> {
    let minutes = ["--seed-minutes", "--planted-minutes", "--e2e-minutes"];
    only_flags(args, &[&minutes[..], &["--skip"]].concat(), &[])?;
    let seeds: u64 = flag(args, minutes[0])?.unwrap_or(10);
    let planted: u64 = flag(args, minutes[1])?.unwrap_or(2);
    let end_to_end: u64 = flag(args, minutes[2])?.unwrap_or(5);
    let skip: String = flag(args, "--skip")?.unwrap_or_default();
    let skipped: Vec<&str> = skip.split(',').filter(|name| !name.is_empty()).collect();
    let steps = steps(seeds, planted, end_to_end);
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
    let mut not_run = NotRun::new();
    for step in &steps {
        if skipped.contains(&step.name) {
            println!("ci: {:<7} skipped by --skip", step.name);
            not_run.push(format!("{} (--skip)", step.name));
        } else {
            not_run.extend(timed(step)?);
        }
    }
    println!("ci: {}", verdict(&not_run));
    Ok(())
}

/// The last line: nobody is to take for tried what wasn't.
fn verdict(not_run: &[String]) -> String {
    if not_run.is_empty() {
        return "all green".to_owned();
    }
    format!("green, not run: {}", not_run.join("; "))
}

fn steps(seed_minutes: u64, planted_minutes: u64, e2e_minutes: u64) -> Vec<Step> {
    let step = |name, minutes, act: Act| Step {
        name,
        budget: Duration::from_secs(60 * minutes),
        act,
    };
    vec![
        step(
            "fmt",
            1,
            all(|| checked(cargo().args(["fmt", "--all", "--check"]))),
        ),
        step("clippy", 6, all(clippy)),
        step("tidy", 1, all(|| crate::tidy::run(&[]))),
        step("deny", 1, all(deny::check)),
        step("test", 12, Box::new(tests)),
        step(
            "seeds",
            seed_minutes + 3,
            all(move || fresh_seeds(seed_minutes)),
        ),
        step(
            "planted",
            planted_minutes + 2,
            all(move || planted_bugs(planted_minutes)),
        ),
        step(
            "e2e",
            e2e_minutes + 8,
            Box::new(move || crate::e2e::gate(e2e_minutes)),
        ),
    ]
}

/// A step that does all of what it is for, or fails.
fn all(act: impl Fn() -> Result<(), String> + 'static) -> Act {
    Box::new(move || act().map(|()| NotRun::new()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a step's time is shown to people"
)]
fn timed(step: &Step) -> Result<NotRun, String> {
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
        (Ok(_), true) => "ok, over its budget",
        (Ok(_), false) => "ok",
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

/// Runs all tests. What this machine can't do is left out by name; a test that leaves out more
/// than that fails.
fn tests() -> Result<NotRun, String> {
    let mut not_run = NotRun::new();
    let mut may = Vec::new();
    if !mounts() {
        may.push(MOUNT);
        not_run.push("tests of a full disk (nobody may mount here)".to_owned());
    }
    if !exists("cc", "--version") {
        may.push(COMPILER);
        not_run.push("tests of failing syncs (no C compiler)".to_owned());
    }
    let mut command = cargo();
    command.args(["test", "--workspace"]);
    checked(command.env("E2E_MAY_SKIP", may.join(",")))?;
    Ok(not_run)
}

/// True if a small disk can be mounted, in a namespace of its own if need be.
fn mounts() -> bool {
    let mut mount = Command::new("unshare");
    mount.args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    let status = mount.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn commit() -> Result<String, String> {
    crate::run::output(Command::new("git").args(["rev-parse", "HEAD"]))
}

/// Runs seeds that no other commit has run, until the time is up; the simulator prints the range
/// and judges the marks of all of it. It begins where the commit says, so that a red run can be had again, and a green one too.
fn fresh_seeds(minutes: u64) -> Result<(), String> {
    let first = first_seed(&commit()?)?;
    let checkpoint = crate::run::target_directory()?.join("ci-seeds.txt");
    crate::sim::build()?;
    let range = format!("{first}..{}", first + SEEDS_PER_RUN_MAX);
    let place = checkpoint.to_string_lossy().into_owned();
    let minutes = minutes.to_string();
    let words = [
        "--seeds",
        &range,
        "--minutes",
        &minutes,
        "--checkpoint",
        &place,
    ];
    crate::sim::run(&words.map(str::to_owned))
}

/// Plants bugs until the time is up, beginning with another one for each commit, so that all have
/// their turn.
fn planted_bugs(minutes: u64) -> Result<(), String> {
    let from = first_seed(&commit()?)? / SEEDS_PER_COMMIT;
    crate::sim::build()?;
    let (from, minutes) = (from.to_string(), minutes.to_string());
    let words = ["--planted", "--from", &from, "--minutes", &minutes];
    crate::sim::run(&words.map(str::to_owned))
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
    fn what_was_not_run_is_named() {
        assert_eq!(verdict(&[]), "all green");
        let some = ["seeds (--skip)".to_owned(), "java (no mvn)".to_owned()];
        assert_eq!(
            verdict(&some),
            "green, not run: seeds (--skip); java (no mvn)"
        );
    }

    #[test]
    fn a_commit_has_seeds_of_its_own() {
        let first = first_seed("0000000bd1e2").unwrap();
        assert_eq!(first, 11 * SEEDS_PER_COMMIT);
        assert!(first_seed("ffffffff00").unwrap() > first);
        assert!(first_seed("not a commit").is_err());
    }
}
