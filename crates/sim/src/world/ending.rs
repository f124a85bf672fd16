//! The end of a run. Faults stop; within bounded virtual time every partition has a leader, takes
//! a write, and all its replicas are equal. Then the logs on the disks are held against all that
//! was ever answered.

mod verify;

use super::World;
use crate::checkers::{Checked, Part, violation};
use crate::client::Role;
use crate::client::producer::{Habits, Producer};
use crate::net::Place;
use crate::node::inbox::Answer;
use crate::plan::faults::Crash;
use crate::plan::{CHAOS, CONVERGENCE};
use crate::scheduler::Micros;
use base::GroupId;
use shard::{Command, ReplicaStatus, Reply, ReplyTo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often the replicas are asked where they stand.
const INSPECT_EVERY: Micros = 500_000;
/// What a replica says this long after something was asked before it.
const MARGIN: Micros = 100_000;
/// The connection under which a node's replicas are asked; no client has it.
const INSPECTOR: u64 = 0;

/// Where the end of a run is.
#[derive(Default)]
pub(super) struct Ending {
    pub(super) done: bool,
    /// The first check happened: faults have stopped.
    begun: bool,
    deadline: Micros,
    /// The client that writes to every partition in the end.
    prober: Option<usize>,
    probed: bool,
    power_lost: bool,
    /// Since when the clients have nothing open; what replicas said before that is out of date.
    quiet_since: Option<Micros>,
    /// What the replicas said last, by node and group.
    statuses: BTreeMap<(Place, u64), ReplicaStatus>,
    /// When each node said so.
    told_at: BTreeMap<Place, Micros>,
}

impl World {
    /// Asks all replicas where they stand.
    pub(super) fn inspect(&mut self) -> Checked {
        self.ask_replicas();
        self.scheduler.after(INSPECT_EVERY, super::Event::Inspect);
        Ok(())
    }

    fn ask_replicas(&mut self) {
        let groups: Vec<GroupId> = self.parts.keys().map(|group| GroupId(*group)).collect();
        for place in 0..self.plan.nodes {
            let Some(process) = &self.nodes[place].process else {
                continue;
            };
            let to = ReplyTo {
                sink: process.inbox(INSPECTOR),
                ticket: self.nodes[place].life,
            };
            let command = Command::Replicas {
                groups: groups.clone(),
            };
            self.leave(place, vec![shard::Event::Command(command, Some(to))]);
        }
    }

    /// The replicas of a node said where they stand; other answers come too late for anybody.
    pub(super) fn inspected(&mut self, place: Place, answer: Answer) -> Checked {
        let (INSPECTOR, Reply::Replicas(statuses)) = (answer.connection, answer.reply) else {
            return Ok(());
        };
        let now = self.scheduler.now();
        self.ending.statuses.retain(|(node, _), _| *node != place);
        self.ending.told_at.insert(place, now);
        for status in statuses {
            if let Some(part) = self.parts.get(&status.group.0) {
                let (node, high) = (place as u32 + 1, status.high_watermark.0);
                self.checkers
                    .monotone
                    .replica(node, answer.ticket, *part, high)?;
                let by = || format!("node {node} at {now} us");
                self.checkers.committed.told(*part, high, by);
            }
            self.ending.statuses.insert((place, status.group.0), status);
        }
        Ok(())
    }

    /// Is everything well again?
    pub(super) fn converge(&mut self) -> Checked {
        let now = self.scheduler.now();
        if !self.ending.begun {
            self.ending.begun = true;
            self.ending.deadline = CHAOS + CONVERGENCE;
            self.heal();
            self.send_prober();
        }
        self.probe();
        let busy = self.busy();
        if busy.is_some() {
            self.ending.quiet_since = None;
        } else {
            self.ending.quiet_since.get_or_insert(now);
        }
        match busy.or_else(|| self.unwell()) {
            None if self.plan.last_power_loss && !self.ending.power_lost => {
                self.ending.power_lost = true;
                self.ending.quiet_since = None;
                self.ending.deadline = now + CONVERGENCE;
                self.trace.tell(now, || "LAST POWER LOSS".to_string());
                for place in 0..self.plan.nodes {
                    if self.nodes[place].process.is_some() {
                        let down = self.random.between(10_000, 200_000);
                        self.crashed(place, Crash::Power, down);
                    }
                }
            }
            None => {
                self.ending.done = true;
                return self.verify();
            }
            Some(why) if now >= self.ending.deadline => {
                let what = format!(
                    "not within {} s without faults: {why}",
                    CONVERGENCE / 1_000_000
                );
                return Err(violation("the cluster converges", what));
            }
            Some(_) => {}
        }
        self.ask_replicas();
        self.scheduler.after(200_000, super::Event::Converged);
        Ok(())
    }

    fn send_prober(&mut self) {
        for client in &mut self.clients {
            match &mut client.role {
                Role::Producer(producer) => producer.draining = true,
                Role::Admin(admin) => admin.draining = true,
                Role::Consumer(_) => {}
            }
        }
        let habits = Habits {
            idempotent: true,
            acks: -1,
            in_flight: 1,
            pause: 100_000,
            large_percent: 10,
            large_bytes: self.plan.direct_batch_bytes as usize,
        };
        let mut prober = Producer::new(habits);
        prober.draining = true;
        self.ending.prober = Some(self.add_client(Role::Producer(prober)));
    }

    /// Partitions that must be there.
    fn expected_parts(&self) -> Vec<Part> {
        let made = self
            .book
            .topics()
            .filter(|(_, topic)| topic.created && !topic.deletion_asked);
        let parts = made.flat_map(|(topic, booked)| {
            (0..booked.partitions).map(move |partition| Part { topic, partition })
        });
        parts.collect()
    }

    /// As soon as the prober can write, it writes to every partition.
    fn probe(&mut self) {
        let Some(prober) = self.ending.prober.filter(|_| !self.ending.probed) else {
            return;
        };
        let parts = self.expected_parts();
        self.ending.probed = self.with_client(prober, |client, reach| {
            let Role::Producer(producer) = &mut client.role else {
                return false;
            };
            if !producer.is_ready() {
                return false;
            }
            for part in parts {
                producer.write(&mut client.common, reach, part);
            }
            true
        });
        if self.ending.probed {
            let soon = self.scheduler.now() + 1_000;
            self.wake_client_at(prober, soon);
        }
    }

    fn status(&self, place: Place, group: u64) -> Option<&ReplicaStatus> {
        self.ending.statuses.get(&(place, group))
    }

    /// What is still under way, if anything.
    fn busy(&self) -> Option<String> {
        for (place, node) in self.nodes.iter().enumerate() {
            if node.process.is_none() && node.given_up.is_none() {
                return Some(format!("node {} isn't up", place + 1));
            }
        }
        if !self.ending.probed {
            return Some("the prober has no producer id".to_string());
        }
        for (number, client) in self.clients.iter().enumerate() {
            match &client.role {
                Role::Producer(producer) => {
                    if let Some(part) = producer
                        .waiting()
                        .into_iter()
                        .find(|p| !self.book.doomed(*p))
                    {
                        return Some(format!("client {number} can't write to {part}"));
                    }
                }
                Role::Admin(admin) if !admin.is_done() => {
                    return Some("a topic can't be made".to_string());
                }
                _ => {}
            }
        }
        None
    }

    /// What isn't well yet, if anything.
    fn unwell(&self) -> Option<String> {
        self.expected_parts()
            .into_iter()
            .find_map(|part| self.unwell_part(part))
    }

    /// A node that isn't bound to converge: what it had was destroyed.
    fn is_excused(&self, place: Place) -> bool {
        !self.damage(place).destroyed.is_empty()
    }

    /// The group of a partition and the nodes that have its replicas.
    fn placed(&self, part: Part) -> Option<(u64, Vec<Place>)> {
        let name = crate::book::topic_name(part.topic);
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let images = processes.map(|process| process.broker.image());
        let image: Arc<meta::Image> = images.max_by_key(|image| image.version)?;
        let info = image
            .topics
            .get(&name)?
            .partitions
            .get(part.partition as usize)?;
        let places = info
            .replicas
            .iter()
            .map(|node| node.0 as usize - 1)
            .collect();
        Some((info.group.0, places))
    }

    fn unwell_part(&self, part: Part) -> Option<String> {
        let Some((group, places)) = self.placed(part) else {
            return Some(format!("{part} isn't in the metadata"));
        };
        let mut first: Option<&ReplicaStatus> = None;
        for place in places {
            if self.is_excused(place) {
                continue;
            }
            let told_at = self.ending.told_at.get(&place).copied().unwrap_or(0);
            let since = self.ending.quiet_since.unwrap_or(Micros::MAX);
            if told_at < since.saturating_add(MARGIN) {
                return Some(format!("node {} doesn't say where it stands", place + 1));
            }
            let Some(status) = self.ending.statuses.get(&(place, group)) else {
                return Some(format!("{part}: node {} has no replica", place + 1));
            };
            if status.leader.is_none() {
                return Some(format!("{part}: node {} knows no leader", place + 1));
            }
            if status.high_watermark != status.end_offset {
                return Some(format!("{part}: node {}: {status:?}", place + 1));
            }
            let first = first.get_or_insert(status);
            let same = first.leader == status.leader
                && first.last_index == status.last_index
                && first.end_offset == status.end_offset;
            if !same {
                return Some(format!(
                    "{part}: {first:?} and {status:?} on node {}",
                    place + 1
                ));
            }
        }
        None
    }
}
