//! Most of those who vote on metadata lose their disks for good. The operator stops the others, looks at
//! what each has, lets the one whose metadata ends latest go on without the lost ones
//! (`shard::Recovery`, as the server's command does), and starts it, then the others. Empty directories
//! join under the lost numbers.
//!
//! Facts that only lost nodes had may be gone: topics that were made, deletions. What a node that is left
//! had shown may not.

use super::{Event, World};
use crate::book::{topic_name, topic_number};
use crate::checkers::kept::Found;
use crate::checkers::{Checked, violation};
use crate::net::Place;
use crate::node::process::{node_id, shard_settings, storage_settings};
use crate::plan::SECOND;
use crate::plan::faults::Crash;
use crate::scheduler::Micros;
use base::{GroupId, Mark, NodeId, RaftIndex, Term, mark};
use log::{Recovered, Storage};
use meta::{Image, Topic, TopicRef};
use shard::Recovery;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Between two turns of a recovery.
const TURN: Micros = 5_000;
/// So long a recovery may take.
const PATIENCE: Micros = 60 * SECOND;
/// An interrupted one is begun again after that.
const AGAIN_AFTER: Micros = 200_000;
/// Those that are left are started within that time after the one that went on.
const OTHERS_WITHIN: u64 = 3 * SECOND;

/// Who was lost, and how far the operator is.
pub(super) struct Ruined {
    lost: Vec<Place>,
    /// What those that are left had shown when they were stopped.
    known: Vec<(Place, Arc<Image>)>,
    /// Who is to go on, once that was looked at.
    chosen: Option<Place>,
    interrupted: bool,
    /// Topics with a partition of which no replica is left.
    forsaken: Vec<String>,
}

impl World {
    /// True once somebody was told that it goes on without the lost nodes.
    pub(super) fn is_recovered(&self) -> bool {
        let ruined = self.ruined.as_ref();
        ruined.is_some_and(|ruined| ruined.chosen.is_some())
    }

    /// It is drawn who is to be lost, and others may be cut off from them: these know less then.
    pub(super) fn doom(&mut self) -> Checked {
        let ruin = self.plan.ruin.expect("it was planned");
        let Some(configuration) = self.configuration(GroupId::META.0, 0) else {
            // Nobody is there to ask who votes.
            self.scheduler.after(SECOND / 2, Event::Doom);
            return Ok(());
        };
        let voters = configuration.electors().map(|member| member.node);
        let mut voters: Vec<Place> = voters.map(|node| node.0 as usize - 1).collect();
        let mut lost = Vec::new();
        let enough = voters.len() - voters.len() / 2;
        while lost.len() < enough {
            lost.push(voters.remove(self.random.below(voters.len() as u64) as usize));
        }
        let places = 0..self.plan.nodes;
        let others: Vec<Place> = places.filter(|place| !lost.contains(place)).collect();
        for place in others.iter().skip(1) {
            if self.random.percent(ruin.others_percent) {
                lost.push(*place);
            }
        }
        let others = others.into_iter().filter(|place| !lost.contains(place));
        let cross = others.flat_map(|a| lost.iter().map(move |b| (a, *b)));
        let apart = cross.flat_map(|(a, b)| [(a, b), (b, a)]).collect();
        if ruin.apart > 0 {
            self.block(apart, ruin.apart);
        }
        self.trace.tell(self.scheduler.now(), || {
            let nodes: Vec<usize> = lost.iter().map(|place| place + 1).collect();
            format!("DOOM: nodes {nodes:?} are to be lost; {configuration:?}")
        });
        self.ruined = Some(Ruined {
            lost,
            known: Vec::new(),
            chosen: None,
            interrupted: false,
            forsaken: Vec::new(),
        });
        self.scheduler.after(ruin.apart, Event::Ruin);
        Ok(())
    }

    /// Disks are lost.
    pub(super) fn ruin(&mut self) -> Checked {
        let lost = self.ruined.as_ref().expect("it was drawn").lost.clone();
        let now = self.scheduler.now();
        self.trace
            .tell(now, || "RUIN: those nodes are lost for good".into());
        self.trace.note(10, lost.len() as u64, now);
        for place in lost {
            self.erase(place);
        }
        self.trouble();
        let wait = self.plan.ruin.expect("it was planned").noticed_after;
        self.scheduler.after(wait, Event::Recover);
        Ok(())
    }

    /// The operator stops all that are left, looks, and lets one of them go on.
    pub(super) fn recover(&mut self) -> Checked {
        self.trouble();
        let mut ruined = self.ruined.take().expect("disks are lost");
        let chosen = match ruined.chosen {
            Some(chosen) => chosen,
            None => self.choose(&mut ruined)?,
        };
        ruined.chosen = Some(chosen);
        let lost: Vec<NodeId> = ruined.lost.iter().map(|place| node_id(*place)).collect();
        let first = !std::mem::replace(&mut ruined.interrupted, true);
        self.ruined = Some(ruined);
        let ruin = self.plan.ruin.expect("it was planned");
        let interrupted = ruin.interrupted.filter(|_| first);
        let fuse = interrupted.map(|(_, operations)| operations);
        // It has room, whatever fills disks meanwhile.
        self.nodes[chosen].disk.set_capacity(None);
        if let Some(image) = self.run_recovery(chosen, &lost, fuse)? {
            return self.recovered(chosen, &image);
        }
        let (how, _) = interrupted.expect("nothing else stops it");
        mark(Mark::RecoveryInterrupted);
        self.stop(chosen, how);
        self.scheduler.after(AGAIN_AFTER, Event::Recover);
        Ok(())
    }

    /// Nobody starts it by itself.
    fn stop(&mut self, place: Place, how: Crash) {
        self.halt(place, how);
        let node = &mut self.nodes[place];
        node.out = true;
        node.fuse_at_start = None;
        node.disk.disarm();
        node.disk.put_out_fuse();
        node.disk.set_capacity(None);
    }

    /// Looks at what each node that is left has, and takes the one whose metadata ends latest.
    fn choose(&mut self, ruined: &mut Ruined) -> Result<Place, crate::checkers::Violation> {
        let how = self.plan.ruin.expect("it was planned").stopped;
        let places = 0..self.plan.nodes;
        let left: Vec<Place> = places
            .filter(|place| !ruined.lost.contains(place))
            .collect();
        let mut ends: Vec<((Term, RaftIndex), Place)> = Vec::new();
        for place in left {
            // What a full disk didn't take it may know of those alone that are lost.
            let keeps_all = self.nodes[place].disk.damage().refused == 0;
            if let Some(process) = self.nodes[place].process.as_ref().filter(|_| keeps_all) {
                ruined.known.push((place, process.broker.image()));
            }
            self.stop(place, how);
            let (_, recovered) = self.look(place, None)?.expect("nothing interrupts it");
            ends.push((shard::metadata_end(&recovered), place));
            self.stop(place, Crash::Kill);
        }
        let now = self.scheduler.now();
        self.trace
            .tell(now, || format!("  metadata ends at {ends:?}"));
        let ended: BTreeSet<(Term, RaftIndex)> = ends.iter().map(|(end, _)| *end).collect();
        if ended.len() > 1 {
            mark(Mark::LatestMetadataChosen);
        }
        let latest = ends.into_iter().max();
        Ok(latest.expect("somebody is left").1)
    }

    /// Opens the directory of a stopped node, as a start would.
    fn look(
        &mut self,
        place: Place,
        fuse: Option<u32>,
    ) -> Result<Option<(Storage, Recovered)>, crate::checkers::Violation> {
        let disk = self.nodes[place].disk.boot();
        if let Some(operations) = fuse {
            disk.light_fuse(operations);
        }
        match Storage::open(Arc::new(disk), storage_settings(&self.plan)) {
            Ok((storage, recovered)) => {
                self.check_report(place, &recovered.report)?;
                self.check_found(place, &Found::new(&recovered))?;
                Ok(Some((storage, recovered)))
            }
            Err(_) if self.nodes[place].disk.is_dead() => Ok(None),
            Err(fault) => {
                let what = format!("node {}: {fault}", place + 1);
                Err(violation("a node with whole data starts", what))
            }
        }
    }

    /// Runs the node alone until it has written that it goes on; none if that is interrupted.
    fn run_recovery(
        &mut self,
        place: Place,
        lost: &[NodeId],
        fuse: Option<u32>,
    ) -> Result<Option<Arc<Image>>, crate::checkers::Violation> {
        let begun = self.scheduler.now();
        self.trace.tell(begun, || {
            format!("RECOVER node {} goes on without {lost:?}", place + 1)
        });
        let Some(opened) = self.look(place, fuse)? else {
            return Ok(None);
        };
        let node = &mut self.nodes[place];
        node.life += 1;
        let (life, home) = (node.life, node.home.clone());
        let settings = shard_settings(&self.plan, place, home, &mut node.random);
        let until = node.now(begun + PATIENCE).mono;
        let times = (node.now(begun), until);
        let mut recovery = Recovery::new(settings, opened, lost.to_vec(), times);
        let broken = |what: String| Err(violation("a recovery comes to its end", what));
        for now in (begun..begun + PATIENCE).step_by(TURN as usize) {
            let clock = self.nodes[place].now(now);
            let effects = match recovery.decide(clock) {
                Ok(effects) => effects,
                Err(why) => return broken(format!("node {}: {why}", place + 1)),
            };
            for note in &effects.notes {
                self.trace
                    .tell(begun, || format!("node {}: {note}", place + 1));
            }
            self.announce(place, life, &effects)?;
            if let Some(image) = &effects.image {
                self.learn_parts(image);
                self.learn_survivors(image)?;
            }
            if let Some(turn) = &effects.turn {
                self.watch(place, turn, |_, group| {
                    Some(recovery.replica_status(group)?.end_offset.0)
                })?;
                self.checkers.kept.handed(place as u32 + 1, turn);
            }
            let number = effects.turn.as_ref().map(|turn| turn.number);
            let carried_out = recovery.carry_out(clock, effects);
            if self.nodes[place].disk.is_dead() {
                return Ok(None);
            }
            match (carried_out, number) {
                (Err(fault), _) => return broken(format!("node {}: {fault}", place + 1)),
                (Ok(_), Some(turn)) => self.checkers.kept.durable(place as u32 + 1, turn),
                (Ok(_), None) => {}
            }
            if recovery.is_done() {
                let image = recovery.image().clone();
                return match recovery.close() {
                    Err(_) if self.nodes[place].disk.is_dead() => Ok(None),
                    Err(fault) => broken(format!("node {}: {fault}", place + 1)),
                    Ok(()) => Ok(Some(image)),
                };
            }
        }
        broken(format!("node {}: {}", place + 1, recovery.waits_for()))
    }

    /// The cluster goes on: with one node, then with the others that are left; new ones join.
    fn recovered(&mut self, chosen: Place, image: &Image) -> Checked {
        mark(Mark::Recovered);
        let mut ruined = self.ruined.take().expect("disks are lost");
        for (place, known) in &ruined.known {
            self.check_known(*place, known, image)?;
        }
        let now = self.scheduler.now();
        for topic in image.topics.values() {
            for info in &topic.partitions {
                self.trace
                    .tell(now, || format!("  {}: {info:?}", topic.name));
            }
        }
        self.lose_topics(image);
        ruined.forsaken = self.forsake(image, &ruined.lost);
        if !ruined.forsaken.is_empty() {
            mark(Mark::PartitionForsaken);
            self.delete_forsaken(chosen);
        }
        self.stop(chosen, Crash::Kill);
        let ruin = self.plan.ruin.expect("it was planned");
        for place in 0..self.plan.nodes {
            if ruined.lost.contains(&place) {
                let wait = self.random.between(SECOND / 2, ruin.joins_within);
                self.let_join(place, wait);
                continue;
            }
            self.nodes[place].out = false;
            let others = u64::from(place != chosen) * OTHERS_WITHIN;
            let wait = SECOND / 10 + self.random.below(others + 1);
            self.scheduler.after(wait, Event::Start { node: place });
        }
        self.ruined = Some(ruined);
        Ok(())
    }

    /// Who went on knows what any other that is left had shown.
    fn check_known(&self, place: Place, known: &Image, image: &Image) -> Checked {
        let lacks = known.topics.iter().find(|(name, topic)| {
            let there = image.topics.get(*name);
            let same = there.is_some_and(|there| there.id == topic.id);
            let asked = topic_number(name).and_then(|topic| {
                let (_, booked) = self.book.topics().find(|(number, _)| *number == topic)?;
                Some(booked.deletion_asked)
            });
            !same && asked != Some(true)
        });
        match lacks {
            None if known.version <= image.version => Ok(()),
            lacks => {
                let lacks = lacks.map(|(name, _)| name);
                let what = format!(
                    "node {} had shown version {} of the metadata; who goes on has {}, without {lacks:?}",
                    place + 1,
                    known.version,
                    image.version
                );
                Err(violation("what those that are left knew stays", what))
            }
        }
    }

    /// Topics with a partition of which nothing is left: the operator is told to delete them.
    fn forsake(&mut self, image: &Image, lost: &[Place]) -> Vec<String> {
        let gone = |node: NodeId| lost.iter().any(|place| node_id(*place) == node);
        let nothing = |topic: &Topic| {
            let mut partitions = topic.partitions.iter();
            partitions.any(|info| info.survivors(gone).is_empty())
        };
        let forsaken = image.topics.values().filter(|topic| nothing(topic));
        let forsaken: Vec<String> = forsaken.map(|topic| topic.name.clone()).collect();
        for name in &forsaken {
            self.checkers.topics.deletion_asked(name);
            let booked = topic_number(name).and_then(|topic| self.book.topic(topic));
            booked.expect("clients made it").deletion_asked = true;
        }
        forsaken
    }

    /// What the operator deletes.
    pub(super) fn forsaken(&self) -> Vec<TopicRef> {
        let ruined = self.ruined.iter();
        let names = ruined.flat_map(|ruined| &ruined.forsaken);
        names.cloned().map(TopicRef::Name).collect()
    }

    /// Topics of which only lost nodes knew, or only they that they were deleted.
    fn lose_topics(&mut self, image: &Image) {
        let shown: BTreeSet<u32> = self.parts.values().map(|part| part.topic).collect();
        self.parts
            .retain(|group, _| image.groups.contains_key(&GroupId(*group)));
        let mut lost = Vec::new();
        for (topic, booked) in self.book.topics() {
            let there = image.topics.contains_key(&topic_name(topic));
            let told = booked.created || shown.contains(&topic);
            if told && there == booked.deletion_asked {
                lost.push((topic, there));
            }
        }
        for (topic, there) in lost {
            if !there {
                mark(Mark::TopicLost);
            }
            self.checkers.topics.lost(&topic_name(topic));
            self.book.topic(topic).expect("it is booked").deletion_asked = true;
        }
    }
}
