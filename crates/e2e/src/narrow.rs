//! A node that was away comes back behind a narrow line: what it lacks must leave the line to what it is told
//! meanwhile, or its clients wait until all of that has come.

use crate::lan::{self, Lan};
use crate::{Fleet, Setup, Tool, wait};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The node behind the line.
const BEHIND: i32 = 3;
const PARTITIONS: &str = "60";
/// Bytes of a line that is produced, and lines in a call.
const LINE_BYTES: usize = 10_000;
const LINES: usize = 5_000;
/// What a topic may take that is made by way of the node.
const SLOWEST_MAX: Duration = Duration::from_secs(5);
/// What the tool may take for it, so that more is a figure and no error.
const PATIENCE: &str = "300";

/// What was seen.
#[derive(Debug)]
pub struct Report {
    megabytes: usize,
    mbit: u32,
    /// From the start of the node until everything was in sync.
    synced: Duration,
    /// Topics that were made by way of it meanwhile, and what the slowest took.
    made: u32,
    slowest: Duration,
}

impl Report {
    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "megabytes": self.megabytes,
            "mbit": self.mbit,
            "in_sync_after_s": self.synced.as_secs(),
            "topics_made": self.made,
            "slowest_ms": self.slowest.as_millis() as u64,
        })
    }

    /// What isn't as it should be.
    pub fn problem(&self) -> Option<String> {
        (self.slowest > SLOWEST_MAX).then(|| {
            format!(
                "a topic took {} ms by way of a node that catches up, more than {}",
                self.slowest.as_millis(),
                SLOWEST_MAX.as_millis()
            )
        })
    }
}

/// Writes so much while the node is away, in a namespace of its own ([`Lan::make`]).
pub fn run(mbit: u32, megabytes: usize, place: &Path) -> Result<Report, String> {
    let lan = Lan::make(3)?;
    lan.narrow(BEHIND as u32, mbit)?;
    let host = |id: i32| lan::address(id as u32);
    let mut fleet = Fleet::start_arranged(1..=3, host, |id, setup| {
        let name = lan::namespace(id as u32);
        Setup {
            data: place.join(&name),
            namespace: Some(name),
            ..setup
        }
    });
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", PARTITIONS, "--replicas", "3"]);
    fleet.settle("t")?;
    fleet.kill(BEHIND);
    let lines = vec!["x".repeat(LINE_BYTES); LINES];
    for _ in 0..(megabytes * 1_000_000).div_ceil(LINE_BYTES * LINES) {
        tool.produce("t", &lines);
    }
    let begin = wait::now();
    fleet.restart(BEHIND);
    let by_it = Tool::new(&fleet.node(BEHIND).kafka);
    let (mut made, mut slowest) = (0, Duration::ZERO);
    loop {
        let asked = wait::now();
        by_it.create(&format!("new-{made}"), &["--timeout", PATIENCE]);
        made += 1;
        slowest = slowest.max(asked.elapsed());
        if tool.run(&["cluster", "health"]).code == Some(0) {
            break;
        }
    }
    let synced = begin.elapsed();
    fleet.stop()?;
    Ok(Report {
        megabytes,
        mbit,
        synced,
        made,
        slowest,
    })
}
