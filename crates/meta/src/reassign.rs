//! Other replicas for partitions, in the order and the words of Kafka's controller: what clients
//! see as replicas, adding and removing replicas, and what each is called while it lasts.
//!
//! A reassignment is on record as soon as it is asked for. The group's leader then steers the group
//! towards it (`shard::operation::reconfigure`) and says so when it is there; only then do the
//! replicas that go lose their data. A cancelled one is steered back the same way, although clients
//! see the old replicas at once.
//!
//! Each replica that a node gets of a group is another member of the group, with an incarnation of
//! its own, given here and never twice.

use crate::create::check_replicas;
use crate::records::Record;
use crate::{AIMS_NAMED, Meta, PartitionInfo, RENEWALS_KEPT, Reply, Topic};
use base::{Bug, Decision, GroupId, Mark, Member, NodeId, Partition, Refusal, Uuid, mark, planted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is asked for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The replicas that it is to have, the preferred leader first; `None`: those that it had.
    pub target: Option<Vec<NodeId>>,
}

/// How a partition came to its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// The replicas that its group began with.
    pub founders: Vec<NodeId>,
    /// The incarnation that the next new replica gets; all given so far are smaller. It grows with each
    /// change of what is aimed at too, so it is also the aim's count (`PartitionInfo::aim`).
    pub next_incarnation: u32,
    /// The replicas that there are and that the group didn't begin with.
    pub incarnations: Vec<Member>,
    /// Replicas that come, as clients see it.
    pub adding: Vec<NodeId>,
    /// Replicas that go, as clients see it.
    pub removing: Vec<NodeId>,
    /// Nodes with a replica that the group is to do without. They keep it until it does.
    pub leaving: Vec<NodeId>,
    /// Nodes whose replica got a successor that has nothing yet, as far as is known: what the one
    /// before it had is no longer counted on, and what this one has not yet. Kept from
    /// [`RENEWALS_KEPT`] on.
    pub renewed: Vec<NodeId>,
    /// The group's leader hasn't said yet that it is as it should be.
    pub under_way: bool,
    /// The replica that goes on alone, for the group has lost its majority for good
    /// (`crate::recover`); until the group is as it should be.
    pub survivor: Option<Member>,
}

impl Moves {
    /// A node gets a replica that is another member than any before it.
    fn give(&mut self, node: NodeId) {
        let incarnation = self.next_incarnation;
        self.incarnations.push(Member { node, incarnation });
        self.go_on_by(1);
    }

    /// Another aim, so many further on; no incarnation before it is given any more.
    pub(crate) fn go_on_by(&mut self, aims: u32) {
        self.next_incarnation = self.next_incarnation.saturating_add(aims);
    }
}

/// A partition's replicas and how it came to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) replicas: Vec<NodeId>,
    pub(crate) moves: Moves,
}

impl PartitionInfo {
    /// True if one of its replicas may give its place to a successor now. While replicas come and go
    /// only one that comes may: without it nothing arrives.
    fn may_renew(&self, member: Member) -> bool {
        let Some(moves) = self.moves.as_ref().filter(|moves| moves.under_way) else {
            return true;
        };
        let given = moves.incarnations.iter().map(|member| member.incarnation);
        let last = given.max() == Some(member.incarnation);
        last || moves.adding.contains(&member.node)
    }

    /// The replicas that its group began with.
    pub fn founders(&self) -> &[NodeId] {
        match &self.moves {
            Some(moves) => &moves.founders,
            None => &self.replicas,
        }
    }

    /// Replicas that come and replicas that go, as clients see it.
    pub fn reassigning(&self) -> Option<(&[NodeId], &[NodeId])> {
        let moves = self.moves.as_ref()?;
        let (adding, removing) = (&moves.adding, &moves.removing);
        (!adding.is_empty() || !removing.is_empty()).then_some((adding, removing))
    }

    /// True while its group isn't as it should be, as far as is known.
    pub fn is_moving(&self) -> bool {
        self.moves.as_ref().is_some_and(|moves| moves.under_way)
    }

    /// The replica that a node has, or is to have, of it.
    pub fn member_on(&self, node: NodeId) -> Option<Member> {
        let leaving = self.moves.as_ref().map_or(&[][..], |moves| &moves.leaving);
        let there = self.replicas.contains(&node) || leaving.contains(&node);
        there.then(|| self.member(node))
    }

    pub(crate) fn member(&self, node: NodeId) -> Member {
        let again = self.moves.as_ref();
        let again = again.and_then(|moves| moves.incarnations.iter().find(|m| m.node == node));
        again.copied().unwrap_or(Member::founder(node))
    }

    /// The members that its group is to have, the preferred leader first.
    pub fn target(&self) -> Vec<Member> {
        let removing = self.moves.as_ref().map_or(&[][..], |moves| &moves.removing);
        let stay = without(&self.replicas, removing);
        stay.map(|node| self.member(node)).collect()
    }

    /// Which of the aims that it ever had this is, counted: each change of it has a higher one.
    pub fn aim(&self) -> u32 {
        self.moves
            .as_ref()
            .map_or(0, |moves| moves.next_incarnation)
    }

    /// True if a member was one, and is none any more. One that is newer than what is known here
    /// isn't.
    pub fn is_over(&self, member: Member) -> bool {
        if planted(Bug::RemovedBeforeItsGroupLetGo) && self.is_moving() {
            return !self.target().contains(&member);
        }
        let given = self.moves.as_ref().map_or(1, |m| m.next_incarnation);
        member.incarnation < given && self.member_on(member.node) != Some(member)
    }

    pub(crate) fn placed(&self) -> Placed {
        let moves = match &self.moves {
            Some(moves) => (**moves).clone(),
            None => Moves {
                founders: self.replicas.clone(),
                next_incarnation: 1,
                ..Moves::default()
            },
        };
        Placed {
            replicas: self.replicas.clone(),
            moves,
        }
    }
}

/// Those of the replicas that aren't among the others.
pub(crate) fn without<'a>(
    replicas: &'a [NodeId],
    others: &'a [NodeId],
) -> impl Iterator<Item = NodeId> + 'a {
    let stay = replicas.iter().filter(|node| !others.contains(node));
    stay.copied()
}

impl Placed {
    /// Wants these replicas.
    fn aim_at(&mut self, target: &[NodeId]) {
        let moves = &mut self.moves;
        let new = |node: &NodeId| !self.replicas.contains(node) || moves.adding.contains(node);
        let adding: BTreeSet<NodeId> = target.iter().copied().filter(new).collect();
        let gone = |node: &NodeId| !target.contains(node);
        let removing: BTreeSet<NodeId> = self.replicas.iter().copied().filter(gone).collect();
        let shown = target.iter().chain(&removing).copied().collect();
        self.become_(shown, target, adding, removing);
    }

    /// Wants the replicas that were there before.
    fn turn_back(&mut self) {
        let before: Vec<NodeId> = without(&self.replicas, &self.moves.adding).collect();
        self.become_(before.clone(), &before, BTreeSet::new(), BTreeSet::new());
    }

    fn become_(
        &mut self,
        shown: Vec<NodeId>,
        target: &[NodeId],
        adding: BTreeSet<NodeId>,
        removing: BTreeSet<NodeId>,
    ) {
        let before: BTreeSet<NodeId> = without(&self.replicas, &self.moves.removing).collect();
        let moves = &mut self.moves;
        let hosts: BTreeSet<NodeId> = self
            .replicas
            .iter()
            .chain(&moves.leaving)
            .copied()
            .collect();
        let new = |node: &&NodeId| !hosts.contains(node) && !planted(Bug::IncarnationNotBumped);
        for node in target.iter().filter(new) {
            moves.give(*node);
        }
        // Another aim, also where no replica is new. The same one asked for again isn't: its leader
        // could be asked faster than it can say that it is there.
        if before != target.iter().copied().collect() {
            moves.go_on_by(1);
        }
        let leaves = |node: &NodeId| !target.contains(node);
        moves.leaving = hosts.into_iter().filter(leaves).collect();
        moves.under_way |= !adding.is_empty() || !moves.leaving.is_empty();
        moves.adding = adding.into_iter().collect();
        moves.removing = removing.into_iter().collect();
        moves
            .renewed
            .retain(|node| shown.contains(node) || moves.leaving.contains(node));
        self.replicas = shown;
    }

    /// A new replica takes the place of the one on this node.
    pub(crate) fn renew(&mut self, node: NodeId) {
        let moves = &mut self.moves;
        if !planted(Bug::RenewedAsTheSame) {
            moves.incarnations.retain(|member| member.node != node);
            moves.give(node);
        }
        if !moves.renewed.contains(&node) {
            moves.renewed.push(node);
        }
        moves.under_way = true;
    }

    /// The group is as it should be: what goes is gone.
    fn arrive(&mut self) {
        let moves = &mut self.moves;
        let stays = |node: &NodeId| !moves.removing.contains(node);
        self.replicas.retain(stays);
        moves
            .incarnations
            .retain(|member| self.replicas.contains(&member.node));
        moves.adding.clear();
        moves.removing.clear();
        moves.leaving.clear();
        moves.renewed.clear();
        moves.under_way = false;
        moves.survivor = None;
    }
}

impl Meta {
    pub(crate) fn reassign(&self, changes: &[Reassignment], keep_factor: bool) -> Decision<Reply> {
        let mut placed = Changes::new(self);
        let mut parts = Vec::new();
        for change in changes {
            parts.push(placed.reassign(change, keep_factor));
        }
        Decision {
            records: placed.records(),
            reply: Reply::Each(parts),
        }
    }

    /// Only what is aimed at still has come to its end. A word about an earlier aim may come late, after
    /// the partition was to go elsewhere and back: its group may be anywhere by now. The same aim
    /// means that the group is there: nobody leads it elsewhere who knows of this aim, and whoever
    /// doesn't waits (`shard::operation::reconfigure`).
    pub(crate) fn arrived(&self, groups: &[(GroupId, u32)]) -> Decision<Reply> {
        self.end_moves(groups, |info, aim| {
            if info.aim() != *aim {
                mark(Mark::LateArrival);
            }
            info.aim() == *aim
        })
    }

    /// As [`Meta::arrived`] in a cluster of an older level, where the word doesn't name the aim.
    pub(crate) fn reassigned(&self, groups: &[(GroupId, Vec<Member>)]) -> Decision<Reply> {
        let set = |members: &[Member]| members.iter().copied().collect::<BTreeSet<_>>();
        let named = self.image.level >= AIMS_NAMED;
        self.end_moves(groups, |info, voters| {
            !named && set(&info.target()) == set(voters)
        })
    }

    fn end_moves<W>(
        &self,
        words: &[(GroupId, W)],
        has_ended: impl Fn(&PartitionInfo, &W) -> bool,
    ) -> Decision<Reply> {
        let mut placed = Changes::new(self);
        for (group, word) in words {
            let Some((topic, partition)) = self.image.groups.get(group) else {
                continue;
            };
            let info = &topic.partitions[partition.0 as usize];
            if info.is_moving() && has_ended(info, word) {
                mark(Mark::Reassigned);
                placed.of(topic, *partition).arrive();
            }
        }
        Decision {
            records: placed.records(),
            reply: Reply::Done,
        }
    }

    /// Damaged replicas that their groups are to have get successors on their nodes: of one group one
    /// after the other. Whoever asks knows of the others what their leader said a moment ago.
    pub(crate) fn renew(&self, members: &[(GroupId, Member)]) -> Decision<Reply> {
        let mut placed = Changes::new(self);
        for (group, member) in members {
            let Some((topic, partition)) = self.image.groups.get(group) else {
                continue;
            };
            let info = &topic.partitions[partition.0 as usize];
            if info.target().contains(member) && info.may_renew(*member) {
                placed.of(topic, *partition).renew(member.node);
            }
        }
        Decision {
            records: placed.records(),
            reply: Reply::Done,
        }
    }

    pub(crate) fn apply_reassigned(&mut self, id: &Uuid, partitions: Vec<(Partition, Placed)>) {
        let Some(topic) = self.image.topic_by_id(id) else {
            return;
        };
        let mut topic = (**topic).clone();
        for (partition, Placed { replicas, moves }) in partitions {
            if let Some(info) = topic.partitions.get_mut(partition.0 as usize) {
                info.replicas = replicas;
                info.moves = Some(Arc::new(moves));
            }
        }
        self.replace(topic);
    }
}

/// Partitions as they would be after what was decided so far.
pub(crate) struct Changes<'a> {
    meta: &'a Meta,
    placed: BTreeMap<Uuid, BTreeMap<Partition, Placed>>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(meta: &'a Meta) -> Changes<'a> {
        Changes {
            meta,
            placed: BTreeMap::new(),
        }
    }

    pub(crate) fn of(&mut self, topic: &Topic, partition: Partition) -> &mut Placed {
        let there = || topic.partitions[partition.0 as usize].placed();
        let placed = self.placed.entry(topic.id).or_default();
        placed.entry(partition).or_insert_with(there)
    }

    fn reassign(&mut self, change: &Reassignment, keep_factor: bool) -> Result<(), Refusal> {
        let topic = self.meta.image.topic(&change.topic);
        let topic = topic.ok_or(Refusal::UnknownTopic)?;
        let info = topic.partitions.get(change.partition.0 as usize);
        let info = info.ok_or(Refusal::UnknownTopic)?;
        let Some(target) = &change.target else {
            info.reassigning().ok_or(Refusal::NoReassignment)?;
            mark(Mark::ReassignmentCancelled);
            self.of(topic, change.partition).turn_back();
            return Ok(());
        };
        check_replicas(&self.meta.image.nodes, target, target.len()).map_err(|why| {
            Refusal::InvalidReplicaAssignment(format!("The manual partition assignment {why}"))
        })?;
        let now = info.target().len();
        if keep_factor && now != target.len() {
            return Err(Refusal::InvalidReplicationFactor(format!(
                "The replication factor is changed from {now} to {}",
                target.len()
            )));
        }
        self.of(topic, change.partition).aim_at(target);
        Ok(())
    }

    /// What is as it was isn't put on record.
    pub(crate) fn records(mut self) -> Vec<bytes::Bytes> {
        let image = &self.meta.image;
        for (id, partitions) in &mut self.placed {
            let topic = image.topic_by_id(id);
            let there = |partition: &Partition| topic?.partitions.get(partition.0 as usize);
            partitions.retain(|partition, placed| {
                there(partition).is_none_or(|info| info.placed() != *placed)
            });
        }
        if self.meta.image.level < RENEWALS_KEPT {
            let placed = self.placed.values_mut().flat_map(BTreeMap::values_mut);
            placed.for_each(|placed| placed.moves.renewed.clear());
        }
        let topics = self.placed.into_iter();
        let records = topics.flat_map(|(id, partitions)| placed_records(id, partitions));
        records.map(|record| record.encode()).collect()
    }
}

/// The records that say so of partitions of one topic: those that go on with one replica alone, or
/// have replicas that were renewed, have a kind of their own.
pub(crate) fn placed_records(
    id: Uuid,
    partitions: impl IntoIterator<Item = (Partition, Placed)>,
) -> Vec<Record> {
    let recovers = |(_, placed): &(Partition, Placed)| {
        placed.moves.survivor.is_some() || !placed.moves.renewed.is_empty()
    };
    let (recovering, others): (Vec<_>, Vec<_>) = partitions.into_iter().partition(recovers);
    let moved = (!others.is_empty()).then_some(Record::PartitionsReassigned {
        id,
        partitions: others,
    });
    let recovered = (!recovering.is_empty()).then_some(Record::PartitionsRecovered {
        id,
        partitions: recovering,
    });
    moved.into_iter().chain(recovered).collect()
}

#[cfg(test)]
mod tests;
