//! A rolling upgrade: three nodes of an older binary, each in turn told to stop and started again
//! as the newer one, one of them back and forth, over the same data and under load. Then the upgrade
//! is finalised and everything is read back.

use crate::fleet::Fleet;
use crate::tool::Tool;
use crate::writers::{FAST, Load};
use crate::{judge, replicas, wait};
use std::path::Path;

/// The topic under load.
const TOPIC: &str = "upgrade";
const PARTITIONS: i32 = 6;
/// Batches that every partition gets acknowledged between two steps.
const BATCHES_BETWEEN: usize = 20;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What became of the cluster's level.
    pub level: String,
    /// Records acknowledged.
    pub acked: u64,
    /// Everything that is wrong.
    pub problems: Vec<String>,
}

/// Rolls a fleet over directories in `place` from one binary to another. If it `rises` the newer one
/// has to know a level that the older one doesn't.
pub fn run((old, new): (&Path, &Path), rises: bool, place: &Path) -> Report {
    let mut report = Report::default();
    let mut fleet = Fleet::start_as(old, place, &[]);
    if let Err(problem) = roll(&mut report, &mut fleet, (old, new)) {
        report.problems.push(problem);
    } else if rises && !report.level.contains(ROSE) {
        let problem = format!("the level was to rise: {}", report.level);
        report.problems.push(problem);
    }
    match fleet.stop() {
        Ok(directories) => report.problems.extend(replicas::differences(&directories)),
        Err(problem) => report.problems.push(problem),
    }
    report
}

fn roll(report: &mut Report, fleet: &mut Fleet, (old, new): (&Path, &Path)) -> Result<(), String> {
    let partitions = PARTITIONS.to_string();
    let args = ["--partitions", &partitions, "--replicas", "3"];
    let durable = ["--config", "min.insync.replicas=2"];
    Tool::new(&fleet.bootstrap()).create(TOPIC, &[&args[..], &durable].concat());
    fleet.settle(TOPIC)?;
    let load = Load::start(&fleet.bootstrap(), TOPIC, PARTITIONS, FAST);
    load.progress(BATCHES_BETWEEN)?;
    // The second node goes back once: until the upgrade is finalised any of them may.
    let steps = [(1, new), (2, new), (2, old), (2, new), (3, new)];
    for (id, binary) in steps {
        fleet.leave(id)?;
        load.progress(BATCHES_BETWEEN)?;
        fleet.restart_as(binary, id);
        fleet.settle(TOPIC)?;
        load.progress(BATCHES_BETWEEN)?;
        let deaths = fleet.deaths();
        if !deaths.is_empty() {
            return Err(deaths.join("; "));
        }
    }
    report.level = finalize(&fleet.bootstrap())?;
    load.progress(BATCHES_BETWEEN)?;
    let history = load.finish()?;
    let acks = history.written.values().flat_map(|written| &written.acks);
    report.acked = acks.map(|ack| u64::from(ack.records)).sum();
    report.problems.extend(judge::problems(&history));
    Ok(())
}

/// What the tool says where the level rose.
const ROSE: &str = "the cluster went from level";

/// The last node says what it can read a moment after it is in sync.
fn finalize(bootstrap: &str) -> Result<String, String> {
    let tool = Tool::new(bootstrap);
    let ready = || (tool.run(&["cluster", "finalize", "--dry-run"]).code == Some(0)).then_some(());
    wait::patiently("every node knows the newest level", ready)?;
    let said = tool.run(&["cluster", "finalize"]).ok();
    let again = tool.run(&["cluster", "finalize"]).ok();
    match again.contains("the newest") {
        true => Ok(said.trim().to_owned()),
        false => Err(format!("the upgrade isn't final: {again}")),
    }
}
