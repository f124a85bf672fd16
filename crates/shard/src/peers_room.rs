//! What other nodes say of their disks, and what that means for a group that is led here: to whom no
//! records are sent, and whether more of them could be committed.

use base::{Member, NodeId, RaftIndex};
use consensus::Room;
use std::collections::{BTreeMap, BTreeSet};

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct PeersRoom {
    /// By the others. One that never said anything is of a release that doesn't, and is sent everything,
    /// as it always was.
    said: BTreeMap<NodeId, Room>,
    /// To the others.
    pub(crate) told: Room,
    /// To the operator: this node is full.
    pub(crate) noted_full: bool,
}

impl PeersRoom {
    /// Takes a node's word; what was thought before.
    pub(crate) fn hear(&mut self, node: NodeId, room: Room) -> Room {
        self.said.insert(node, room).unwrap_or_default()
    }

    /// It may be another process now, or no node at all.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.said.remove(&node);
    }

    /// Forgets all but these.
    pub(crate) fn keep(&mut self, is_peer: impl Fn(NodeId) -> bool) {
        self.said.retain(|node, _| is_peer(*node));
    }

    pub(crate) fn of(&self, node: NodeId) -> Room {
        self.said.get(&node).copied().unwrap_or_default()
    }

    /// True if this node has said how it is with its disk, so it knows how to spare others'.
    pub(crate) fn knows(&self, node: NodeId) -> bool {
        self.said.contains_key(&node)
    }

    /// True if no node said that it has no room.
    pub(crate) fn is_ample(&self) -> bool {
        self.full().next().is_none()
    }

    /// Nodes that have no room.
    pub(crate) fn full(&self) -> impl Iterator<Item = NodeId> + '_ {
        let full = |(node, room): (&NodeId, &Room)| (*room != Room::Ample).then_some(*node);
        self.said.iter().filter_map(full)
    }
}

/// A replica, as its leader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) member: Member,
    pub(crate) room: Room,
    /// Its node is heard.
    pub(crate) heard: bool,
    /// It lacks nothing that others have committed without it.
    pub(crate) in_sync: bool,
    pub(crate) matched: RaftIndex,
}

/// A group, as its leader sees it.
pub(crate) struct Seats<'a> {
    pub(crate) me: Member,
    /// The voters; and those before them, as long as they have a say.
    pub(crate) electorates: Vec<&'a [Member]>,
    /// Everybody.
    pub(crate) all: Vec<Seat>,
}

impl Seats<'_> {
    fn of<'a>(&'a self, electorate: &'a [Member]) -> impl Iterator<Item = &'a Seat> {
        self.all.iter().filter(|s| electorate.contains(&s.member))
    }

    /// How many more replicas of an electorate would have to take records to commit any. One that still
    /// catches up, or stands aside, commits nothing new.
    fn missing(&self, electorate: &[Member]) -> usize {
        let has_room = |s: &Seat| s.room == Room::Ample && s.heard && s.in_sync;
        let takes = |s: &&Seat| s.member == self.me || has_room(s);
        let takers = self.of(electorate).filter(takes).count();
        (electorate.len() / 2 + 1).saturating_sub(takers)
    }

    /// Replicas of others that have no room.
    fn full<'a>(&'a self, among: impl Iterator<Item = &'a Seat>) -> impl Iterator<Item = Member> {
        let full = |s: &&Seat| s.room != Room::Ample && s.member != self.me;
        among.filter(full).map(|s| s.member)
    }

    /// Those that are sent no batches: all without room, but for those without which nothing that the
    /// leader has could be committed. Nothing is added to it then, and what frees space is an entry behind
    /// it. Of such as could do, those are taken that lack least.
    pub(crate) fn withheld(&self) -> BTreeSet<Member> {
        let mut needed = BTreeSet::new();
        for electorate in &self.electorates {
            let has_some = |s: &&Seat| s.room == Room::Scarce && s.heard && s.member != self.me;
            let mut some: Vec<_> = self.of(electorate).filter(has_some).collect();
            some.sort_by_key(|s| (std::cmp::Reverse(s.matched), s.member));
            let some = some.into_iter().take(self.missing(electorate));
            needed.extend(some.map(|s| s.member));
        }
        let full = self.full(self.all.iter());
        full.filter(|member| !needed.contains(member)).collect()
    }

    /// The nodes without room, if for that there are too few to commit more records. One that is silent
    /// wouldn't commit any with room either.
    pub(crate) fn in_the_way(&self) -> Option<Vec<NodeId>> {
        let of_those_that_block = |electorate: &&[Member]| {
            let heard = self.of(electorate).filter(|s| s.heard);
            let full: Vec<NodeId> = self.full(heard).map(|member| member.node).collect();
            (self.missing(electorate) > 0 && !full.is_empty()).then_some(full)
        };
        self.electorates.iter().find_map(of_those_that_block)
    }
}

#[cfg(test)]
mod tests;
