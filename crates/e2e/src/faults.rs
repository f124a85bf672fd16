//! A fleet under load while its leaders are killed or stopped in turn, and what came of it.

use crate::fleet::Fleet;
use crate::history::History;
use crate::judge;
use crate::replicas;
use crate::tool::Tool;
use crate::wait;
use crate::writers::{FAST, Load, Manner};
use cli::client::Deadline;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// The topic under load.
const TOPIC: &str = "faults";
/// Batches that every partition gets acknowledged between two faults.
const BATCHES_BETWEEN: usize = 20;

/// A gap is too long at so many times the aim. The aims are those of a machine with nothing else to
/// do; one that is busy is slower, but not by that much.
const TOO_LONG: u32 = 5;
/// Gaps of which the median is worth something.
const MEDIAN_OF: usize = 5;

/// How long partitions were to be without an acknowledgement on a quiet machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aim {
    median: Duration,
    longest: Duration,
}

/// What is done to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, then started again.
    Kill,
    /// SIGSTOP until the others have taken over, then SIGCONT.
    Stop,
    /// SIGTERM, then started again.
    Leave,
    /// Nothing, for all the time: leaders have no reason to change.
    Calm,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is done.
    pub fault: Fault,
    /// How often.
    pub times: usize,
    /// Partitions under load.
    pub partitions: i32,
    /// Writers go where an answer points to (KIP-951), or always ask who leads.
    pub hints: bool,
    /// No new fault begins after this long.
    pub within: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// Faults that were done.
    pub done: usize,
    /// Records acknowledged.
    pub acked: u64,
    /// For each fault the longest time that a partition which it hit was without an
    /// acknowledgement.
    pub gaps: Vec<Duration>,
    /// Everything that is wrong.
    pub problems: Vec<String>,
}

/// One fault: when, and which partitions the victim led.
struct Hit {
    at: Instant,
    partitions: Vec<i32>,
}

/// Runs a plan over directories in `place`.
pub fn run(plan: Plan, place: &Path) -> Report {
    let mut report = Report {
        plan,
        done: 0,
        acked: 0,
        gaps: Vec::new(),
        problems: Vec::new(),
    };
    let mut fleet = Fleet::start(place, &[]);
    if let Err(problem) = carry_out(&mut report, &mut fleet) {
        report.problems.push(problem);
    }
    match fleet.stop() {
        Ok(directories) => report.problems.extend(replicas::differences(&directories)),
        Err(problem) => report.problems.push(problem),
    }
    report
}

fn carry_out(report: &mut Report, fleet: &mut Fleet) -> Result<(), String> {
    let plan = report.plan;
    let partitions = plan.partitions.to_string();
    let args = [
        "--partitions",
        &partitions,
        "--replicas",
        "3",
        "--config",
        "min.insync.replicas=2",
    ];
    Tool::new(&fleet.bootstrap()).create(TOPIC, &args);
    fleet.settle(TOPIC)?;
    let manner = Manner {
        hints: plan.hints,
        ..FAST
    };
    let load = Load::start(&fleet.bootstrap(), TOPIC, plan.partitions, manner);
    load.progress(BATCHES_BETWEEN)?;
    let mut hits = Vec::new();
    match plan.fault {
        Fault::Calm => hits.push(calm(plan, fleet, &load, &mut report.problems)?),
        Fault::Kill | Fault::Stop | Fault::Leave => {
            let end = wait::now() + plan.within;
            while hits.len() < plan.times && wait::now() < end {
                hits.push(strike(plan, hits.len(), fleet, &load)?);
            }
        }
    }
    let finished = wait::now();
    let history = load.finish()?;
    report.done = hits.len();
    report.acked = acked(&history);
    report.gaps = gaps(&history, &hits, finished);
    report.problems.extend(judge::problems(&history));
    fleet.settle(TOPIC)
}

/// Leaves the fleet alone under its load for all the time: no leader may change.
fn calm(plan: Plan, fleet: &Fleet, load: &Load, problems: &mut Vec<String>) -> Result<Hit, String> {
    let at = wait::now();
    let before = leaders(fleet, plan.partitions)?;
    while at.elapsed() < plan.within {
        load.progress(BATCHES_BETWEEN)?;
    }
    let after = leaders(fleet, plan.partitions)?;
    if before != after {
        problems.push(format!(
            "leaders and epochs went from {before:?} to {after:?}"
        ));
    }
    Ok(Hit {
        at,
        partitions: (0..plan.partitions).collect(),
    })
}

/// Hits the leader of one partition, waits until everything goes on, and heals the fleet.
fn strike(plan: Plan, number: usize, fleet: &mut Fleet, load: &Load) -> Result<Hit, String> {
    let leaders = leaders(fleet, plan.partitions)?;
    let (victim, _) = leaders[number % leaders.len()];
    let led = |(partition, (leader, _)): (usize, &(i32, i32))| {
        (*leader == victim).then_some(partition as i32)
    };
    let partitions = leaders.iter().enumerate().filter_map(led).collect();
    let at = wait::now();
    match plan.fault {
        Fault::Kill => fleet.kill(victim),
        Fault::Stop => fleet.node(victim).signal(Signal::STOP),
        Fault::Leave => fleet.leave(victim)?,
        Fault::Calm => unreachable!("nothing is struck in a calm run"),
    }
    let taken_over = load.progress(BATCHES_BETWEEN);
    match plan.fault {
        Fault::Kill | Fault::Leave => fleet.restart(victim),
        Fault::Stop => fleet.node(victim).signal(Signal::CONT),
        Fault::Calm => unreachable!("nothing is struck in a calm run"),
    }
    taken_over?;
    fleet.settle(TOPIC)?;
    load.progress(BATCHES_BETWEEN)?;
    match fleet.deaths() {
        deaths if deaths.is_empty() => Ok(Hit { at, partitions }),
        deaths => Err(deaths.join("; ")),
    }
}

/// The leader of each partition and its epoch, in order.
fn leaders(fleet: &Fleet, partitions: i32) -> Result<Vec<(i32, i32)>, String> {
    let mut client = fleet.client();
    wait::patiently("a leader for every partition", || {
        let known = client
            .topic_as_known(TOPIC, Deadline::after(Duration::from_secs(5)))
            .ok()?;
        let leader = |index| {
            let found = known.partitions.iter().find(|p| p.partition_index == index);
            found
                .map(|p| (p.leader_id, p.leader_epoch))
                .filter(|(leader, _)| *leader > 0)
        };
        (0..partitions).map(leader).collect()
    })
}

fn acked(history: &History) -> u64 {
    let acks = history.written.values().flat_map(|written| &written.acks);
    acks.map(|ack| u64::from(ack.records)).sum()
}

fn gaps(history: &History, hits: &[Hit], finished: Instant) -> Vec<Duration> {
    let mut gaps = Vec::new();
    for (number, hit) in hits.iter().enumerate() {
        let to = hits.get(number + 1).map_or(finished, |next| next.at);
        let gap = |partition: &i32| judge::longest_gap(&history.written[partition], hit.at, to);
        gaps.push(hit.partitions.iter().map(gap).max().unwrap_or_default());
    }
    gaps
}

impl Report {
    /// For other programs.
    pub fn json(&self) -> Value {
        let (median, max) = judge::median_and_max(&self.gaps);
        let ms = |time: &Duration| time.as_millis() as u64;
        json!({
            "fault": self.plan.name(),
            "times": self.done,
            "partitions": self.plan.partitions,
            "records_acknowledged": self.acked,
            "gap_median_ms": ms(&median),
            "gap_max_ms": ms(&max),
            "gaps_ms": self.gaps.iter().map(ms).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }

    /// A row of the table in the documentation.
    pub fn row(&self) -> String {
        let (median, max) = judge::median_and_max(&self.gaps);
        format!(
            "| {} | {} | {} | {} | {} ms | {} ms | {} |",
            self.plan.name(),
            self.done,
            self.plan.partitions,
            self.acked,
            median.as_millis(),
            max.as_millis(),
            if self.problems.is_empty() {
                "none".to_owned()
            } else {
                self.problems.len().to_string()
            },
        )
    }
}

impl Plan {
    /// None where no leader is hit: then the load and the disk alone say how long a gap is.
    fn aim(self) -> Option<Aim> {
        let (median, longest) = match (self.fault, self.hints) {
            (Fault::Kill, _) => (700, 1_500),
            (Fault::Stop, _) => (1_200, 2_000),
            (Fault::Leave, true) => (50, 500),
            (Fault::Leave, false) => (300, 1_000),
            (Fault::Calm, _) => return None,
        };
        Some(Aim {
            median: Duration::from_millis(median),
            longest: Duration::from_millis(longest),
        })
    }

    /// Which gaps are far from the aim; of few gaps the median says nothing.
    pub fn too_long(self, gaps: &[Duration]) -> Vec<String> {
        let Some(aim) = self.aim() else {
            return Vec::new();
        };
        let (median, longest) = judge::median_and_max(gaps);
        let measured = [
            ("median", median, aim.median),
            ("longest", longest, aim.longest),
        ];
        let too_long = measured.into_iter().filter(|(name, gap, aim)| {
            let judged = *name == "longest" || gaps.len() >= MEDIAN_OF;
            judged && *gap > *aim * TOO_LONG
        });
        let problem = |(name, gap, aim): (&str, Duration, Duration)| {
            let (gap, bound) = (gap.as_millis(), (aim * TOO_LONG).as_millis());
            format!(
                "{}: the {name} gap is {gap} ms, above {bound} ms",
                self.name()
            )
        };
        too_long.map(problem).collect()
    }

    /// As people call it.
    fn name(self) -> &'static str {
        match (self.fault, self.hints) {
            (Fault::Kill, _) => "kill -9 of a leader",
            (Fault::Stop, _) => "SIGSTOP of a leader",
            (Fault::Leave, true) => "SIGTERM of a leader",
            (Fault::Leave, false) => "SIGTERM of a leader, clients without KIP-951",
            (Fault::Calm, _) => "none",
        }
    }
}

/// The head of the table that [`Report::row`] fills.
pub const TABLE_HEAD: &str = "\
| fault | times | partitions | records acknowledged | median gap | longest gap | problems |
|---|---:|---:|---:|---:|---:|---:|";

#[cfg(test)]
mod tests {
    use super::*;

    fn too_long(fault: Fault, gaps: &[u64]) -> Vec<String> {
        let plan = Plan {
            fault,
            times: gaps.len(),
            partitions: 1,
            hints: true,
            within: Duration::ZERO,
        };
        let gaps: Vec<Duration> = gaps.iter().copied().map(Duration::from_millis).collect();
        plan.too_long(&gaps)
    }

    #[test]
    fn gaps_far_from_the_aim_are_problems_and_a_busy_machine_is_none() {
        assert!(too_long(Fault::Kill, &[690, 700, 7_400]).is_empty());
        assert_eq!(
            too_long(Fault::Kill, &[690, 700, 7_600]),
            ["kill -9 of a leader: the longest gap is 7600 ms, above 7500 ms"]
        );
        assert!(too_long(Fault::Stop, &[6_100, 6_100, 6_100]).is_empty());
        let slow = too_long(Fault::Stop, &[6_100; MEDIAN_OF]);
        assert!(slow.len() == 1 && slow[0].contains("median"), "{slow:?}");
        assert_eq!(too_long(Fault::Leave, &[20, 20, 2_600]).len(), 1);
        assert!(too_long(Fault::Calm, &[60_000]).is_empty());
        assert!(too_long(Fault::Kill, &[]).is_empty());
    }
}
