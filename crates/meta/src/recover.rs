//! Groups that have lost their majority for good go on with one replica, because somebody said so and
//! accepts what that may lose.
//!
//! The one that goes on is the same member as before; all the others that are lost are over, and
//! their nodes get replicas anew (`reassign.rs`), which nobody takes for those that had voted and
//! acknowledged. The node of the survivor carries it out (`shard::operation::alone`); from then on
//! the group is steered to its replicas as in any move.
//!
//! Which replica goes on is the asker's choice, for only nodes know how long their logs are. Where
//! nodes are lost it is the first replica that is left.

use crate::reassign::{Changes, Placed, without};
use crate::records::Record;
use crate::{Home, Image, Meta, PartitionInfo, RECOVERY, Reply, Topic};
use base::limits::{AIMS_LEFT_OUT, GROUP_IDS_LEFT_OUT, PRODUCER_IDS_LEFT_OUT};
use base::{
    Bug, Decision, GroupId, Mark, Member, NodeId, Partition, ProducerId, Refusal, Uuid, mark,
    planted,
};

impl Image {
    /// Refuses that a replica leads without its majority where not all nodes would understand it.
    pub fn allows_recovery(&self) -> Result<(), Refusal> {
        match self.level >= RECOVERY {
            true => Ok(()),
            false => Err(Refusal::Policy(format!(
                "a replica may lead without its majority from level {RECOVERY} on, and the cluster is \
                 at {}: finalise the upgrade first (flotilla cluster finalize)",
                self.level
            ))),
        }
    }
}

impl PartitionInfo {
    /// The replica that is to go on alone, if it hasn't been said yet that the group is as it should
    /// be.
    pub fn survivor(&self) -> Option<Member> {
        self.moves.as_ref()?.survivor
    }

    /// The nodes that had a replica before what is under way, the preferred leader first.
    fn before(&self) -> impl Iterator<Item = NodeId> {
        let adding = self.reassigning().map_or(&[][..], |(adding, _)| adding);
        without(&self.replicas, adding)
    }

    /// False where the replica before is over and its successor may have nothing yet.
    fn has_kept(&self, node: NodeId) -> bool {
        let renewed = self.moves.as_ref().map_or(&[][..], |moves| &moves.renewed);
        !renewed.contains(&node)
    }

    /// True if the group can't elect or commit without those of whom `gone` is true: neither the
    /// replicas that it had before what is under way, nor those that it is to have.
    pub fn has_lost(&self, gone: impl Fn(NodeId) -> bool) -> bool {
        let before = self
            .before()
            .filter(|node| !gone(*node) && self.has_kept(*node));
        let target = self.target();
        let stays = target.iter().filter(|member| !gone(member.node));
        before.count() * 2 <= self.before().count() || stays.count() * 2 <= target.len()
    }

    /// The nodes whose replica could go on alone, those first that were there before.
    pub fn survivors(&self, gone: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.before().filter(|node| self.has_kept(*node)).collect();
        let rest = self.replicas.iter().filter(|node| !nodes.contains(node));
        let rest: Vec<NodeId> = rest.copied().collect();
        nodes.extend(rest);
        nodes.retain(|node| !gone(*node));
        nodes
    }
}

impl Placed {
    /// Goes on without those of whom `gone` is true; with this replica alone, if one is given.
    fn go_on(&mut self, gone: impl Fn(NodeId) -> bool, survivor: Option<Member>) {
        // Those that were to go needn't come back.
        let removing = std::mem::take(&mut self.moves.removing);
        self.moves.go_on_by(1);
        self.replicas
            .retain(|node| !(gone(*node) && removing.contains(node)));
        for node in self.replicas.clone() {
            if gone(node) && !planted(Bug::LostKeepTheirPlaces) {
                self.renew(node);
            }
        }
        let moves = &mut self.moves;
        moves.removing = removing.into_iter().filter(|node| !gone(*node)).collect();
        moves.leaving.retain(|node| !gone(*node));
        moves.renewed.retain(|node| self.replicas.contains(node));
        let (replicas, leaving) = (&self.replicas, &moves.leaving);
        let there =
            |member: &Member| replicas.contains(&member.node) || leaving.contains(&member.node);
        moves.incarnations.retain(there);
        moves.under_way = true;
        moves.survivor = survivor.or(moves.survivor.filter(|member| !gone(member.node)));
    }

    /// Goes on with one replica alone. Those of other nodes that are left are over too: what they may have
    /// had from a leader that isn't is given up with it, and nobody who knows of that could follow the
    /// one that goes on.
    fn go_on_with(&mut self, survivor: Member) {
        self.go_on(|node| node != survivor.node, Some(survivor));
    }
}

impl Meta {
    /// Forgets nodes that are lost, for good: none of their directories is let in again.
    pub(crate) fn recover(&self, lost: &[NodeId]) -> Decision<Reply> {
        let gone = |node: NodeId| lost.contains(&node);
        if let Err(why) = self.may_recover(gone) {
            return Decision {
                records: Vec::new(),
                reply: Reply::Each(vec![Err(why)]),
            };
        }
        let mut records = Vec::new();
        if self.image.level < RECOVERY {
            records.push(Record::LevelRaised { level: RECOVERY }.encode());
        }
        let given = self.next_producer().0;
        let next = ProducerId(given.saturating_add(PRODUCER_IDS_LEFT_OUT));
        records.push(Record::ProducerIdsAllocated { next }.encode());
        if self.image.level >= crate::GROUP_IDS_LEFT_OUT && !planted(Bug::GroupIdsGivenAgain) {
            let next = GroupId(self.next_group.0.saturating_add(GROUP_IDS_LEFT_OUT));
            records.push(Record::GroupIdsLeftOut { next }.encode());
        }
        let there = |node: &&NodeId| !self.image.has_left(**node);
        for node in lost.iter().filter(there) {
            records.extend(self.forget(*node));
        }
        let mut placed = Changes::new(self);
        for topic in self.image.topics.values() {
            for (partition, info) in (0..).map(Partition).zip(&topic.partitions) {
                // What was put on record last may be lost too.
                let moves = &mut placed.of(topic, partition).moves;
                moves.go_on_by(AIMS_LEFT_OUT);
                let here = |node: &NodeId| info.member_on(*node).is_some();
                if !lost.iter().any(here) {
                    continue;
                }
                let survivors = info.survivors(gone);
                let survivor = survivors.first().filter(|_| info.has_lost(gone));
                let survivor = survivor.map(|node| info.member(*node));
                let placed = placed.of(topic, partition);
                match survivor.filter(|_| !planted(Bug::OthersThatAreLeftKeepTheirs)) {
                    Some(survivor) => placed.go_on_with(survivor),
                    None => placed.go_on(gone, survivor),
                }
            }
        }
        records.extend(placed.records());
        Decision {
            records,
            reply: Reply::Each(vec![Ok(())]),
        }
    }

    /// Forgets a node that is lost with its disk, as long as nothing is lost with it: its replicas are over,
    /// and whoever joins under its number gets them anew.
    pub(crate) fn give_up(&self, node: NodeId) -> Result<Decision<Reply>, Refusal> {
        let gone = |other: NodeId| other == node;
        let mut placed = Changes::new(self);
        for (topic, partition, info) in self.partitions_on(node) {
            let alone = info.survivor().is_some_and(|member| !gone(member.node));
            if info.has_lost(gone) && !alone {
                return Err(Refusal::Policy(format!(
                    "Broker {node} can't be done without: {}-{partition} has no majority then. Start \
                     it again; or, if its disk is lost, accept what is lost with it \
                     (kafka-leader-election --election-type unclean), or delete the topic",
                    topic.name
                )));
            }
            placed.of(topic, partition).go_on(gone, None);
        }
        mark(Mark::NodeGivenUp);
        let mut records = self.forget(node);
        records.extend(placed.records());
        Ok(Decision {
            records,
            reply: Reply::Each(vec![Ok(())]),
        })
    }

    /// The partitions of which a node has a replica, or is to have one.
    pub(crate) fn partitions_on(
        &self,
        node: NodeId,
    ) -> impl Iterator<Item = (&Topic, Partition, &PartitionInfo)> {
        let topics = self.image.topics.values();
        let all = topics.flat_map(|topic| {
            let partitions = (0..).map(Partition).zip(&topic.partitions);
            partitions.map(move |(partition, info)| (&**topic, partition, info))
        });
        all.filter(move |(_, _, info)| info.member_on(node).is_some())
    }

    fn may_recover(&self, gone: impl Fn(NodeId) -> bool) -> Result<(), Refusal> {
        let stays = |node: &&NodeId| !gone(**node);
        let old = |node: &&NodeId| !self.image.levels_of(**node).contain(RECOVERY);
        let mut staying = self.image.nodes.keys().filter(stays);
        match staying.find(old) {
            Some(node) if self.image.level < RECOVERY => Err(Refusal::Policy(format!(
                "node {node} runs a release that doesn't know level {RECOVERY}, from which on this \
                 can be done: name it as lost too, or start it with this release first"
            ))),
            _ => Ok(()),
        }
    }

    /// One directory more has lived under its number, so the one that is lost is refused for ever.
    fn forget(&self, node: NodeId) -> Vec<bytes::Bytes> {
        let last = self.image.generations.get(&node).copied().unwrap_or(0);
        let home = Home {
            address: String::new(),
            directory: Uuid([0; 16]),
            release: String::new(),
            generation: last.saturating_add(1),
        };
        let mut facts = vec![Record::NodeHoused { node, home }.encode()];
        facts.extend(self.forgotten(node));
        facts
    }

    /// Groups whose majority isn't heard go on with the replicas named.
    pub fn go_on_alone(&self, groups: &[(GroupId, NodeId)], silent: &[NodeId]) -> Decision<Reply> {
        let gone = |node: NodeId| silent.contains(&node);
        let mut placed = Changes::new(self);
        let mut parts = Vec::new();
        for (group, node) in groups {
            let outcome = self.may_go_on_alone(*group, *node, gone);
            if let (Ok(survivor), Some((topic, partition))) =
                (&outcome, self.image.groups.get(group))
            {
                placed.of(topic, *partition).go_on_with(*survivor);
            }
            parts.push(outcome.map(|_| ()));
        }
        Decision {
            records: placed.records(),
            reply: Reply::Each(parts),
        }
    }

    fn may_go_on_alone(
        &self,
        group: GroupId,
        node: NodeId,
        gone: impl Fn(NodeId) -> bool,
    ) -> Result<Member, Refusal> {
        self.image.allows_recovery()?;
        let info = self.image.partition(group).ok_or(Refusal::UnknownTopic)?;
        let lost = info.has_lost(&gone) || planted(Bug::UncleanWhileMajorityLives);
        match info.member_on(node) {
            Some(member) if !gone(node) && lost => Ok(member),
            _ => Err(Refusal::election_not_needed()),
        }
    }
}

#[cfg(test)]
mod tests;
