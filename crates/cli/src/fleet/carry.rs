//! Carries moves out: so many partitions at a time, watched until they are there, each then led by
//! its first replica. What was asked for goes on in the cluster whether or not this process lives;
//! who runs the command again goes on from there.

use super::plan::Move;
use super::survey::{self, Name, Placed};
use crate::args::Pace;
use crate::client::deadline::sleep;
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::output;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use wire_kafka::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use wire_kafka::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// How often a move that nobody lists and that isn't there is looked at before somebody else must
/// have taken it back: one look may go to a node that hasn't heard of it yet.
const LOOKS_IN_VAIN_MAX: u32 = 20;
/// Partitions named at most when it is said what waits.
const NAMED_MAX: usize = 5;
/// Characters of a bar.
const BAR: usize = 30;

/// A move that was asked for.
struct Flight {
    change: Move,
    /// What the new replicas have so far.
    bytes: u64,
    in_vain: u32,
}

/// What is under way.
pub struct Carrier<'a> {
    cluster: &'a mut Cluster,
    pace: &'a Pace,
    waiting: VecDeque<Move>,
    flying: BTreeMap<Name, Flight>,
    /// Moves that arrived, with their first replicas until those lead.
    to_lead: BTreeMap<Name, i32>,
    lost: Vec<Name>,
    count: usize,
    /// Steps in all: three a move, one a partition that only gets its first replica as leader.
    steps: usize,
    bytes: u64,
    bytes_done: u64,
    shown: Shown,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Partitions that have the replicas they were to get.
    pub moved: usize,
    /// Bytes that were copied for it, as estimated at the beginning.
    pub bytes: u64,
}

impl<'a> Carrier<'a> {
    /// Will carry these out, and have partitions led by their first replicas.
    pub fn new(
        cluster: &'a mut Cluster,
        pace: &'a Pace,
        moves: Vec<Move>,
        to_lead: BTreeMap<Name, i32>,
    ) -> Carrier<'a> {
        Carrier {
            steps: moves.len() * 3 + to_lead.len(),
            cluster,
            pace,
            count: moves.len(),
            bytes: moves.iter().map(Move::bytes).sum(),
            waiting: moves.into(),
            flying: BTreeMap::new(),
            to_lead,
            lost: Vec::new(),
            bytes_done: 0,
            shown: Shown::default(),
        }
    }

    /// Does it. Without any progress for as long as `--timeout` says it gives up; what was asked for
    /// goes on all the same.
    pub fn run(mut self) -> Result<Report, Trouble> {
        let patience = self.pace.target.timeout;
        let mut last = (0, 0);
        let mut deadline = Deadline::after(patience);
        while !(self.waiting.is_empty() && self.flying.is_empty() && self.to_lead.is_empty()) {
            let placed = survey::placed(self.cluster, deadline)?;
            self.land(&placed);
            self.launch(&placed, deadline)?;
            self.elect(&placed, deadline)?;
            self.measure(deadline);
            if self.count > 0 {
                self.show();
            }
            let now = (self.ahead(), self.copied());
            if now != last {
                (last, deadline) = (now, Deadline::after(patience));
            } else if deadline.left().is_none() {
                return Err(self.stuck(&placed));
            }
            sleep(LOOK);
        }
        self.shown.end();
        match self.lost.as_slice() {
            [] => Ok(Report {
                moved: self.count,
                bytes: self.bytes,
            }),
            lost => Err(Trouble::Unhealthy {
                what: format!("taken back by somebody else: {}", some(lost.iter())),
            }),
        }
    }

    /// Things done, to see whether there is progress.
    fn ahead(&self) -> usize {
        let left = self.waiting.len() * 3 + self.flying.len() * 2 + self.to_lead.len();
        self.steps - left
    }

    fn copied(&self) -> u64 {
        self.bytes_done + self.flying.values().map(|flight| flight.bytes).sum::<u64>()
    }

    /// Takes note of what has arrived.
    fn land(&mut self, placed: &BTreeMap<Name, Placed>) {
        let mut ended = Vec::new();
        for (name, flight) in &mut self.flying {
            match placed.get(name) {
                Some(there) if there.moving => flight.in_vain = 0,
                Some(there) if there.replicas == flight.change.target => {
                    self.to_lead.insert(name.clone(), flight.change.target[0]);
                    ended.push(name.clone());
                }
                _ => flight.in_vain += 1,
            }
            if flight.in_vain > LOOKS_IN_VAIN_MAX {
                self.lost.push(name.clone());
                ended.push(name.clone());
            }
        }
        for name in ended {
            let flight = self.flying.remove(&name).expect("looked at just now");
            self.bytes_done += flight.change.bytes();
        }
    }

    /// Asks for as many more as may move at once; what others move counts too.
    fn launch(
        &mut self,
        placed: &BTreeMap<Name, Placed>,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        let others = placed
            .iter()
            .filter(|(name, p)| p.moving && !self.flying.contains_key(*name));
        let others = others.count();
        let room = usize::from(self.pace.at_once).saturating_sub(self.flying.len() + others);
        let next: Vec<Move> = (0..room).map_while(|_| self.waiting.pop_front()).collect();
        if next.is_empty() {
            return Ok(());
        }
        let target = |m: &Move| {
            (
                m.partition.topic.clone(),
                m.partition.index,
                Some(m.target.clone()),
            )
        };
        let asked = next.iter().map(target).collect();
        alter(self.cluster, asked, deadline)?;
        for change in next {
            let name = (change.partition.topic.clone(), change.partition.index);
            let flight = Flight {
                change,
                bytes: 0,
                in_vain: 0,
            };
            self.flying.insert(name, flight);
        }
        Ok(())
    }

    /// Partitions that arrived are led by their first replica.
    fn elect(
        &mut self,
        placed: &BTreeMap<Name, Placed>,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        let led = |name: &Name, first: i32| placed.get(name).is_none_or(|p| p.leader == first);
        self.to_lead.retain(|name, first| !led(name, *first));
        let few = usize::from(self.pace.at_once);
        let names: Vec<Name> = self.to_lead.keys().take(few).cloned().collect();
        prefer(self.cluster, &names, deadline)
    }

    /// How far the copies are, where that can be known.
    fn measure(&mut self, deadline: Deadline) {
        let receivers: BTreeSet<i32> = self
            .flying
            .values()
            .flat_map(|flight| flight.change.adding())
            .collect();
        let mut held = BTreeMap::new();
        for node in receivers {
            if let Ok(there) = survey::held(self.cluster, node, deadline) {
                held.insert(node, there.bytes);
            }
        }
        for (name, flight) in &mut self.flying {
            let has = |node: &i32| held.get(node)?.get(name).copied();
            let copies = flight.change.adding();
            let bytes: u64 = copies.iter().filter_map(has).sum();
            flight.bytes = flight.bytes.max(bytes.min(flight.change.bytes()));
        }
    }

    fn show(&mut self) {
        let done = self.count - self.waiting.len() - self.flying.len();
        let line = format!(
            "{done} of {}, {} of {} copied, {} moving",
            output::counted(self.count as u64, "partition"),
            output::bytes(self.copied()),
            output::bytes(self.bytes),
            self.flying.len(),
        );
        self.shown.show(done, self.count, &line);
    }

    /// What it is that doesn't go on.
    fn stuck(&mut self, placed: &BTreeMap<Name, Placed>) -> Trouble {
        self.shown.end();
        let why = |(name, flight): (&Name, &Flight)| {
            let leaderless = placed.get(name).is_some_and(|p| p.leader < 0);
            let reason = match leaderless {
                true => "nobody leads it".to_owned(),
                false => format!(
                    "node {} has {} of {}",
                    output::list(&flight.change.adding()),
                    output::bytes(flight.bytes),
                    output::bytes(flight.change.bytes())
                ),
            };
            format!("{} ({reason})", survey::text(name))
        };
        let flying: Vec<String> = self.flying.iter().take(NAMED_MAX).map(why).collect();
        let what = match flying.is_empty() {
            false => format!("waiting for {}", flying.join(", ")),
            true => format!(
                "waiting for the first replica to lead {}",
                some(self.to_lead.keys())
            ),
        };
        Trouble::TimedOut {
            what: format!(
                "{what}; {} left; what was begun goes on, run the command again to watch it",
                output::counted((self.waiting.len() + self.flying.len()) as u64, "partition")
            ),
            last: None,
        }
    }
}

fn some<'n>(names: impl ExactSizeIterator<Item = &'n Name>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = names.take(NAMED_MAX).map(survey::text).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Asks for replicas; none: for those that a partition had before. The first one that is refused is
/// the error: a second run looks anew at the others.
pub fn alter(
    cluster: &mut Cluster,
    asked: Vec<(String, i32, Option<Vec<i32>>)>,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let mut topics: BTreeMap<String, Vec<ReassignablePartition>> = BTreeMap::new();
    for (topic, partition_index, replicas) in asked {
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
    for topic in answer.responses {
        for partition in topic.partitions {
            let code = Code(partition.error_code);
            if !code.is_ok() {
                let trouble = Trouble::refused("moving replicas", code, partition.error_message);
                let name = survey::text(&(topic.name, partition.partition_index));
                return Err(Trouble::Unhealthy {
                    what: format!("{name}: {trouble}"),
                });
            }
        }
    }
    Ok(())
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
                let _ = write!(out, "\r\x1b[K[{bar}] {line}").and_then(|()| out.flush());
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
