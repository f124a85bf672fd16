//! Runs ranges of seeds: on several threads, with progress, a checkpoint to go on from, and a
//! report that names each failing seed with the command that shows it again.

mod breaks;
mod options;
mod planted;
mod progress;
mod replay;

pub use options::Options;

use crate::run::{self, Run};
use base::Mark;
use progress::{Limit, Progress};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// Failing seeds after which a range is given up.
const FAILURES_MAX: usize = 20;
/// Of so many seeds one is run twice to compare the traces.
const TWICE_EVERY: u64 = 25;
/// In a range at least this long every mark must be hit.
const MARKS_DUE: u64 = 2_000;
/// Marks that only runs with lost metadata hit are rare in such a range. What it missed is looked
/// for in the runs of that kind among so many seeds after it, about one of eighty.
const RUINED_AMONG: u64 = 16_000;

/// What became of a seed.
pub(crate) struct Seed {
    pub(crate) seed: u64,
    pub(crate) run: Run,
    /// Run again, the trace was another.
    pub(crate) unstable: bool,
}

/// Does what the options say; true if all is well.
pub fn start(options: &Options) -> bool {
    run::catch_panics();
    match options {
        Options { planted: true, .. } => planted::table(options),
        Options {
            seed: Some(seed), ..
        } => replay::one(*seed, options),
        _ => range(options),
    }
}

/// Runs seeds, or only those with lost quorums of metadata, on `jobs` threads and hands each result to `take` as it comes; stops when `take`
/// says so.
pub(crate) fn each(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    (bug, ruined): (Option<base::Bug>, bool),
    mut take: impl FnMut(Seed) -> bool,
) {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, stop, end) = (sender.clone(), &next, &stop, seeds.end);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed < end && ruined && !run::is_ruined(seed) {
                        continue;
                    }
                    if seed >= end || sender.send(one(seed, bug)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for result in receiver {
            if stop.load(Ordering::Relaxed) {
                continue;
            }
            if !take(result) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
}

fn one(seed: u64, bug: Option<base::Bug>) -> Seed {
    let run = run::run(seed, bug, false);
    let again = bug.is_none() && seed.is_multiple_of(TWICE_EVERY);
    let unstable = again && run::run(seed, bug, false).outcome.hash != run.outcome.hash;
    Seed {
        seed,
        run,
        unstable,
    }
}

fn range(options: &Options) -> bool {
    let mut progress = Progress::begin(options);
    let mut marks: BTreeMap<Mark, u64> = progress.marks();
    let mut failures: Vec<u64> = Vec::new();
    let limit = Limit::begin(options);
    each(
        progress.left(),
        options.jobs,
        (None, options.ruined),
        |seed| {
            count(&mut marks, &seed);
            failures.extend(told(&seed));
            progress.done(&seed, &marks);
            failures.len() < FAILURES_MAX && !limit.is_over()
        },
    );
    progress.end(&marks);
    let due = progress.total() >= MARKS_DUE;
    if due && failures.is_empty() && !missing(&marks).is_empty() {
        failures.extend(look_further(options, &mut marks));
    }
    if !failures.is_empty() {
        println!("{} failing seeds: {failures:?}", failures.len());
    }
    let all_hit = judged(&missing(&marks), due);
    let (done, verdict) = (progress.range(), failures.is_empty());
    let verdict = if verdict { "are clean" } else { "are not" };
    println!("seeds {}..{} {verdict}", done.start, done.end);
    failures.is_empty() && (all_hit || !due)
}

/// Runs seeds after the range in which metadata is lost, until every mark is hit.
fn look_further(options: &Options, marks: &mut BTreeMap<Mark, u64>) -> Vec<u64> {
    let (mut failures, mut runs) = (Vec::new(), 0);
    let after = options.seeds.end..options.seeds.end.saturating_add(RUINED_AMONG);
    each(after, options.jobs, (None, true), |seed| {
        runs += 1;
        count(marks, &seed);
        failures.extend(told(&seed));
        failures.is_empty() && !missing(marks).is_empty()
    });
    println!("{runs} seeds more, with lost metadata, for the marks that the range had missed");
    failures
}

fn count(marks: &mut BTreeMap<Mark, u64>, seed: &Seed) {
    for (mark, count) in &seed.run.marks {
        *marks.entry(*mark).or_insert(0) += count;
    }
}

/// A seed that failed is shown, with how to see it again.
fn told(seed: &Seed) -> Option<u64> {
    let what = complaint(seed)?;
    println!("seed {}: {what}", seed.seed);
    println!("    again: cargo xtask sim --seed {} --trace", seed.seed);
    Some(seed.seed)
}

fn missing(marks: &BTreeMap<Mark, u64>) -> Vec<&'static str> {
    let never = Mark::ALL.iter().filter(|mark| !marks.contains_key(mark));
    never.map(|mark| mark.name()).collect()
}

/// Says what became of the marks; true if all were hit.
fn judged(missing: &[&str], due: bool) -> bool {
    let (all, hit) = (Mark::ALL.len(), Mark::ALL.len() - missing.len());
    let judged = if due {
        "judged"
    } else {
        "too few seeds to judge them"
    };
    println!("{hit} of {all} marks were hit ({judged})");
    if !missing.is_empty() {
        println!("marks never hit: {}", missing.join(", "));
    }
    missing.is_empty()
}

fn complaint(seed: &Seed) -> Option<String> {
    let broken = seed.run.outcome.violation.as_ref();
    let broken = broken.map(|violation| format!("{}: {}", violation.checker, violation.what));
    broken.or_else(|| {
        seed.unstable
            .then(|| "two runs of it had different traces".to_string())
    })
}
