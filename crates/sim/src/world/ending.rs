//! The end of a run. Faults stop; within bounded virtual time every partition has a leader, takes
//! a write, and all its replicas are equal. Then the logs on the disks are held against all that
//! was ever answered.

mod expiry;
mod groups;
mod verify;

use super::World;
use crate::checkers::settled::{self, Stands};
use crate::checkers::{Checked, Part, committed, violation};
use crate::client::Role;
use crate::client::producer::{Habits, Producer};
use crate::net::Place;
use crate::node::process::Process;
use crate::plan::faults::Crash;
use crate::plan::{CHAOS, CONVERGENCE};
use crate::scheduler::Micros;
use base::{Configuration, GroupId, Member, NodeId};
use shard::ReplicaStatus;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often the replicas are asked where they stand.
const INSPECT_EVERY: Micros = 500_000;
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
    /// All is well, and producers are to be forgotten now.
    expires: bool,
    /// Rounds over everything on disk that each process had begun when it was first looked at.
    rounds: BTreeMap<(Place, u64), u64>,
    /// Since when all is well, and how many leaders there were until then.
    calm: Option<(Micros, usize)>,
}

/// True if a replica follows this term or a later one.
fn follows(status: &ReplicaStatus, since: u32) -> bool {
    since == 0 || status.leader.is_some_and(|(_, term)| term.0 >= since)
}

impl World {
    /// Looks where all replicas stand.
    pub(super) fn inspect(&mut self) -> Checked {
        let now = self.scheduler.now();
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                continue;
            };
            self.check_suspects(place, process)?;
            for (group, part) in self
                .parts
                .iter()
                .filter(|(_, part)| !self.book.doomed(**part))
            {
                let Some(status) = process.shard.replica_status(GroupId(*group)) else {
                    continue;
                };
                let (name, high) = (place as u32 + 1, status.high_watermark.0);
                let replica = (status.member, node.life);
                self.checkers.monotone.replica(replica, *part, high)?;
                let start = status.start_offset.0;
                self.checkers.starts.replica(replica, *part, start, high)?;
                let by = || format!("node {name} at {now} us");
                let term = status.leader.map(|(_, term)| term.0);
                self.checkers.committed.stands(*part, term, high, by);
            }
        }
        for (group, part) in self.parts.clone() {
            self.check_held(group, part)?;
        }
        self.scheduler.after(INSPECT_EVERY, super::Event::Inspect);
        Ok(())
    }

    /// True if a replica was given up, as some node knows already, maybe not its own: what others lead its
    /// group to since then is nothing that it could follow.
    fn is_over(&self, status: &ReplicaStatus) -> bool {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let mut images = processes.map(|process| process.shard.image());
        images.any(|image| {
            let info = image.partition(status.group);
            info.is_some_and(|info| info.is_over(status.member))
        })
    }

    /// A replica that takes its data for damaged while it runs needs damage that was done.
    fn check_suspects(&self, place: Place, process: &Process) -> Checked {
        if self.is_excused(place) {
            return Ok(());
        }
        for group in process.shard.groups() {
            let status = process.shard.replica_status(group);
            let status = status.filter(|status| !self.is_over(status));
            if let Some(why) = status.and_then(|status| status.suspect) {
                let what = format!("node {}, whose data is whole: {why}", place + 1);
                return Err(violation("whole data is not suspected", what));
            }
        }
        Ok(())
    }

    /// Is what any replica of a group calls committed on a majority?
    pub(super) fn check_held(&self, group: u64, part: Part) -> Checked {
        if self.book.doomed(part) {
            return Ok(());
        }
        let since = self.checkers.eras.since(part);
        let Some(configuration) = self.configuration(group, since) else {
            return Ok(());
        };
        let place = |member: &Member| member.node.0 as usize - 1;
        let status = |member: &Member| {
            let status = self.status(place(member), group);
            status.filter(|status| status.member == *member && follows(status, since))
        };
        let end = |member: &Member| {
            let status = status(member).filter(|_| !self.is_excused(place(member)));
            status.map(|status| status.end_offset.0)
        };
        let high = |member: Member| Some(status(&member)?.high_watermark.0);
        let high = configuration.electors().filter_map(high).max().unwrap_or(0);
        // What was committed before voters changed is on a majority of the ones before.
        let ends = |voters: &[Member]| -> Vec<_> { voters.iter().map(end).collect() };
        let before = committed::is_held(part, high, &ends(&configuration.outgoing));
        before.or_else(|_| committed::is_held(part, high, &ends(&configuration.voters)))
    }

    /// Who belongs to a group, by whoever knows most of it, of those that follow this term or a later one.
    pub(super) fn configuration(&self, group: u64, since: u32) -> Option<Configuration> {
        let group = GroupId(group);
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let processes = processes.filter(|process| {
            let status = process.shard.replica_status(group);
            since == 0 || status.is_some_and(|status| follows(&status, since))
        });
        let known = processes.filter_map(|p| p.shard.configuration(group));
        let latest = known.max_by_key(|(_, at)| *at)?;
        Some(latest.0.clone())
    }

    /// Is everything well again?
    pub(super) fn converge(&mut self) -> Checked {
        let now = self.scheduler.now();
        if !self.ending.begun {
            self.ending.begun = true;
            self.ending.deadline = CHAOS + CONVERGENCE;
            self.heal();
            self.send_prober();
            self.review_groups();
        }
        self.probe();
        self.lift_cordons();
        // Each time, because rounds are counted from the first.
        let unchecked = self.unchecked();
        let unwell = self.busy().or_else(|| self.unwell()).or(unchecked);
        let unwell = unwell.or_else(|| self.remembered());
        match unwell.or_else(|| self.stirs()) {
            None if self.plan.last_power_loss && !self.ending.power_lost => {
                self.ending.power_lost = true;
                self.ending.calm = None;
                self.ending.deadline = now + CONVERGENCE;
                self.trace.tell(now, || "LAST POWER LOSS".to_string());
                self.review_groups();
                for place in 0..self.plan.nodes {
                    if self.nodes[place].process.is_some() {
                        let down = self.random.between(10_000, 200_000);
                        self.crashed(place, Crash::Power, down);
                    }
                }
            }
            None if self.plan.expiring && !self.ending.expires => {
                self.same_producers_everywhere()?;
                self.ending.expires = true;
                self.ending.deadline = now + CONVERGENCE;
            }
            None => {
                self.ending.done = true;
                return self.verify();
            }
            Some(why) if now >= self.ending.deadline => {
                // If something is lost, that says more than that the cluster waits for it.
                self.verify()?;
                let what = format!(
                    "not within {} s without faults: {why}",
                    CONVERGENCE / 1_000_000
                );
                return Err(violation("the cluster converges", what));
            }
            Some(_) => {}
        }
        self.scheduler.after(200_000, super::Event::Converged);
        Ok(())
    }

    fn send_prober(&mut self) {
        for client in &mut self.clients {
            match &mut client.role {
                Role::Producer(producer) => producer.draining = true,
                Role::Admin(admin) => admin.draining = true,
                Role::Consumer(consumer) => consumer.drain(),
                Role::Member(_) => {}
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

    /// No node is cordoned in the end.
    fn lift_cordons(&mut self) {
        let mut cordoned = self.cordoned();
        let changing = self.changing();
        cordoned.retain(|node| Some(*node) != changing);
        for client in &mut self.clients {
            if let Role::Admin(admin) = &mut client.role {
                cordoned.iter().for_each(|node| admin.lift(node.0));
            }
        }
    }

    fn cordoned(&self) -> Vec<NodeId> {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let images = processes.map(|process| process.broker.image());
        let Some(image) = images.max_by_key(|image| image.version) else {
            return Vec::new();
        };
        let nodes = image.nodes.keys().copied();
        nodes.filter(|node| image.is_cordoned(*node)).collect()
    }

    /// Who doesn't vote on metadata, or does so too much.
    fn odd_controllers(&self) -> Option<String> {
        let known = self.configuration(GroupId::META.0, 0)?;
        let nodes = self.plan.nodes;
        let wanted = match nodes.min(5) {
            2 => known.voters.len().min(2),
            4 => 3,
            odd => odd,
        };
        let members = known.members().count();
        let well = !known.is_joint() && known.voters.len() == wanted && members == nodes;
        (!well).then(|| format!("the members of group 0 are {known:?}"))
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

    pub(super) fn status(&self, place: Place, group: u64) -> Option<ReplicaStatus> {
        self.nodes[place]
            .process
            .as_ref()?
            .shard
            .replica_status(GroupId(group))
    }

    /// What is still under way, if anything.
    fn busy(&self) -> Option<String> {
        if let Some(node) = self.changing() {
            return Some(format!("node {node} is still to come or go"));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            if node.process.is_none() && node.given_up.is_none() {
                return Some(format!("node {} isn't up", place + 1));
            }
        }
        if let Some(node) = self.cordoned().first() {
            return Some(format!("node {node} is still cordoned"));
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
        let parts = self.expected_parts();
        let unwell = || parts.into_iter().find_map(|part| self.unwell_part(part));
        self.nodes_differ()
            .or_else(|| self.odd_controllers())
            .or_else(unwell)
            .or_else(|| self.unread())
            .or_else(|| self.unwell_groups())
    }

    /// Somebody who reads and hasn't got everything.
    fn unread(&self) -> Option<String> {
        let parts = self.expected_parts().into_iter();
        let ends = parts.filter_map(|part| {
            let (group, _) = self.placed(part)?;
            let led = self.leader_of(GroupId(group))?;
            Some((part, self.status(led, group)?.high_watermark.0))
        });
        let ends: Vec<(Part, i64)> = ends.collect();
        let mut clients = self.clients.iter().enumerate();
        clients.find_map(|(number, client)| {
            let Role::Consumer(consumer) = &client.role else {
                return None;
            };
            let behind = |(part, end): &&(Part, i64)| consumer.position(*part) < *end;
            let (part, end) = ends.iter().find(behind)?;
            let at = consumer.position(*part);
            Some(format!("client {number} has read {part} to {at} of {end}"))
        })
    }

    /// A node of which bits flipped has to find that by itself, wherever it is.
    fn unchecked(&mut self) -> Option<String> {
        self.plan.checking?;
        for place in 0..self.plan.nodes {
            if !self.is_excused(place) || self.is_given_up(place) {
                continue;
            }
            let node = &self.nodes[place];
            let begun = node.process.as_ref()?.shard.stats().check_rounds;
            let before = self.ending.rounds.entry((place, node.life));
            // One that began after all of the bits had flipped, and ended.
            if begun < *before.or_insert(begun) + 2 {
                return Some(format!("node {} hasn't looked at everything", place + 1));
            }
        }
        None
    }

    /// Where leaders go back by themselves, none may change any more once all is well.
    fn stirs(&mut self) -> Option<String> {
        let balancing = self.plan.balancing?;
        let (now, elected) = (self.scheduler.now(), self.checkers.elections.count());
        let (since, before) = *self.ending.calm.get_or_insert((now, elected));
        if before != elected {
            self.ending.calm = Some((now, elected));
            return Some(format!(
                "{} leaders were elected since all was well",
                elected - before
            ));
        }
        let rounds = 2 * balancing.check.as_micros() as Micros;
        (now - since < rounds).then(|| "leaders may still change".to_string())
    }

    /// A partition that isn't led by the replica that is named first, where it has to be.
    fn led_elsewhere(&self, group: u64, places: &[Place]) -> Option<String> {
        let balancing = self.plan.balancing.filter(|it| it.percent == 0)?;
        let first = *places.first()?;
        let led = self.leader_of(GroupId(group))?;
        // A move, or a new replica in the place of a damaged one, doesn't end on a node that can't read its
        // metadata any more; as long as it is under way no leader goes back.
        let image = self.nodes[led].process.as_ref()?.broker.image();
        let moving = image.partition(GroupId(group))?.is_moving();
        if moving && places.iter().any(|place| self.is_given_up(*place)) {
            return None;
        }
        let what = || {
            format!(
                "node {} leads, for {} s",
                led + 1,
                balancing.check.as_secs()
            )
        };
        (led != first && !self.is_given_up(first)).then(what)
    }

    /// Where nodes know other metadata or their storage is still at work.
    fn nodes_differ(&self) -> Option<String> {
        let here =
            |place: &usize| self.nodes[*place].process.is_some() && !self.is_given_up(*place);
        let mut first = None;
        for place in (0..self.plan.nodes).filter(here) {
            let process = self.nodes[place].process.as_ref().expect("it is here");
            // A node that can't read its metadata any more takes no part in moves.
            let bound = |node: &NodeId| !self.is_given_up(node.0 as usize - 1);
            let moving =
                |info: &&meta::PartitionInfo| info.is_moving() && info.replicas.iter().all(bound);
            let image = process.broker.image();
            let mut all = image.topics.values().flat_map(|topic| &topic.partitions);
            if let Some(info) = all.find(moving) {
                return Some(format!("group {} is still moving: {info:?}", info.group));
            }
            if !process.is_settled() {
                return Some(format!("the storage of node {} is at work", place + 1));
            }
            let first: &mut Arc<meta::Image> = first.get_or_insert_with(|| image.clone());
            if *first != image {
                let group = process.shard.configuration(GroupId::META);
                let (there, here) = (first.version, image.version);
                return Some(format!(
                    "node {} has version {here} of the metadata, others {there}; group 0 for it: {group:?}",
                    place + 1
                ));
            }
        }
        None
    }

    /// A node that may lack what it had: some of it was destroyed.
    fn is_excused(&self, place: Place) -> bool {
        !self.damage(place).destroyed.is_empty()
    }

    /// A node that isn't bound to converge. One of which only segments of partitions were destroyed is:
    /// it gets others from its peers.
    fn is_given_up(&self, place: Place) -> bool {
        let damage = self.damage(place);
        let meta = self.status(place, GroupId::META.0);
        let heals = damage.flips_in_segments == damage.destroyed.len()
            && meta.is_some_and(|status| status.suspect.is_none());
        !damage.destroyed.is_empty() && !heals
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

    /// A replica that a node doesn't show as in sync.
    fn shown_behind(&self, place: Place, group: u64) -> Option<NodeId> {
        let broker = &self.nodes[place].process.as_ref()?.broker;
        let image = broker.image();
        let replicas = &image.partition(GroupId(group))?.replicas;
        let shown = broker.in_sync(GroupId(group), replicas);
        let excused = |node: &NodeId| self.is_given_up(node.0 as usize - 1);
        let missing = replicas.iter().find(|n| !shown.contains(n) && !excused(n));
        missing.copied()
    }

    fn unwell_part(&self, part: Part) -> Option<String> {
        let Some((group, places)) = self.placed(part) else {
            return Some(format!("{part} isn't in the metadata"));
        };
        for place in (0..self.plan.nodes).filter(|place| !places.contains(place)) {
            if self.status(place, group).is_some() {
                return Some(format!("{part}: node {} still has a replica", place + 1));
            }
        }
        if let Some(why) = self.led_elsewhere(group, &places) {
            return Some(format!("{part}: {why}"));
        }
        let bound = places.into_iter().filter(|place| !self.is_given_up(*place));
        let stands = bound.map(|place| Stands {
            place,
            status: self.status(place, group),
            behind: self.shown_behind(place, group),
        });
        settled::unwell_part(part, &stands.collect::<Vec<_>>())
    }
}
