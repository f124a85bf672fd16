//! Carries moves out: so many partitions at a time, watched until they are there, each then led by
//! its first replica. What was asked for goes on in the cluster whether or not this process lives;
//! who runs the command again goes on from there. What is asked for next is decided in
//! [`super::convoy`].

use super::convoy::{Convoy, Report, Seen};
use super::plan::Move;
use super::survey::{self, Name};
use crate::args::Pace;
use crate::client::deadline::sleep;
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::cluster_info::room;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use wire_kafka::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use wire_kafka::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long one node is waited for that is asked what it holds: that is only for show.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks which nodes are full.
const FULL_LOOK: Duration = Duration::from_secs(1);
/// The least time for one round of questions.
const ROUND_LEAST: Duration = Duration::from_secs(5);
/// Characters of a bar.
const BAR: usize = 20;

/// Carries moves out. Without any progress for as long as `--timeout` says it gives up; what was asked
/// for goes on all the same.
pub fn carry(cluster: &mut Cluster, pace: &Pace, mut convoy: Convoy) -> Result<Report, Trouble> {
    let patience = pace.target.timeout;
    let mut shown = Shown::default();
    let mut rooms = Rooms::default();
    let mut last = convoy.ahead();
    let mut deadline = Deadline::after(patience);
    let quiet = convoy.told().1 == 0;
    while !convoy.is_over() {
        // An answer may come after there was no progress for too long: then it is said what waits.
        let soon = Deadline::after(deadline.left().unwrap_or_default().max(ROUND_LEAST));
        let mut seen = survey::placed(cluster, soon)?;
        rooms.look(cluster, &convoy.in_question(&seen), soon);
        survey::mark_full(&mut seen, &rooms.full);
        convoy.land(&seen);
        launch(cluster, &mut convoy, &seen, soon)?;
        prefer(cluster, &convoy.unled(&seen), soon)?;
        measure(cluster, &mut convoy, soon);
        if !quiet {
            let (done, count, line) = convoy.told();
            shown.show(done, count, &line);
        }
        let now = convoy.ahead();
        if now != last {
            (last, deadline) = (now, Deadline::after(patience));
        } else if deadline.left().is_none() {
            shown.end();
            return Err(stuck(&convoy, &seen));
        }
        sleep(LOOK);
    }
    shown.end();
    Ok(convoy.report())
}

/// Which nodes are full, as known for a moment.
#[derive(Default)]
struct Rooms {
    asked: BTreeMap<i32, Deadline>,
    full: BTreeSet<i32>,
}

impl Rooms {
    fn look(&mut self, cluster: &mut Cluster, nodes: &BTreeSet<i32>, deadline: Deadline) {
        self.asked.retain(|_, fresh| fresh.left().is_some());
        for node in nodes {
            if self.asked.contains_key(node) {
                continue;
            }
            match room::closed(cluster, *node, deadline.within(SHOWN_WITHIN)).full {
                true => self.full.insert(*node),
                false => self.full.remove(node),
            };
            self.asked.insert(*node, Deadline::after(FULL_LOOK));
        }
    }
}

fn stuck(convoy: &Convoy, seen: &Seen) -> Trouble {
    match convoy.stuck(seen) {
        // More time is of no use.
        (what, true) => Trouble::Unhealthy {
            what: format!(
                "gave up: {what}; start what is silent, make room where there is none and run the command \
                 again, or, if it is lost, look at \"Lose a quorum\" in docs/operations.md"
            ),
        },
        (what, false) => Trouble::TimedOut {
            what: format!("{what}; what was begun goes on, run the command again to watch it"),
            last: None,
        },
    }
}

/// Asks for as many more as may move at once. The first one that is refused is the error, if its
/// partition is still there: a second run looks anew at the others.
fn launch(
    cluster: &mut Cluster,
    convoy: &mut Convoy,
    seen: &Seen,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let next = convoy.next(seen);
    if next.is_empty() {
        return Ok(());
    }
    let target = |m: &Move| (super::name_of(&m.partition), Some(m.target.clone()));
    let refused = alter(cluster, next.iter().map(target).collect(), deadline)?;
    let mut first = None;
    for change in next {
        let name = super::name_of(&change.partition);
        match refused.get(&name) {
            None => convoy.fly(change, seen.get(&name).map(|placed| placed.topic)),
            Some(why) if why.code == Code::UNKNOWN_TOPIC_OR_PARTITION => convoy.is_gone(&change),
            Some(why) => first = first.or(Some(why.trouble(&name))),
        }
    }
    match first {
        Some(trouble) => Err(trouble),
        None => Ok(()),
    }
}

/// How far the copies are, where that can be known.
fn measure(cluster: &mut Cluster, convoy: &mut Convoy, deadline: Deadline) {
    let mut held = BTreeMap::new();
    for node in convoy.receivers() {
        if let Ok(there) = survey::held(cluster, node, deadline.within(SHOWN_WITHIN)) {
            held.insert(node, there.bytes);
        }
    }
    convoy.measure(&held);
}

/// Why a partition doesn't get other replicas.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The cluster's code.
    pub code: Code,
    message: Option<String>,
}

impl Refused {
    /// The same as an error.
    pub fn trouble(&self, name: &Name) -> Trouble {
        let trouble = Trouble::refused("moving replicas", self.code, self.message.clone());
        Trouble::Unhealthy {
            what: format!("{}: {trouble}", survey::text(name)),
        }
    }
}

/// Asks for replicas; none: for those that a partition had before. Gives what was refused.
pub fn alter(
    cluster: &mut Cluster,
    asked: Vec<(Name, Option<Vec<i32>>)>,
    deadline: Deadline,
) -> Result<BTreeMap<Name, Refused>, Trouble> {
    let mut topics: BTreeMap<String, Vec<ReassignablePartition>> = BTreeMap::new();
    for ((topic, partition_index), replicas) in asked {
        let partition = ReassignablePartition {
            partition_index,
            replicas,
        };
        topics.entry(topic).or_default().push(partition);
    }
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: super::CALL_MS,
        topics: topics
            .into_iter()
            .map(|(name, partitions)| ReassignableTopic { name, partitions })
            .collect(),
        ..AlterPartitionReassignmentsRequest::default()
    };
    // To ask twice for the same replicas is to ask once.
    let answer = cluster.persist(deadline, |cluster| {
        let answer = cluster.call_controller(&request, deadline)?;
        let (code, what) = (Code(answer.error_code), "moving replicas");
        match code.is_ok() {
            true => Ok(answer),
            false => Err(Trouble::refused(what, code, answer.error_message)),
        }
    })?;
    let mut refused = BTreeMap::new();
    for topic in answer.responses {
        for partition in topic.partitions {
            let (code, message) = (Code(partition.error_code), partition.error_message);
            if !code.is_ok() {
                let name = (topic.name.clone(), partition.partition_index);
                refused.insert(name, Refused { code, message });
            }
        }
    }
    Ok(refused)
}

/// Asks that partitions be led by their first replicas. What can't be is seen at the next look.
fn prefer(cluster: &mut Cluster, names: &[Name], deadline: Deadline) -> Result<(), Trouble> {
    if names.is_empty() {
        return Ok(());
    }
    let mut topics: BTreeMap<&String, Vec<i32>> = BTreeMap::new();
    for (topic, index) in names {
        topics.entry(topic).or_default().push(*index);
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partitions)| TopicPartitions {
            topic: topic.clone(),
            partitions,
        });
    let request = ElectLeadersRequest {
        election_type: 0,
        topic_partitions: Some(topics.collect()),
        timeout_ms: super::ELECT_MS,
    };
    let asked = cluster.persist(deadline, |cluster| {
        cluster.call_controller(&request, deadline)
    });
    asked.map(drop)
}

/// A bar on a terminal, lines elsewhere; on stderr, so that what is printed can be used.
#[derive(Default)]
struct Shown {
    line: String,
    tenth: Option<usize>,
    open: bool,
}

impl Shown {
    fn show(&mut self, done: usize, count: usize, line: &str) {
        let mut out = std::io::stderr().lock();
        // Nobody to see it is no reason to stop.
        if out.is_terminal() {
            if self.line != line {
                let full = done * BAR / count.max(1);
                let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR - full));
                // A terminal that is too narrow cuts it off; a second line would stay there.
                let text = format!("\r\x1b[K\x1b[?7l[{bar}] {line}\x1b[?7h");
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                (self.line, self.open) = (line.to_owned(), true);
            }
        } else if self.tenth != Some(done * 10 / count.max(1)) {
            self.tenth = Some(done * 10 / count.max(1));
            let _ = writeln!(out, "{line}");
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}
