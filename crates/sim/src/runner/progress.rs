//! How far a range is, how fast it goes, and the checkpoint from which another start goes on.

use super::{Options, Seed};
use crate::world::Tally;
use base::Mark;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// Progress of a range.
pub(super) struct Progress {
    seeds: Range<u64>,
    /// All seeds below this one are done.
    upto: u64,
    /// Done ones above it.
    ahead: BTreeSet<u64>,
    done: u64,
    failed: u64,
    begun: Instant,
    told: Instant,
    cpu_before: f64,
    tally: Tally,
    checkpoint: std::path::PathBuf,
    old_marks: BTreeMap<Mark, u64>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rate is told to a human; no run sees a clock"
)]
fn wall() -> Instant {
    Instant::now()
}

/// How long seeds may go on beginning.
pub(super) struct Limit(Option<Instant>);

impl Limit {
    /// From now on.
    pub(super) fn begin(options: &Options) -> Limit {
        let minutes = options.minutes;
        Limit(minutes.map(|minutes| wall() + Duration::from_secs(60 * minutes)))
    }

    /// True if the time is up.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_some_and(|end| wall() >= end)
    }
}

/// CPU seconds of this process: fields 14 and 15 of its line in /proc, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = line.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

impl Progress {
    /// Begins, or goes on from the checkpoint of the same range.
    pub(super) fn begin(options: &Options) -> Progress {
        let mut progress = Progress {
            seeds: options.seeds.clone(),
            upto: options.seeds.start,
            ahead: BTreeSet::new(),
            done: 0,
            failed: 0,
            begun: wall(),
            told: wall(),
            cpu_before: cpu_seconds(),
            tally: Tally::default(),
            checkpoint: options.checkpoint.clone(),
            old_marks: BTreeMap::new(),
        };
        if options.resume {
            progress.resume();
        }
        progress
    }

    fn resume(&mut self) {
        let text = std::fs::read_to_string(&self.checkpoint).unwrap_or_default();
        let mut lines = text.lines();
        let seeds = format!("seeds {}..{}", self.seeds.start, self.seeds.end);
        if lines.next() != Some(&seeds) {
            println!("no checkpoint of {seeds}: from the start");
            return;
        }
        for line in lines {
            let Some((name, value)) = line.split_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            match Mark::ALL.iter().find(|mark| mark.name() == name) {
                Some(mark) => drop(self.old_marks.insert(*mark, value)),
                None if name == "upto" => self.upto = value.max(self.seeds.start),
                None => {}
            }
        }
        println!("on from seed {}", self.upto);
    }

    /// Marks of the seeds before the checkpoint.
    pub(super) fn marks(&self) -> BTreeMap<Mark, u64> {
        self.old_marks.clone()
    }

    /// Seeds to run.
    pub(super) fn left(&self) -> Range<u64> {
        self.upto..self.seeds.end
    }

    /// Seeds of the range that are done, all of those before the first one that isn't.
    pub(super) fn range(&self) -> Range<u64> {
        self.seeds.start..self.upto
    }

    /// How many that are.
    pub(super) fn total(&self) -> u64 {
        self.upto - self.seeds.start
    }

    /// A seed is done.
    pub(super) fn done(&mut self, seed: &Seed, marks: &BTreeMap<Mark, u64>) {
        self.done += 1;
        self.failed += u64::from(seed.run.outcome.violation.is_some() || seed.unstable);
        let (sum, one) = (&mut self.tally, &seed.run.outcome.tally);
        sum.events += one.events;
        sum.operations += one.operations;
        sum.produced += one.produced;
        sum.consumed += one.consumed;
        sum.commits += one.commits;
        sum.faults += one.faults;
        sum.elections += one.elections;
        sum.given_up += one.given_up;
        sum.virtual_us += one.virtual_us;
        self.ahead.insert(seed.seed);
        while self.ahead.remove(&self.upto) {
            self.upto += 1;
        }
        if self.told.elapsed() >= EVERY {
            self.told = wall();
            println!("{}", self.line());
            self.save(marks);
        }
    }

    fn line(&self) -> String {
        let cpu = (cpu_seconds() - self.cpu_before).max(0.01);
        format!(
            "{} of {} seeds, {} failed, {:.0} seeds per CPU minute, {:.0} s",
            self.upto - self.seeds.start,
            self.seeds.end - self.seeds.start,
            self.failed,
            self.done as f64 * 60.0 / cpu,
            self.begun.elapsed().as_secs_f64()
        )
    }

    fn save(&self, marks: &BTreeMap<Mark, u64>) {
        let mut text = format!(
            "seeds {}..{}\nupto {}\n",
            self.seeds.start, self.seeds.end, self.upto
        );
        for (mark, count) in marks {
            text.push_str(&format!("{} {count}\n", mark.name()));
        }
        if let Some(dir) = self.checkpoint.parent() {
            let _ = std::fs::create_dir_all(dir);
        }
        if let Err(error) = std::fs::write(&self.checkpoint, text) {
            println!("the checkpoint can't be written: {error}");
        }
    }

    /// The range is done: the report.
    pub(super) fn end(&self, marks: &BTreeMap<Mark, u64>) {
        self.save(marks);
        println!("{}", self.line());
        let (sum, runs) = (&self.tally, self.done.max(1));
        println!(
            "a run on average: {} events, {} calls, {} batches acknowledged, {} records read, {} offsets committed, \
             {} faults, {} leaders elected, {} virtual s; {} nodes gave up in all",
            sum.events / runs,
            sum.operations / runs,
            sum.produced / runs,
            sum.consumed / runs,
            sum.commits / runs,
            sum.faults / runs,
            sum.elections / runs,
            sum.virtual_us / runs / 1_000_000,
            sum.given_up
        );
        let marks: Vec<String> = marks
            .iter()
            .map(|(mark, count)| format!("{} {count}", mark.name()))
            .collect();
        println!("marks: {}", marks.join(", "));
    }
}
