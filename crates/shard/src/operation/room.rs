//! Room on the disk. Below the reserve data is refused; metadata stays writable. Others are told with
//! each heartbeat, and so this node knows of theirs (`peers_room.rs`).

use crate::Shard;
use crate::peers_room::{Seat, Seats};
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, NodeId, Refusal, limits, mark, planted};
use consensus::Room;
use std::time::Duration;

/// The part of the reserve below which no records are taken of leaders that don't send everything anyway.
const LAST_PART: u64 = 8;
/// The same of leaders that do, for their release doesn't know of others' disks.
const LAST_PART_OF_ALL: u64 = 2;

impl Shard {
    /// No data is taken.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_free < self.settings.disk_reserve_bytes
    }

    /// Nor are records of a leader elsewhere. They are taken for longer than those of clients: what is on
    /// its way when the disks of all replicas fill up is committed, and retention, which is an entry
    /// behind it in the log, makes room.
    pub(crate) fn is_disk_exhausted(&self, leader: NodeId) -> bool {
        let part = match self.peers_room.knows(leader) {
            true => LAST_PART,
            false => LAST_PART_OF_ALL,
        };
        self.disk_free < self.settings.disk_reserve_bytes / part
    }

    /// What others are told of it.
    pub(crate) fn room(&self) -> Room {
        let reserve = self.settings.disk_reserve_bytes;
        match self.disk_free {
            free if free >= reserve => Room::Ample,
            free if free >= reserve / LAST_PART => Room::Scarce,
            _ => Room::Gone,
        }
    }

    /// True if a node, this one or another, takes records as far as is known here.
    pub(crate) fn has_room(&self, node: NodeId) -> bool {
        match node == self.settings.node {
            true => !self.is_disk_full(),
            false => self.peers_room.of(node) == Room::Ample,
        }
    }

    /// Another node's word.
    pub(crate) fn on_room(&mut self, from: NodeId, room: Room, free: u64) {
        if room == Room::Ample && planted(Bug::FullForEver) {
            return;
        }
        let before = self.peers_room.hear(from, room);
        match (before == Room::Ample, room == Room::Ample) {
            (true, false) => {
                self.retain_soon();
                self.note(format!(
                    "node {from} has {free} bytes free, below its reserve: it is sent no records \
                     until it has room"
                ));
            }
            (false, true) => self.note(format!(
                "node {from} has {free} bytes free again: it is sent what it lacks"
            )),
            _ => {}
        }
        // Groups rest though one without room lacks something. What it takes now may be all that they wait for.
        if before != room && before != Room::Ample {
            self.probe(from);
        }
    }

    /// The other nodes without room, as far as they are heard: what a lost one said last is kept for when it
    /// is back, and counts for nothing until then.
    pub(crate) fn full_others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers_room.full().filter(|node| self.hears(*node))
    }

    /// At each beat of a group that this node leads: who is sent no batches.
    pub(crate) fn withhold(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        let all_have_room = self.peers_room.is_ample();
        if all_have_room && replica.group.withheld().is_empty() {
            return;
        }
        // What metadata and coordinators write is little, and nothing goes on without it.
        let exempt = group == GroupId::META || replica.coordinator.is_some();
        let withheld = match exempt {
            true => Default::default(),
            false => self.seats(replica).withheld(),
        };
        let replica = self.replicas.get_mut(&group).expect("looked at just now");
        if replica.group.withhold_from(withheld) {
            mark(Mark::BatchesWithheld);
        }
    }

    /// Refuses records that couldn't be committed.
    pub(crate) fn refuse_without_takers(&self, replica: &Replica) -> Result<(), Refusal> {
        if self.full_others().next().is_none() {
            return Ok(());
        }
        let Some(full) = self.seats(replica).in_the_way() else {
            return Ok(());
        };
        mark(Mark::RefusedForOthersRoom);
        let full: Vec<_> = full.iter().map(ToString::to_string).collect();
        Err(Refusal::NoRoomElsewhere(format!(
            "too few replicas take records: the disk of node {} is below its reserve \
             (disk.reserve.bytes); make room, writes resume by themselves",
            full.join(", ")
        )))
    }

    fn seats<'a>(&self, replica: &'a Replica) -> Seats<'a> {
        let seat = |p: consensus::PeerProgress| Seat {
            member: p.member,
            room: self.peers_room.of(p.member.node),
            heard: self.hears(p.member.node),
            in_sync: !replica.behind.contains(&p.member.node),
            matched: p.matched,
        };
        Seats {
            me: replica.group.me(),
            electorates: replica.electorates().collect(),
            all: replica.group.progress().into_iter().map(seat).collect(),
        }
    }

    /// Why no data is taken, in words.
    pub(crate) fn lack_of_room(&self) -> String {
        format!(
            "the data directory has {} bytes free, below the reserve of {} (disk.reserve.bytes)",
            self.disk_free, self.settings.disk_reserve_bytes
        )
    }

    /// So many bytes are free. Whoever reads the log learns why writes are refused, and when they no
    /// longer are.
    ///
    /// What storage hasn't written yet takes room as well, so that what comes between two looks can't fill
    /// the disk.
    pub(crate) fn on_disk_free(&mut self, measured: u64) {
        let free = measured.saturating_sub(self.unsettled.bytes());
        self.disk_free = free;
        let (was_full, is_full) = (self.peers_room.noted_full, self.is_disk_full());
        self.peers_room.noted_full = is_full;
        match (was_full, is_full) {
            (false, true) => {
                self.retain_soon();
                self.alarm(format!(
                    "{}: records are refused until there is room",
                    self.lack_of_room()
                ));
            }
            (true, false) => self.note(format!(
                "the data directory has {free} bytes free again: records are taken"
            )),
            _ => {}
        }
    }

    /// How long after a look at what is past its retention the next one is. A full follower's room is
    /// made by its leaders.
    pub(crate) fn between_retentions(&self) -> Duration {
        let somebody = self.is_disk_full() || self.full_others().next().is_some();
        between(self.settings.retention_check, somebody)
    }

    fn retain_soon(&mut self) {
        let soon = self.now.mono.after(self.between_retentions());
        self.next_retention = self.next_retention.min(soon);
    }
}

/// On a full disk somebody may have shortened retention just to make room.
fn between(usual: Duration, is_full: bool) -> Duration {
    match is_full {
        true => usual.min(limits::RETENTION_WHEN_FULL),
        false => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_full_disk_retention_is_looked_after_often() {
        let (minutes, second) = (Duration::from_secs(300), Duration::from_secs(1));
        assert_eq!(between(minutes, false), minutes);
        assert_eq!(between(minutes, true), limits::RETENTION_WHEN_FULL);
        assert_eq!(between(second, true), second);
    }
}
